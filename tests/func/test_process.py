"""What becomes of a run that is killed, and of two at once."""

import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.func.conftest import Outcome
from tests.workspace import MEDLOOP, Workspace


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_38_a_killed_run_goes_on_and_ends_with_the_same_lock(
    workspace: Workspace, finished: Workspace, servers: Path, medloop: Callable[..., Outcome]
) -> None:
    before = set((servers / "runs").glob("*.json"))
    child = subprocess.Popen([str(MEDLOOP), "run", "tiny"], cwd=workspace.root, stdout=subprocess.DEVNULL)
    wait_for(lambda: workspace.data("train", "boosting").exists())
    second: Outcome = medloop(workspace, "run", "tiny")
    assert second.code == 1
    assert str(child.pid) in second.text
    helpers = psutil.Process(child.pid).children(recursive=True)
    assert helpers
    child.send_signal(signal.SIGKILL)
    child.wait()
    wait_for(lambda: not any(helper.is_running() for helper in helpers), 10)
    (path,) = set((servers / "runs").glob("*.json")) - before
    killed = json.loads(path.read_text())
    assert killed["state"] == "running"

    told: Outcome = medloop(workspace, "run", "tiny")
    assert told.code == 0, told.text
    assert f"{killed['key']} had crashed" in told.text
    assert json.loads(path.read_text())["state"] == "crashed"
    assert "ingest@tiny" not in told.text
    with sqlite3.connect(servers / "prefect" / "prefect.db") as prefect:
        states = prefect.execute("select state_type from flow_run where name = ?", [killed["key"]]).fetchall()
    assert states == [("CRASHED",)]
    assert (workspace.root / "dvc.lock").read_bytes() == (finished.root / "dvc.lock").read_bytes()


def test_a_worker_that_is_killed_is_an_error_and_the_next_run_goes_on(workspace: Workspace) -> None:
    child = subprocess.Popen([str(MEDLOOP), "run", "tiny"], cwd=workspace.root, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: workspace.data("train", "logistic").exists())
    for helper in psutil.Process(child.pid).children(recursive=True):
        helper.kill()
    _, told = child.communicate()
    assert child.returncode == 1
    assert "ended from outside (exit code -9)" in " ".join(told.split())
    assert workspace.medloop("run", "tiny").returncode == 0

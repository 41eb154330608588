"""What becomes of a run that is killed, and of two at once."""

import json
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from flows.home import home
from tests.func.conftest import Outcome
from tests.workspace import MEDLOOP, Workspace


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def workers(run: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> list[psutil.Process]:
    """The processes in which a run trains; not the servers that it may have started."""
    children = psutil.Process(run.pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def in_endless_training(workspace: Workspace) -> "subprocess.Popen[str]":
    workspace.write_study(lambda s: s.update(train={"epochs": 100_000, "patience": 100_000}, models={"mlp": {}}))
    checkpoints = home(workspace.root) / "checkpoints" / "tiny" / "mlp"
    left = set(checkpoints.rglob("*"))  # by tests before, which share the home
    child = subprocess.Popen([str(MEDLOOP), "run", "tiny"], cwd=workspace.root, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: bool(set(checkpoints.rglob("*")) - left))
    return child


def test_38_a_killed_run_goes_on_and_ends_with_the_same_lock(
    workspace: Workspace, finished: Workspace, servers: Path, medloop: Callable[..., Outcome]
) -> None:
    before = set((servers / "runs").glob("*.json"))
    child = subprocess.Popen([str(MEDLOOP), "run", "tiny"], cwd=workspace.root, stdout=subprocess.DEVNULL)
    wait_for(lambda: workspace.data("train", "boosting").exists())
    second: Outcome = medloop(workspace, "run", "tiny")
    assert second.code == 1
    assert str(child.pid) in second.text
    helpers = workers(child)
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


def test_a_worker_that_is_killed_is_an_error_and_the_next_run_goes_on(
    workspace: Workspace, medloop: Callable[..., Outcome]
) -> None:
    child = in_endless_training(workspace)
    for helper in workers(child):
        helper.kill()
    _, told = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "ended from outside (exit code -9)" in " ".join(told.split())
    assert re.search(r"where\s+train@tiny-mlp", told)
    workspace.write_study(lambda s: s.update(models={"mlp": {}}))
    assert medloop(workspace, "run", "tiny").code == 0


def test_ctrl_c_ends_a_run_in_training_at_once(workspace: Workspace) -> None:
    child = in_endless_training(workspace)
    helpers = workers(child)
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=20)
    assert child.returncode == 130, told
    assert "Traceback" not in told
    assert not any(helper.is_running() for helper in helpers)

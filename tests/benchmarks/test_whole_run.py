"""The whole `diabetes` run against a hand-written script of the same work in one process; ratios, nothing asserted.

    make benchmark

Both pay for their imports and their tracker's set-up; medloop's servers are up, as they are after its first run.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.workspace import REPOSITORY, Workspace, make_workspace

ROUNDS = 3


def timed(command: list[str], cwd: Path, env: dict[str, str]) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.perf_counter() - start, done.stdout


def fresh(folder: Path) -> Workspace:
    workspace = make_workspace(folder)
    (workspace.root / "studies" / "tiny.yaml").unlink()
    study = (REPOSITORY / "studies" / "diabetes.yaml").read_text(encoding="utf-8")
    same = study.replace("  ensemble: {}\n", "")  # the script has the other three models
    (workspace.root / "studies" / "diabetes.yaml").write_text(same, encoding="utf-8")
    return workspace


def test_whole_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import os

    from flows import servers

    home = tmp_path / "home"
    monkeypatch.setenv("MEDLOOP_HOME", str(home))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "2"}
    first = fresh(tmp_path / "first")
    assert first.medloop("up").returncode == 0
    assert first.medloop("stage", "ingest", "diabetes").returncode == 0  # so that both find the wheel on disk
    wheel = next((home / "sources").rglob("*.whl"))
    ours, theirs, parts = [], [], {}
    try:
        for number in range(ROUNDS):
            workspace = fresh(tmp_path / f"round{number}")
            ours.append(timed(["medloop", "run", "diabetes"], workspace.root, env)[0])
            newest = max((home / "runs").glob("*.json"), key=lambda p: p.stat().st_mtime)
            parts = json.loads(newest.read_text())
            scratch = tmp_path / f"script{number}"
            scratch.mkdir()
            script = str(REPOSITORY / "tests" / "benchmarks" / "handwritten.py")
            seconds, told = timed([sys.executable, script, str(wheel), str(scratch)], scratch, env)
            theirs.append(seconds)
    finally:
        servers.stop(home)
    with capsys.disabled():
        print(
            f"\nmedloop {statistics.median(ours):.1f} s, script {statistics.median(theirs):.1f} s (medians of {ROUNDS})"
        )
        print("ratio medloop/script, round by round:", [round(a / b, 2) for a, b in zip(ours, theirs, strict=True)])
        print("script by part:", json.loads(told.splitlines()[-1])["parts"])
        print("medloop by stage:", {stage["name"]: stage["seconds"] for stage in parts["stages"]})
        print("medloop until the first stage:", parts["start_up"])

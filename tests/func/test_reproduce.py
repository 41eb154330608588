"""`medloop reproduce` by the real command: a past model had again and graded, with nothing here touched."""

import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.func.conftest import Outcome
from tests.workspace import Workspace

Medloop = Callable[..., Outcome]


def state(workspace: Workspace) -> tuple[bytes, str]:
    status = subprocess.run(["git", "status", "--short"], cwd=workspace.root, capture_output=True, text=True)
    return (workspace.root / "dvc.lock").read_bytes(), status.stdout


def verdict(home: Path, model: str) -> dict:
    (path,) = (home / "reproductions").glob(f"tiny-{model}-*.json")  # of a what-if, `…-what-if.json`
    return json.loads(path.read_text())


def test_a_past_run_is_had_again_to_the_bit(finished: Workspace, servers: Path, medloop: Medloop) -> None:
    before = state(finished)
    told = medloop(finished, "reproduce", f"{finished.key}/mlp")
    assert told.code == 0, told.text
    assert "mlp bit-identical: 9 stages run again, every file the same" in told.text
    assert state(finished) == before
    assert not list((servers / "clones").iterdir())
    assert verdict(servers, "mlp")["grade"] == "bit-identical"
    with sqlite3.connect(servers / "mlflow" / "mlflow.db") as mlflow:
        tags = mlflow.execute("select value from tags where key = 'medloop.reproduced'").fetchall()
    assert [value for (value,) in tags if value.startswith("bit-identical, ")]


def test_what_was_changed_is_named(finished: Workspace, servers: Path, medloop: Medloop) -> None:
    change = "models.logistic.train.threshold=0.9"
    told = medloop(finished, "reproduce", f"{finished.key}/logistic", "-S", change)
    assert told.code == 3, told.text
    found = verdict(servers, "logistic")
    assert (found["grade"], found["first"]["stage"]) == ("same predictions", "train@tiny-logistic")
    (said,) = found["differs"]["parameters"]
    assert "train.threshold is 0.9, was None" in said


def test_what_nobody_knows_is_an_error(finished: Workspace, medloop: Medloop) -> None:
    assert (
        "that commit has no study tny (did you mean tiny?)"
        in medloop(finished, "reproduce", "HEAD", "--study", "tny").text
    )
    assert "neither MLflow nor Git knows 'nosuch'" in medloop(finished, "reproduce", "nosuch").text
    assert "that run has no model lgistic" in medloop(finished, "reproduce", f"{finished.key}/lgistic").text

"""Fault 44 by the real command: the tracking server is down, answers 500, is locked; nothing of a run is lost."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from flows import journal, tracking
from tests.func.conftest import Outcome
from tests.workspace import Workspace

LOCKED_S = 1.0
Medloop = Callable[..., Outcome]


class Failing(BaseHTTPRequestHandler):
    """A server whose database is gone."""

    def do_GET(self) -> None:
        self.send_response(500)
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def failing() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Failing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def locked(path: Path) -> None:
    """Held by another process, as it were, for a while."""
    held = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    threading.Timer(LOCKED_S, held.close).start()


def test_44_a_run_without_mlflow_trains_and_the_next_tells_all_of_it(
    copy: Workspace, medloop: Callable[..., Outcome], failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    copy.write_study(lambda study: study.update(train={"epochs": 2}, models={"mlp": {}}))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", failing)
    broken = medloop(copy, "run", "tiny")
    assert broken.code == 1 and "✓ compare@tiny" in broken.text, broken.text
    assert "MLflow could not do it (INTERNAL_ERROR)" in broken.text, broken.text

    monkeypatch.setattr("flows.pipeline.BACK_OFF_S", (0,))  # that no test imports it before a server is up
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    down = medloop(copy, "run", "tiny")
    assert down.code == 1 and "✓ train@" not in down.text, down.text
    assert "MLflow does not answer" in down.text and "then give the same command again" in down.text

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'own.db'}")
    tracking.prepare_database(copy.root)
    locked(tmp_path / "own.db")
    told = medloop(copy, "run", "tiny")
    assert told.code == 0 and "mlp registered as tiny version 1" in told.text, told.text
    with sqlite3.connect(tmp_path / "own.db") as mlflow:
        found = set(mlflow.execute("select key, step, value from metrics"))
        states = mlflow.execute("select status from runs").fetchall()
    history = json.loads(copy.data("train", "mlp", "history.json").read_text())
    epochs = {(key, int(row["epoch"]), value) for row in history for key, value in row.items() if key != "epoch"}
    assert len(history) == 2 and epochs <= found
    assert {key for key, *_ in found} > {"test_auroc", "test_auroc_low", "mlp_test_auroc"}
    assert states == [("FINISHED",), ("FINISHED",)]


def test_another_server_is_told_of_today_at_once_and_of_earlier_runs_by_one_command(
    finished: Workspace,
    copy: Workspace,
    medloop: Callable[..., Outcome],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own, before = tmp_path / "own.db", journal.read(journal.path(copy.root, finished.key)).mlflow_runs
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{own}")
    told = medloop(copy, "run", "tiny")
    assert told.code == 0 and "✓ record@tiny" in told.text and "✓ train@" not in told.text, told.text
    assert "MLflow was elsewhere for 1 earlier runs; medloop doctor --mend" in told.text
    later = told.printed.split("\nrun ")[1].split()[0]
    assert f"1 runs are unknown to MLflow: {finished.key}" in medloop(copy, "doctor").text
    mended = medloop(copy, "doctor", "--mend")
    assert "1 runs are told to MLflow" in mended.text, mended.text
    assert "Nothing to do" in medloop(copy, "run", "tiny").text
    with sqlite3.connect(own) as mlflow:
        keys = mlflow.execute("select value from tags where key = 'medloop.run'").fetchall()
        assert mlflow.execute("select alias, version from registered_model_aliases").fetchall() == [("champion", 1)]
    assert {key for (key,) in keys} == {finished.key, later}
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert medloop(copy, "doctor", "--mend").code in (0, 1)  # the journals name the runs of the first again
    assert journal.read(journal.path(copy.root, finished.key)).mlflow_runs == before

"""Fault 44, slow: MLflow's own server behind one that holds answers back, and drops the first of each kind."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.func.conftest import Outcome
from tests.workspace import Workspace

TIMEOUT_S = 1  # how long medloop's client waits for an answer here; a minute elsewhere


class Slow:
    """Every answer takes a while; the first of each kind so long that nobody waits for it, though the work was done."""

    def __init__(self, app: Any, done: Path) -> None:
        self.app, self.done = app, done
        self.dropped, self.early = set[str](), list[str]()

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        kind = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO'].rpartition('/')[2]}"
        self.early += [] if self.done.exists() else [kind]
        answer = self.app(environ, start)
        first = kind.startswith("POST") and kind not in self.dropped
        self.dropped.add(kind)
        time.sleep(3 * TIMEOUT_S if first else 0.02)
        return answer


@pytest.fixture
def served(tmp_path: Path, copy: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Slow]]:
    from mlflow.server import app, handlers
    from werkzeug.serving import make_server

    from flows import tracking

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'slow.db'}")
    tracking.prepare_database(copy.root)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    for store in ("_tracking_store", "_model_registry_store", "_artifact_repo"):
        monkeypatch.setattr(handlers, store, None)
    for name, value in (
        ("FILE_STORE", f"sqlite:///{tmp_path / 'slow.db'}"),
        ("ARTIFACT_ROOT", "mlflow-artifacts:/"),
        ("ARTIFACT_DESTINATION", str(tmp_path / "artifacts")),
        ("SERVE_ARTIFACTS", "true"),
    ):
        monkeypatch.setenv(f"_MLFLOW_SERVER_{name}", value)
    # a server of MLflow's makes its database that of its whole process, so of every test after this one
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils.set_tracking_uri", lambda _: None)
    monkeypatch.setattr("mlflow.tracking._model_registry.utils.set_registry_uri", lambda _: None)
    slow = Slow(app, copy.data("compare", "leaderboard.json"))
    server = make_server("127.0.0.1", 0, slow, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", slow
    server.shutdown()


def test_44_a_slow_server_is_waited_for_after_training_alone_and_has_every_metric_once(
    copy: Workspace,
    medloop: Callable[..., Outcome],
    served: tuple[str, Slow],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, slow = served
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(TIMEOUT_S))
    copy.write_study(lambda study: study.update(train={"epochs": 2}, models={"mlp": {}}))
    slow.done.unlink()
    told = medloop(copy, "run", "tiny")
    assert told.code == 0, told.text
    assert {"POST create", "POST log-batch"} <= slow.dropped and slow.early == []
    with sqlite3.connect(tmp_path / "slow.db") as mlflow:
        rows = mlflow.execute("select m.key from metrics m join runs r using (run_uuid) where status = 'FINISHED'")
        keys = [key for (key,) in rows]
        versions = mlflow.execute("select version from model_versions").fetchall()
        open_still = mlflow.execute("select count(*) from runs where status = 'RUNNING'").fetchone()
    assert keys.count("validation_auroc") == 2 and keys.count("test_auroc") == 1
    assert (versions, open_still) == ([(1,)], (0,))

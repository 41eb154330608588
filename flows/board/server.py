"""MLflow's own server, which the board is part of: asked in the same process and as the same user."""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from flask import Flask, g, request
from sqlalchemy import Connection

from flows.board import database as db

STEP = 1000
LARGEST = 64 << 20  # bytes of a file that is shown


@dataclass(frozen=True, kw_only=True)
class Board:
    """What the pages are about. `root`: the workspace, where the server has one. `prefix`: of MLflow's addresses.

    mlflow: the application that is asked for files and permissions, and that writes tags
    guarded: MLflow asks every user for a password
    """

    root: Path | None
    uri: str
    mlflow: Flask
    prefix: str = ""
    guarded: bool = False

    @contextmanager
    def reading(self) -> Iterator[tuple[Connection, Collection[int] | None]]:
        """A connection, and the experiments that the user may see; None: all."""
        with db.opened(self.uri).connect() as connection:
            yield connection, g.visible if self.guarded else None

    def ask(self, method: str, path: str, **content: Any) -> tuple[int, bytes]:
        """The status and body that MLflow answers; the user's password goes with it, so that permissions hold."""
        kept = {name: value for name in ("Authorization", "Cookie") if (value := request.headers.get(name))}
        told = {"headers": kept, "base_url": request.host_url, **content}
        answer = self.mlflow.test_client(use_cookies=False).open(f"{self.prefix}{path}", method=method, **told)
        return answer.status_code, answer.get_data()

    def artifact(self, run_id: str, path: str) -> bytes | None:
        """A file of a run; None where there is none, or none for this user."""
        query = urlencode({"path": path, "run_uuid": run_id}, quote_via=quote)
        status, body = self.ask("GET", f"/get-artifact?{query}")
        return body if status == HTTPStatus.OK and len(body) <= LARGEST else None

    def artifacts(self, run_id: str) -> set[str]:
        """What lies at the top of a run's artifacts."""
        status, body = self.ask("GET", f"/api/2.0/mlflow/artifacts/list?{urlencode({'run_id': run_id})}")
        return {one["path"] for one in json.loads(body).get("files", [])} if status == HTTPStatus.OK else set()

    def set_tag(self, run_id: str, key: str, value: str) -> int:
        """Sets a tag, or takes it away where the value is empty; MLflow's status."""
        told = {"run_id": run_id, "key": key, **({"value": value} if value else {})}
        return self.ask("POST", f"/api/2.0/mlflow/runs/{'set' if value else 'delete'}-tag", json=told)[0]

    def visible(self) -> set[int] | None:
        """The experiments that the user may read; None for one whom MLflow does not know."""
        found, token = set[int](), ""
        while True:
            told = {"max_results": STEP, "view_type": "ALL", **({"page_token": token} if token else {})}
            status, body = self.ask("POST", "/api/2.0/mlflow/experiments/search", json=told)
            if status != HTTPStatus.OK:
                return None
            answer = json.loads(body)
            found |= {int(one["experiment_id"]) for one in answer.get("experiments", [])}
            token = answer.get("next_page_token", "")
            if not token:
                return found

"""What the board asks MLflow itself, in the same process and as the same user, so that MLflow's permissions hold."""

import json
from typing import Any
from urllib.parse import quote, urlencode

from flask import current_app, request

STEP = 1000


def ask(method: str, path: str, **content: Any) -> tuple[int, bytes]:
    """The status and body that MLflow's own server answers; the user's password goes with it."""
    kept = {name: value for name in ("Authorization", "Cookie") if (value := request.headers.get(name))}
    told = {"headers": kept, "base_url": request.host_url, **content}
    answer = current_app.test_client(use_cookies=False).open(path, method=method, **told)
    return answer.status_code, answer.get_data()


def artifact(prefix: str, run_id: str, path: str) -> bytes | None:
    """A file of a run; None where there is none, or none for this user."""
    query = urlencode({"path": path, "run_uuid": run_id}, quote_via=quote)
    status, body = ask("GET", f"{prefix}/get-artifact?{query}")
    return body if status == 200 else None


def listing(prefix: str, run_id: str) -> list[str]:
    """What lies at the top of a run's artifacts."""
    status, body = ask("GET", f"{prefix}/api/2.0/mlflow/artifacts/list?{urlencode({'run_id': run_id})}")
    return [one["path"] for one in json.loads(body).get("files", [])] if status == 200 else []


def set_tag(prefix: str, run_id: str, key: str, value: str) -> int:
    """Sets a tag, or takes it away where the value is empty; MLflow's status."""
    told = {"run_id": run_id, "key": key, **({"value": value} if value else {})}
    return ask("POST", f"{prefix}/api/2.0/mlflow/runs/{'set' if value else 'delete'}-tag", json=told)[0]


def visible(prefix: str) -> set[int]:
    """The experiments that the user may read."""
    found, token = set[int](), ""
    while True:
        told = {"max_results": STEP, "view_type": "ALL", **({"page_token": token} if token else {})}
        status, body = ask("POST", f"{prefix}/api/2.0/mlflow/experiments/search", json=told)
        if status != 200:
            return found
        answer = json.loads(body)
        found |= {int(one["experiment_id"]) for one in answer.get("experiments", [])}
        token = answer.get("next_page_token", "")
        if not token:
            return found

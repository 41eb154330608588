"""What MLflow has of many runs: read off its own database where that lies here, which takes a twentieth of the time."""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows import tracking
from flows.servers import tracking_uri

ALIKE = {"medloop.kind": "model"}


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A run as MLflow has it; `metrics` the latest values."""

    run_id: str
    study: str
    started: int
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]


def by_ids(root: Path, ids: Sequence[str]) -> dict[str, Stored]:
    """The runs of these ids that there are."""
    own = _database(root)
    if own is None:
        listed = ", ".join(f"'{one}'" for one in dict.fromkeys(ids))
        return _asked(root, f"attributes.run_id IN ({listed})") if ids else {}
    with closing(sqlite3.connect(own, uri=True, timeout=30)) as database:
        return _read(database, list(dict.fromkeys(ids)))


def alike(root: Path, tags: Mapping[str, str]) -> dict[str, Stored]:
    """The models' runs with these tags, whose values hold no quote."""
    wanted = {**ALIKE, **tags}
    own = _database(root)
    if own is None:
        return _asked(root, " and ".join(f"tags.`{key}` = '{value}'" for key, value in wanted.items()))
    of_tag = "select run_uuid from tags where key = ? and value = ?"
    query = " intersect ".join([of_tag] * len(wanted))
    with closing(sqlite3.connect(own, uri=True, timeout=30)) as database:
        found = database.execute(query, [text for pair in wanted.items() for text in pair]).fetchall()
        return _read(database, [run_id for (run_id,) in found])


def _database(root: Path) -> str | None:
    """Where MLflow's own database can be read; None where a team's server has it."""
    uri = tracking_uri(root)
    path = Path(uri.removeprefix("sqlite:///"))
    return f"{path.as_uri()}?mode=ro" if uri.startswith("sqlite:///") and path.is_file() else None


def _read(database: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Stored]:
    among = f"run_uuid in ({', '.join('?' * len(ids))})"
    about: dict[str, dict[str, dict[str, Any]]] = {}
    for table in ("tags", "params", "latest_metrics"):
        values: dict[str, dict[str, Any]] = defaultdict(dict)
        for run_id, key, value in database.execute(f"select run_uuid, key, value from {table} where {among}", ids):
            values[run_id][key] = value
        about[table] = values
    heads = database.execute(
        "select r.run_uuid, e.name, r.start_time from runs r join experiments e using (experiment_id) "
        f"where r.{among} and r.lifecycle_stage = 'active'",
        ids,
    )
    return {
        run_id: Stored(
            run_id=run_id,
            study=study,
            started=int(started or 0),
            tags=about["tags"][run_id],
            params=about["params"][run_id],
            metrics=about["latest_metrics"][run_id],
        )
        for run_id, study, started in heads
    }


def _asked(root: Path, clause: str) -> dict[str, Stored]:
    mlflow = tracking.client(root)
    studies = {one.experiment_id: one.name for one in mlflow.search_experiments()}
    return {
        one.info.run_id: Stored(
            run_id=one.info.run_id,
            study=studies[one.info.experiment_id],
            started=int(one.info.start_time or 0),
            tags=one.data.tags,
            params=one.data.params,
            metrics=one.data.metrics,
        )
        for one in mlflow.search_runs(list(studies), clause, max_results=5000)
    }

"""An MLflow database for the board's tests, with MLflow's own tables, filled by SQL."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, insert, text

from flows.board import database as db

TABLES = (
    *("experiments", "runs", "latest_metrics", "metrics", "params", "tags", "registered_models", "model_versions"),
    *("registered_model_tags", "registered_model_aliases", "model_version_tags"),
)
START = 1_790_000_000_000  # milliseconds since 1970


def make_database(path: Path, studies: Sequence[str] = ("heart", "liver")) -> str:
    """An empty database with these experiments, numbered from 1; its address."""
    import mlflow.store.model_registry.dbmodels.models  # noqa: F401  (adds its tables)
    from mlflow.store.tracking.dbmodels.models import Base

    uri = f"sqlite:///{path}"
    engine = create_engine(uri)
    Base.metadata.create_all(engine, tables=[Base.metadata.tables[name] for name in TABLES])
    with engine.begin() as c:
        for number, name in enumerate(studies, start=1):
            add_study(c, number, name)
    engine.dispose()
    return uri


def add_study(c: Connection, number: int, name: str) -> None:
    said = {"n": number, "name": name}
    c.execute(
        text(
            "INSERT INTO experiments (experiment_id, name, lifecycle_stage, workspace, artifact_location)"
            " VALUES (:n, :name, 'active', 'default', '')"
        ),
        said,
    )


def add_run(
    c: Connection,
    run_id: str,
    study: int = 1,
    *,
    model: str = "mlp",
    name: str = "",
    kind: str = "model",
    at: int = 0,
    status: str = "FINISHED",
    metrics: Mapping[str, float] | None = None,
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """A run as `flows.record` leaves it, `at` milliseconds after the first."""
    add_runs(c, [run(run_id, study, model, name, kind, at, status, metrics or {}, params or {}, tags or {})])


def run(
    run_id: str,
    study: int,
    model: str,
    name: str,
    kind: str,
    at: int,
    status: str,
    metrics: Mapping[str, float],
    params: Mapping[str, str],
    tags: Mapping[str, str],
) -> dict[str, Any]:
    """What `add_runs` takes."""
    of = {"medloop.model": model} if kind == "model" else {}
    return {
        "run": {
            "run_uuid": run_id,
            "name": name or model,
            "status": status,
            "start_time": START + at,
            "end_time": START + at + 1000,
            "lifecycle_stage": "active",
            "artifact_uri": "",
            "experiment_id": study,
        },
        "metrics": metrics,
        "params": {"model": model, **params},
        "tags": {"medloop.kind": kind, "medloop.run": f"key-{run_id}", **of, **tags},
    }


def add_runs(c: Connection, runs: Sequence[Mapping[str, Any]]) -> None:
    """Many at once."""
    made = {"user_id": "", "source_type": "UNKNOWN"}  # which MLflow cannot do without
    names = [*runs[0]["run"], *made]
    of, values = ", ".join(names), ", ".join(f":{name}" for name in names)
    c.execute(text(f"INSERT INTO runs ({of}) VALUES ({values})"), [{**one["run"], **made} for one in runs])
    for name in ("params", "tags"):
        rows = [
            {"run_uuid": one["run"]["run_uuid"], "key": k, "value": v} for one in runs for k, v in one[name].items()
        ]
        c.execute(insert({"params": db.params, "tags": db.tags}[name]), rows)
    values = [
        {"run_uuid": one["run"]["run_uuid"], "key": k, "value": v, "step": 0, "timestamp": START, "is_nan": v != v}
        for one in runs
        for k, v in one["metrics"].items()
    ]
    for table in ("latest_metrics", "metrics") if values else ():
        c.execute(
            text(
                f"INSERT INTO {table} (run_uuid, key, value, step, timestamp, is_nan)"
                " VALUES (:run_uuid, :key, :value, :step, :timestamp, :is_nan)"
            ),
            [{**one, "value": 0.0 if one["is_nan"] else one["value"]} for one in values],
        )


def register(c: Connection, study: str, number: int, run_id: str, alias: str = "") -> None:
    """A registered version, and its alias."""
    said = {"name": study, "n": number, "run": run_id, "alias": alias}
    c.execute(
        text("INSERT OR IGNORE INTO registered_models (name, workspace, creation_time) VALUES (:name, 'default', 0)"),
        said,
    )
    c.execute(
        text(
            "INSERT INTO model_versions (name, version, run_id, creation_time, workspace)"
            " VALUES (:name, :n, :run, 0, 'default')"
        ),
        said,
    )
    if alias:
        c.execute(
            text(
                "INSERT INTO registered_model_aliases (name, alias, version, workspace)"
                " VALUES (:name, :alias, :n, 'default')"
            ),
            said,
        )

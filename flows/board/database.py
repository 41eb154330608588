"""MLflow's tables, and a connection that can only read them; SQLite and PostgreSQL."""

import sqlite3
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import BigInteger, Boolean, Engine, Float, Integer, Select, String, column, create_engine, select, table
from sqlalchemy import func as sql
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool

RUN, KEY, VALUE = "run_uuid", "key", "value"
ACTIVE = "active"

runs = table(
    "runs",
    column(RUN, String),
    column("name", String),
    column("status", String),
    column("start_time", BigInteger),
    column("end_time", BigInteger),
    column("lifecycle_stage", String),
    column("artifact_uri", String),
    column("experiment_id", Integer),
)
experiments = table(
    "experiments", column("experiment_id", Integer), column("name", String), column("lifecycle_stage", String)
)
metrics = table(
    "latest_metrics", column(KEY, String), column(VALUE, Float), column("is_nan", Boolean), column(RUN, String)
)
history = table(
    "metrics",
    column(KEY, String),
    column(VALUE, Float),
    column("step", BigInteger),
    column("is_nan", Boolean),
    column(RUN, String),
)
params = table("params", column(KEY, String), column(VALUE, String), column(RUN, String))
tags = table("tags", column(KEY, String), column(VALUE, String), column(RUN, String))
versions = table(
    "model_versions",
    column("name", String),
    column("version", Integer),
    column("run_id", String),
    column("creation_time", BigInteger),
)
aliases = table("registered_model_aliases", column("alias", String), column("version", Integer), column("name", String))
model_tags = table("registered_model_tags", column(KEY, String), column(VALUE, String), column("name", String))
version_tags = table(
    "model_version_tags",
    column(KEY, String),
    column(VALUE, String),
    column("name", String),
    column("version", Integer),
)


def with_study() -> Select[Any]:
    """Every run with the name of its study."""
    joined = runs.join(experiments, runs.c.experiment_id == experiments.c.experiment_id)
    return select(runs, experiments.c.name.label("study")).select_from(joined)


@cache
def opened(uri: str) -> Engine:
    """The database at MLflow's own address of it, for reading only."""
    address = make_url(uri)
    if address.get_backend_name() != "sqlite":
        return create_engine(address, pool_pre_ping=True).execution_options(postgresql_readonly=True)
    path = quote(str(Path(str(address.database)).resolve()))

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30, check_same_thread=False)
        connection.execute("PRAGMA query_only=ON")
        return connection

    return create_engine("sqlite://", creator=connect, poolclass=QueuePool)


def keys(of: Any) -> Select[Any]:
    """Every key of a table once, in order: from one to the next by the index, however many rows there are."""
    found = select(sql.min(of.c.key).label(KEY)).cte("found", recursive=True)
    after = select(sql.min(of.c.key)).where(of.c.key > found.c.key).scalar_subquery()
    found = found.union_all(select(after).where(found.c.key.is_not(None)))
    return select(found.c.key).where(found.c.key.is_not(None))

"""The rows of a query, read-only, from SQLite or PostgreSQL."""

import hashlib
import os
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import quote

import numpy as np
import pandas as pd
from pydantic import model_validator

from contracts.errors import MedloopError
from contracts.study import Frozen
from pipelines.sources.raw import Raw, UnreachableError, text_column, tidy_header

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine
    from sqlalchemy.exc import DBAPIError

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
PASSWORD = re.compile(r"://[^:/]*:([^@]*)@|[?&](?:password|passwd|pwd|sslpassword)=([^&#]*)", re.IGNORECASE)
NOISE = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)  # literals and comments
DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


class SqlSource(Frozen):
    """The result of `query` (one SELECT) or the whole `table` (`schema.table`) of the database at `url`.

    `url` names passwords as environment variables: postgresql://reader:${DB_PASSWORD}@host/db.
    A relative SQLite path begins at the repository: sqlite:///data/study.db.
    """

    kind: Literal["sql"] = "sql"
    url: str
    query: str | None = None
    table: str | None = None

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if (self.query is None) == (self.table is None):
            raise ValueError("a SQL source has either `query` or `table`")
        return self


def read_sql(source: SqlSource, *, root: Path) -> Raw:
    """The rows as text, sorted by all columns, since a database promises no order; `@row` counts from 1.

    Raises MedloopError for a variable that is not set, a password in plain sight, anything but one SELECT, a
    query that fails and values that are no plain ones; UnreachableError when the database does not answer.
    """
    url = _url(source.url, root)
    where = f"database {Path(url.database or '').name}"
    engine = _engine(url, where=where)
    names, rows = _rows(engine, _statement(source, engine, where=where), where=where)
    engine.dispose()
    header = tidy_header(names, where=where)
    if not rows:
        raise MedloopError("a table has rows; the query gave none", where=where, mend="check the query's conditions")
    cells = zip(header, zip(*rows, strict=True), strict=True)
    table = pd.DataFrame({name: text_column(values, name, where=where) for name, values in cells})
    table = table.sort_values(header, ignore_index=True)
    facts: dict[str, object] = {
        "kind": "sql",
        "backend": url.get_backend_name(),
        "database": Path(url.database or "").name,
        "asked": source.query or source.table,
        "sha256": hashlib.sha256(table.to_csv(index=False).encode()).hexdigest(),
        "rows": len(table),
        "columns": len(header),
    }
    table.insert(0, "@row", np.arange(1, len(table) + 1, dtype=np.int64))
    return Raw(table=table, provenance=facts)


def fingerprint_sql(source: SqlSource, *, root: Path) -> dict[str, object]:
    """The number and the SHA-256 of the rows that the query gives now."""
    facts = read_sql(source, root=root).provenance
    return {"rows": facts["rows"], "sha256": facts["sha256"]}


def _url(template: str, root: Path) -> "URL":
    """The address with its variables filled in and a relative SQLite path beginning at `root`."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    passwords = [user or query for user, query in PASSWORD.findall(template)]
    if not all(VARIABLE.fullmatch(password) for password in passwords if password):
        raise MedloopError(
            "a password stands in the study",
            where="source, url",
            mend="keep it in an environment variable: postgresql://user:${DB_PASSWORD}@host/database",
        )
    # A variable that is only a part may hold any character; one that is all is an address already.
    safe = ":/?#[]@!$&'()*+,;=%" if VARIABLE.fullmatch(template) else ""
    filled = VARIABLE.sub(lambda found: quote(_variable(found[1]), safe=safe), template)
    try:
        url = make_url(filled)
    except (ArgumentError, ValueError) as error:
        raise MedloopError(
            "the database's address is not one", where="source, url", mend="write it like sqlite:///data/study.db"
        ) from error
    backend = url.drivername.partition("+")[0]
    if backend not in DRIVERS:
        raise MedloopError(f"databases are SQLite and PostgreSQL; got {backend}", where="source, url")
    url = url.set(drivername=DRIVERS[backend])
    return url.set(database=str(root / (url.database or ""))) if backend == "sqlite" else url


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise MedloopError(f"the environment variable {name} is not set", where="source, url", mend=f"export {name}=…")
    return value


def _engine(url: "URL", *, where: str) -> "Engine":
    """A connection that can only read."""
    from sqlalchemy import create_engine

    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        if not path.is_file():
            raise MedloopError("there is no such SQLite file", where=where, mend="correct `url` under source")
        # Opened for reading: SQLite would otherwise make a database that is not there.
        address = f"file:{quote(str(path))}?mode=ro"
        return create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True))
    return create_engine(url, connect_args={"connect_timeout": 15}, execution_options={"postgresql_readonly": True})


def _statement(source: SqlSource, engine: "Engine", *, where: str) -> str:
    if source.table is not None:
        quoted = engine.dialect.identifier_preparer.quote_identifier
        return f"SELECT * FROM {'.'.join(quoted(part) for part in source.table.split('.'))}"
    try:
        return check_select(str(source.query))
    except ValueError as error:
        raise MedloopError(str(error), where=where, mend="write a single SELECT (or WITH … SELECT)") from None


def check_select(query: str) -> str:
    """The query without its last semicolon. Raises ValueError for anything but one SELECT."""
    query = query.strip().rstrip(";")
    bare = NOISE.sub(" ", query)
    if ";" in bare or not re.match(r"\s*(select|with)\b", bare, re.IGNORECASE):
        raise ValueError("a query is one SELECT")
    return query


def _rows(engine: "Engine", statement: str, *, where: str) -> tuple[list[str], list[tuple[object, ...]]]:
    from sqlalchemy.exc import DataError, DBAPIError

    try:
        connection = engine.connect()
    except DBAPIError as error:
        raise UnreachableError(
            f"the database does not answer: {_told(error, engine)}",
            where=where,
            mend="check address, network and rights",
        ) from None
    with connection:
        try:
            # Without parameters, so that a % or a colon in the query is left alone.
            result = connection.execution_options(no_parameters=True).exec_driver_sql(statement)
            return list(result.keys()), [tuple(row) for row in result]
        except DataError as error:  # its text quotes the value
            raise MedloopError("the query fails on a value", where=where, mend="try it in the database") from error
        except DBAPIError as error:
            raise MedloopError(
                f"the query fails: {_told(error, engine)}", where=where, mend="correct the query"
            ) from None


def _told(error: "DBAPIError", engine: "Engine") -> str:
    """The first line of what the driver says, without the password."""
    line = next(iter(str(error.orig).splitlines()), type(error.orig).__name__)
    url = engine.url
    for secret in (url.password, url.query.get("password"), url.query.get("sslpassword")):
        line = line.replace(str(secret), "***") if secret else line
    return line

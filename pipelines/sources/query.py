"""Several sources joined by SQL: loaded into a SQLite database in memory, which a study may read and no more.

A cell that reads the same as a number, digit for digit, is stored as that number, so that `days <= 0` compares numbers
and `007` stays an id; every other cell is text, and a blank one NULL. What comes out is as it was written.
"""

import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator

from contracts.errors import MedloopError
from contracts.frames import with_columns
from contracts.names import nearest
from contracts.study import Frozen
from pipelines.sources.file import FileSource
from pipelines.sources.long import Long, LongNames, sequences_of
from pipelines.sources.raw import Raw, text_column, tidy_header
from pipelines.sources.sql import SqlSource, check_select
from pipelines.sources.wheel import WheelSource

Table = Annotated[FileSource | WheelSource | SqlSource, Field(discriminator="kind")]

Value = str | int | float | None  # of a cell in SQLite

LIMIT_SECONDS = 300
LIMIT_BYTES = 1 << 28  # of one value that a query makes up
QUOTED = re.compile(r"""--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"(?P<name>[^"\]]+)\"""", re.DOTALL)
INTEGER = re.compile(r"0|-?[1-9]\d{0,17}")
REAL = re.compile(r"-?\d+\.\d+(?:e[-+]\d+)?|-?\d+e[-+]\d+")
CHANGING = ("random", "randomblob", "load_extension", "current_date", "current_time", "current_timestamp", "readfile")


class Sequences(LongNames):
    """A long table as a payload column: one row a measurement (`channel`, `value`) or a moment (`values`).

    query: gives the rows; `id` is their column that equals the main table's column `key`; `time` is a number
    channels: those taken, in this order (none: all, sorted)
    """

    query: str
    key: str

    @field_validator("query")
    @classmethod
    def _one_select(cls, query: str) -> str:
        return check_select(query)


class QuerySource(Frozen):
    """The rows that one SELECT makes of several `tables`, and payload columns of `sequences` beside them.

    In SQL there are further `regexp_extract(text, pattern, group)`, NULL where nothing matches, and REGEXP.
    """

    kind: Literal["query"] = "query"
    tables: dict[str, Table] = Field(min_length=1)
    query: str
    sequences: dict[str, Sequences] = Field(default={})

    @field_validator("query")
    @classmethod
    def _one_select(cls, query: str) -> str:
        return check_select(query)

    @model_validator(mode="after")
    def _plain_names(self) -> Self:
        names = [*self.tables, *self.sequences]
        odd = next((name for name in names if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,62}", name)), None)
        if odd is not None:
            raise ValueError(f"{odd!r}: tables and sequences are named by letters, digits and _")
        return self


def read_query(source: QuerySource, tables: Mapping[str, Raw]) -> Raw:
    """The rows sorted by all columns, `@row` as `query:1`; the tables' own lines set aside as `TABLE:line`.

    Provenance: of every table, and of every sequence what `long.sequences_of` counts. Raises MedloopError for a query
    that fails, writes or takes too long, for a key that is not there, and when two tables have payloads.
    """
    with _database(tables) as connection:
        main = _main(connection, source.query)
        longs = {name: _long(connection, main, name, asked) for name, asked in source.sequences.items()}
    holder = _holder(source, tables)
    positions = {name: long.cells for name, long in longs.items()}
    own = {name: held for name, held in holder.payloads.items() if name in main} if holder else {}
    quarantines = [_placed(raw.quarantine, name) for name, raw in tables.items()]
    return Raw(
        table=with_columns(main, positions),
        provenance={
            "kind": "query",
            "query": source.query,
            "rows": len(main),
            "columns": len(main.columns) - 1 + len(longs),
            "tables": {name: raw.provenance for name, raw in tables.items()},
            "sequences": {name: {"query": source.sequences[name].query, **long.facts} for name, long in longs.items()},
        },
        quarantine=pd.concat(
            [*quarantines, *(_placed(long.faults, n) for n, long in longs.items())], ignore_index=True
        ),
        opened=holder.opened if holder else None,
        payloads={**own, **{name: long.payloads for name, long in longs.items()}},
    )


def _holder(source: QuerySource, tables: Mapping[str, Raw]) -> Raw | None:
    """The one table that has payloads."""
    names = [name for name, raw in tables.items() if raw.payloads or _declares_files(source.tables[name])]
    if len(names) > 1:
        raise MedloopError(
            f"one table of a query may have payloads; here are {' and '.join(names)}",
            where="source, tables",
            mend="take `files` and `folder` from all but one",
        )
    return tables[names[0]] if names else None


def _declares_files(table: FileSource | WheelSource | SqlSource) -> bool:
    return not isinstance(table, SqlSource) and (table.files or table.folder) is not None


def _main(connection: sqlite3.Connection, query: str) -> pd.DataFrame:
    frame = _selected(connection, query, "source, query")
    if frame.empty:
        raise MedloopError("the query gives no rows", where="source, query", mend="correct its conditions")
    header = tidy_header([str(name) for name in frame.columns], where="source, query")
    texts = [text_column(frame.iloc[:, i].tolist(), name, where="source, query") for i, name in enumerate(header)]
    table = pd.DataFrame(dict(zip(header, texts, strict=True))).sort_values(header, kind="stable", ignore_index=True)
    table.insert(0, "@row", ("query:" + pd.Series(np.arange(1, len(table) + 1)).astype("str")).astype("str"))
    return table


def _long(connection: sqlite3.Connection, main: pd.DataFrame, name: str, asked: Sequences) -> Long:
    where = f"source, sequences.{name}"
    if name in main:
        raise MedloopError(f"the query has a column {name} already", where=where, mend="rename one of them")
    if asked.key not in main:
        raise MedloopError(
            f"the query has no column {asked.key}{nearest(asked.key, main.columns.astype(str))}",
            where=where,
            mend="correct `key`",
        )
    rows = _selected(connection, asked.query, f"{where}.query")
    return sequences_of(rows, main[asked.key], asked, where=where)


def _bracketed(query: str) -> str:
    """The query with "name" as [name]: SQLite takes a "name" that is no column for a text, and says nothing."""
    return QUOTED.sub(lambda found: f"[{found['name']}]" if found["name"] else found[0], query)


def _placed(quarantine: pd.DataFrame, name: str) -> pd.DataFrame:
    return quarantine.assign(**{"@row": (f"{name}:" + quarantine["@row"].astype("str")).astype("str")})


@contextmanager
def _database(tables: Mapping[str, Raw]) -> Iterator[sqlite3.Connection]:
    """The tables in memory, which can be read and not written."""
    connection = sqlite3.connect(":memory:")
    try:
        for name, raw in tables.items():
            _load(connection, name, raw.table)
        _guard(connection)
        yield connection
    finally:
        connection.close()


def _load(connection: sqlite3.Connection, name: str, table: pd.DataFrame) -> None:
    columns = [column for column in table.columns if not column.startswith("@")]
    quoted = ", ".join('"' + column.replace('"', '""') + '"' for column in columns)
    cells = [_stored(table[column]) for column in columns]
    marks = ", ".join("?" * len(columns))
    try:
        connection.execute(f'CREATE TABLE "{name}" ({quoted})')
        connection.executemany(f'INSERT INTO "{name}" VALUES ({marks})', zip(*cells, strict=True))
    except sqlite3.Error as error:
        raise MedloopError(
            f"the table cannot be loaded into SQLite: {error}",
            where=f"source, tables.{name}",
            mend="its names must differ by more than case, and be less than 2,000",
        ) from error


def _stored(column: "pd.Series") -> list[object]:
    """Each cell as SQL sees it; every different text is looked at once."""
    is_filled = (column != "").to_numpy()
    filled = column[is_filled]
    stored = np.full(len(column), None, dtype=object)
    if filled.str.fullmatch(INTEGER.pattern).all():
        stored[is_filled] = filled.astype("int64").to_numpy()
    else:
        codes, uniques = pd.factorize(filled)
        values = np.array([_value(text) for text in uniques.tolist()], dtype=object)
        stored[is_filled] = values[codes]
    cells: list[object] = stored.tolist()
    return cells


def _value(text: str) -> Value:
    if text == "":
        return None
    if INTEGER.fullmatch(text):
        return int(text)
    return number if REAL.fullmatch(text) and repr(number := float(text)) == text else text


def _guard(connection: sqlite3.Connection) -> None:
    connection.create_function("regexp_extract", 3, _regexp_extract, deterministic=True)
    connection.create_function("regexp", 2, _regexp, deterministic=True)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LIMIT_BYTES)
    connection.set_authorizer(_permit)


def _permit(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    reading = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE)
    function = action == sqlite3.SQLITE_FUNCTION and str(second).lower() not in CHANGING
    return sqlite3.SQLITE_OK if action in reading or function else sqlite3.SQLITE_DENY


def _regexp_extract(text: object, pattern: str, group: int) -> Value:
    found = None if text is None else re.search(pattern, str(text))
    return _value(found[group] or "") if found else None


def _regexp(pattern: str, text: object) -> bool | None:
    return None if text is None else re.search(pattern, str(text)) is not None


def _selected(connection: sqlite3.Connection, query: str, where: str) -> pd.DataFrame:
    """What a query gives, within the time; every cell as SQLite holds it."""
    connection.set_progress_handler(_stop_after(LIMIT_SECONDS), 100_000)
    try:
        cursor = connection.execute(_bracketed(query))
        names = [name for name, *_ in cursor.description]
        rows = cursor.fetchall()
    except (sqlite3.Error, sqlite3.Warning) as error:
        slow = "interrupted" in str(error)
        told = f"the query takes more than {LIMIT_SECONDS} s" if slow else f"the query fails: {error}"
        raise MedloopError(told, where=where, mend="write one SELECT that reads the tables under source") from error
    cells = list(zip(*rows, strict=True)) or [()] * len(names)
    return pd.concat([pd.Series(column, dtype=object, name=n) for n, column in zip(names, cells, strict=True)], axis=1)


def _stop_after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end

"""Where a study's rows come from: the only part of `pipelines` that knows paths and networks.

`read` gives every cell as text; nothing is guessed. A new kind of source is one file here and one line in `Source`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from pipelines.sources.file import FileSource, fingerprint_file, read_file
from pipelines.sources.file_pieces import Tell, read_file_pieces
from pipelines.sources.query import QuerySource, read_query
from pipelines.sources.raw import Layout, Raw, UnreachableError
from pipelines.sources.sql import SqlSource, fingerprint_sql, read_sql
from pipelines.sources.wheel import WheelSource, read_wheel

__all__ = [
    "FileSource",
    "Layout",
    "QuerySource",
    "Raw",
    "Source",
    "SqlSource",
    "UnreachableError",
    "WheelSource",
    "fingerprint",
    "read",
    "read_pieces",
]

Source = Annotated[FileSource | WheelSource | SqlSource | QuerySource, Field(discriminator="kind")]


def read(source: Source, *, root: Path, cache: Path) -> Raw:
    """The source's rows as text, their provenance, and the lines set aside.

    `root` is where relative paths begin; `cache` keeps what was fetched. The provenance is the same for the same
    bytes: no times, no directories of this machine, no credentials. Raises MedloopError for faults in the data or the
    settings, and UnreachableError, one of its kind, for those that may pass.
    """
    match source:
        case FileSource():
            return read_file(source, root=root)
        case WheelSource():
            return read_wheel(source, cache=cache)
        case SqlSource():
            return read_sql(source, root=root)
        case QuerySource():
            return read_query(
                source, {name: read(table, root=root, cache=cache) for name, table in source.tables.items()}
            )


def read_pieces(
    source: Source, *, root: Path, cache: Path, block: int, tell: Tell = lambda said: None
) -> Iterator[Raw]:
    """What `read` gives, in pieces of about `block` bytes of text, of which the last has the provenance.

    Files are never whole in memory (see `read_file_pieces`). Wheels, databases, whose rows are sorted, and queries
    are one piece. A fault is raised at the piece that shows it; `tell` is told how far a long reading is.
    """
    if isinstance(source, FileSource):
        yield from read_file_pieces(source, root=root, block=block, tell=tell)
    else:
        yield read(source, root=root, cache=cache)


def fingerprint(source: Source, *, root: Path) -> dict[str, object]:
    """What the source holds now, told as cheaply as can be trusted; it differs when the data do."""
    match source:
        case FileSource():
            return fingerprint_file(source, root=root)
        case WheelSource():
            return {"sha256": source.sha256}
        case SqlSource():
            return fingerprint_sql(source, root=root)
        case QuerySource():
            return {name: fingerprint(table, root=root) for name, table in source.tables.items()}

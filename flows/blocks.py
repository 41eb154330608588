"""Tables in blocks on the disk: read a block, or a column, at a time, here or by the workers of a cluster."""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from contracts.errors import MedloopError
from contracts.tables import PARTS
from flows.memory import available
from flows.store import blocks, read_table, write_table
from pipelines.table import Block, Each, Held, Table, places_among

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

Made = TypeVar("Made")
CLUSTER = "MEDLOOP_DASK"  # the environment variable that holds the address of a Dask scheduler
PATIENCE = "20s"
HELD = 1 << 30  # most bytes of a table in blocks that stay in memory, since the steps read a table several times
SHARE = 8  # and they are at most this part of the memory that there is
AT_ONCE = 2  # blocks or columns that threads work on here: what they hold is in memory at once


@dataclass(frozen=True)
class Stored:
    """A block that lies in a parquet file; `coded` as `read_table` says."""

    path: Path
    coded: bool = False

    @cached_property
    def _facts(self) -> tuple[list[str], int]:
        from pyarrow.parquet import ParquetFile

        with ParquetFile(self.path) as file:
            return file.schema_arrow.names, file.metadata.num_rows

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return self._facts[0]

    def __len__(self) -> int:
        return self._facts[1]

    def read(self, columns: Sequence[str] | None = None) -> "pd.DataFrame":
        """Its rows: all columns, or those asked for."""
        return read_table(self.path, columns, coded=self.coded, lean=True)


def stored(path: Path, *, coded: bool = False) -> Table:
    """A table of which nothing is in memory."""
    return Table(tuple(Stored(block, coded) for block in blocks(path)))


def open_table(path: Path, *, coded: bool = False) -> Table:
    """A table in one piece is read; of one in blocks, as many as memory may hold, and each other when it is asked for.

    Raises MedloopError when it is missing or damaged, and as `flows.memory.available`.
    """
    if not path.is_dir():
        return Table((Held(read_table(path, coded=coded)),))
    opened: list[Block] = []
    room = 0 if os.environ.get(CLUSTER) else min(HELD, available() // SHARE)  # a cluster's workers read for themselves
    for block in stored(path, coded=coded).blocks:
        table = block.read() if room > 0 else None
        room -= 0 if table is None else int(table.memory_usage(deep=True).sum())
        opened.append(block if table is None or room < 0 else Held(table))
    return Table(tuple(opened))


def placed(samples: Table, split: Path) -> "NDArray[np.intp]":
    """(N,) the part of each sample, as its place among PARTS, by a split that was written; -1 for those set aside."""
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(read_table, split, coded=True)
        ids, parts = samples["@id"], reading.result()
    if not ids.equals(parts["@id"]):  # rows in the same order, as the stages write them, need no look-up
        parts = parts.set_index("@id").reindex(ids)
    return places_among(PARTS, parts["@part"])


def places(path: Path, table: Table) -> list[Path]:
    """Where a table goes that is made of this one block by block: one file, or files in a folder, empty now."""
    many = len(table.blocks) > 1
    if path.is_dir():
        shutil.rmtree(path)
    elif many:
        path.unlink(missing_ok=True)
    return [path / f"{number:05d}.parquet" if many else path for number in range(len(table.blocks))]


def write_block(paths: Sequence[Path], number: int, table: "pd.DataFrame") -> Block:
    """Writes the block of this number."""
    write_table(paths[number], table)
    return Stored(paths[number])


def ahead(made: Iterable[Made]) -> Iterator[Made]:
    """What is made, of which the next is made while one is used."""
    with ThreadPoolExecutor(1) as maker:
        making = iter(made)
        coming: Future[Made | None] = maker.submit(next, making, None)
        while (one := coming.result()) is not None:
            coming = maker.submit(next, making, None)
            yield one
            del one


@contextmanager
def workers() -> Iterator[Each]:
    """What maps a function over blocks or columns: two threads, or the workers of the Dask cluster of MEDLOOP_DASK.

    The workers see the same files under the same paths, and have this version of medloop. Results come in the order
    of what was given, and an error as itself. Raises MedloopError when the cluster cannot be reached.
    """
    address = os.environ.get(CLUSTER)
    if not address:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield pool.map
        return
    from distributed import Client

    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise MedloopError(
            f"the Dask cluster cannot be reached ({type(error).__name__})",
            where=f"{CLUSTER}={address}",
            mend="start its scheduler, correct the address (tcp://host:8786), or unset the variable to work here",
        ) from None

    def each(function: Any, *given: Iterable[Any]) -> list[Any]:
        gathered: list[Any] = client.gather(client.map(function, *map(list, given), pure=False))
        return gathered

    with client:
        yield each

"""A table as blocks of rows that are read when they are asked for: one in memory, or many that no memory would hold.

What looks at whole rows goes block by block, what is fitted on a column reads that column of all blocks.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute

from contracts.frames import with_columns

Mask = NDArray[np.bool_]
Positions = NDArray[np.intp]
LOOKED_AT = 1 << 12  # rows that tell whether a column's texts repeat
Each = Callable[..., Iterable[Any]]  # `map`, or what does the same on many machines


class Block(Protocol):
    """Some rows of a table."""

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""

    def __len__(self) -> int: ...

    def read(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Its rows, numbered from 0: all columns, or those asked for."""


Keep = Callable[[int, pd.DataFrame], Block]  # puts the block of this number somewhere


@dataclass(frozen=True)
class Held:
    """A block in memory."""

    table: pd.DataFrame

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return list(self.table.columns)

    def __len__(self) -> int:
        return len(self.table)

    def read(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Its rows, not copied."""
        return self.table if columns is None else self.table[list(columns)]


def hold(number: int, table: pd.DataFrame) -> Block:
    """Keeps a block in memory."""
    return Held(table)


@dataclass(frozen=True)
class Chosen:
    """The rows of a block at these positions, in their order."""

    block: Block
    rows: Positions

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return self.block.columns

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The chosen rows, numbered from 0."""
        return self.block.read(columns).take(self.rows).reset_index(drop=True)


@dataclass(frozen=True)
class Table:
    """Blocks, one after the other; a block itself."""

    blocks: tuple[Block, ...]

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return self.blocks[0].columns

    @cached_property
    def starts(self) -> Positions:
        """(B + 1,) the position of each block's first row, and the number of rows."""
        return np.cumsum([0, *map(len, self.blocks)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> "pd.Series[Any]":
        return self.read([name])[name]

    def read(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """All rows, in memory."""
        return _stacked([block.read(columns) for block in self._filled])

    def take(self, at: Positions, columns: Sequence[str] | None = None, each: Each = map) -> pd.DataFrame:
        """The rows at these positions, which ascend; texts as such: the categories of few rows may be all that are."""
        return _stacked(list(each(partial(_texts, columns), self._chosen(at)._filled)))

    def where(self, kept: Mask) -> "Table":
        """The rows marked, (N,), in as many blocks."""
        return self if kept.all() else self._chosen(np.flatnonzero(kept))

    def ordered(self, name: str) -> "Table":
        """The rows in the order of a column of different values, as one block."""
        return Table((Chosen(self, np.asarray(self[name].argsort(), dtype=np.intp)),))

    def parted(self, of_rows: Positions) -> list[Positions]:
        """What is told of all rows, (N,), block by block."""
        return np.split(of_rows, self.starts[1:-1])

    @property
    def _filled(self) -> Sequence[Block]:
        return [block for block in self.blocks if len(block)] or self.blocks[:1]

    def _chosen(self, at: Positions) -> "Table":
        edges = np.searchsorted(at, self.starts)
        local = [at[edges[n] : edges[n + 1]] - start for n, start in enumerate(self.starts[:-1])]
        return Table(tuple(_rows_of(block, own) for block, own in zip(self.blocks, local, strict=True)))


def as_table(table: pd.DataFrame | Table) -> Table:
    """A table in memory is one of one block."""
    return Table((Held(table.reset_index(drop=True)),)) if isinstance(table, pd.DataFrame) else table


def coded(text: "pd.Series[str]") -> tuple[NDArray[np.integer[Any]], "pd.Series[str]"]:
    """(N,) a number for each cell, and the text of each number; that of a gap is blank.

    A categorical has them already, perhaps of more texts than it holds.
    """
    if isinstance(text.dtype, pd.CategoricalDtype) and not text.hasnans:
        return text.cat.codes.to_numpy(), pd.Series(text.cat.categories, dtype="str")
    codes, distinct = pd.factorize(text.astype("str").fillna(""))
    return codes, pd.Series(distinct, dtype="str")


def patient_numbers(table: pd.DataFrame | Table) -> NDArray[np.int64]:
    """(N,) a number for the patient of each row; read block by block, since the names of all may be many."""
    return _united([coded(block.read(["@group"])["@group"]) for block in as_table(table).blocks])[0]


def _united(parts: "Sequence[tuple[NDArray[np.integer[Any]], pd.Series[str]]]") -> tuple[NDArray[np.int64], Any]:
    """(N,) a number for each cell of parts that are coded apart, -1 for a gap, and the text of each number."""
    numbers, distinct = pd.factorize(pd.concat([texts for _, texts in parts], ignore_index=True))
    starts = np.cumsum([0, *(len(texts) for _, texts in parts)])
    ends = [np.append(numbers[at : at + len(texts)], -1) for at, (_, texts) in zip(starts[:-1], parts, strict=True)]
    return np.concatenate([of[codes] for of, (codes, _) in zip(ends, parts, strict=True)]), distinct


def gathered(texts: "pd.Series[str]", numbers: NDArray[np.integer[Any]], like: "pd.Series[Any]") -> "pd.Series[Any]":
    """(N,) the text of each number; as a categorical where `like`, the cells that they were made of, is one."""
    if not isinstance(like.dtype, pd.CategoricalDtype):
        return pd.Series(texts.array.take(numbers), index=like.index, copy=False)
    places, distinct = pd.factorize(texts)
    return pd.Series(pd.Categorical.from_codes(places[numbers], pd.Index(distinct)), index=like.index)


def places_among(levels: "Sequence[str] | pd.Index[Any]", cells: "pd.Series[Any]") -> Positions:
    """(N,) the place of each cell's text among `levels`, -1 where it is none of them or missing."""
    is_coded = isinstance(cells.dtype, pd.CategoricalDtype)
    numbers, distinct = (cells.cat.codes.to_numpy(), cells.cat.categories) if is_coded else pd.factorize(cells)
    return np.append(places_of(distinct, levels).astype(np.intp), -1)[numbers]


def places_of(texts: Any, among: Any) -> NDArray[np.int32]:
    """(N,) the place of each text among others, -1 where it is none of them; ten times as fast as pandas' index."""
    known, asked = (pa.array(pd.Series(some, dtype="str"), pa.large_string()) for some in (among, texts))
    return np.asarray(compute.index_in(asked, value_set=known).fill_null(-1), dtype=np.int32)


def encoded(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its texts as categoricals, but those of which more than half of the first cells differ."""
    return with_columns(table, {str(name): _encoded(cells) for name, cells in table.items() if _repeats(cells)})


def _repeats(cells: "pd.Series[Any]") -> bool:
    first = cells.iloc[:LOOKED_AT]
    return isinstance(cells.dtype, pd.StringDtype) and first.nunique() <= len(first) / 2


def _encoded(texts: "pd.Series[str]") -> "pd.Series[Any]":
    codes, distinct = pd.factorize(texts)
    return pd.Series(pd.Categorical.from_codes(codes, pd.Index(distinct)), index=texts.index)


def _stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One below the other; of categoricals the categories of all, where pandas would write every text out."""
    if len(tables) == 1:
        return tables[0]
    return pd.DataFrame({name: _joined([table[name] for table in tables]) for name in tables[0]}, copy=False)


def _texts(columns: Sequence[str] | None, block: Block) -> pd.DataFrame:
    table = block.read(columns)
    return table.astype(dict.fromkeys(table.columns[table.dtypes == "category"], "str"))


def _joined(parts: "list[pd.Series[Any]]") -> "pd.Series[Any]":
    coded = [isinstance(part.dtype, pd.CategoricalDtype) for part in parts]
    if all(coded):
        codes, distinct = _united([(part.cat.codes.to_numpy(), part.cat.categories.to_series()) for part in parts])
        return pd.Series(pd.Categorical.from_codes(codes, pd.Index(distinct)))
    texts = [part.astype("str") if of_numbers else part for part, of_numbers in zip(parts, coded, strict=True)]
    return pd.concat(texts, ignore_index=True)


def _rows_of(block: Block, at: Positions) -> Block:
    return Chosen(block.block, block.rows[at]) if isinstance(block, Chosen) else Chosen(block, at)

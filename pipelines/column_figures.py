"""The study's columns summed up over all rows of a table, whether it is one block or many."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.study import Column
from pipelines.cells import Cells, Mask, canonical, out_of_range
from pipelines.findings import Kind
from pipelines.guess import is_missing_word, look_coded
from pipelines.profile import TYPED, Profile
from pipelines.table import coded
from pipelines.units import TwoUnits, two_units


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What is known of each column by all its rows.

    table: a row a column: cells `unreadable`, `infinite` and `filled`, share `missing`, values `distinct` (2 stands
        for more), and what is `suspected` as codes and as `two_units`. A gap counts as a value; a column without any
        has no `missing` and no `distinct`. Texts that are none of the declared levels are not counted as unreadable.
    marked: (N,) by kind and column, the cells of all rows that a finding means which needs all rows to be told.
    """

    table: pd.DataFrame
    marked: dict[tuple[Kind, str], Mask]


def figures_of(blocks: Sequence[Profile]) -> Figures:
    """Reads the table column by column; what is held at a time is 8 bytes a row of a numeric column."""
    columns = blocks[0].reading.columns
    summed = {name: _summed(name, column, blocks) for name, column in columns.items()}
    table = pd.DataFrame([figures for figures, _ in summed.values()], index=list(columns))
    return Figures(
        table=table.astype({"suspected": "str", "two_units": "str"}),
        marked={(kind, name): mask for name, (_, marks) in summed.items() for kind, mask in marks.items()},
    )


@dataclass
class _Sums:
    """Of one column, what is added up over the blocks; (N,) arrays in pieces."""

    rows: int = 0
    missing: int = 0
    unreadable: int = 0
    infinite: int = 0
    first: list["pd.Series[Any]"] = field(default_factory=list)
    words: list[Mask] = field(default_factory=list)
    numbers: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, cells: Cells, texts: "pd.Series[str]", column: Column) -> None:
        self.rows += len(texts)
        self.missing += int(cells.missing.sum())
        self.unreadable += int(cells.unreadable.sum())
        self.infinite += int(cells.infinite.sum())
        self.first.append(pd.Series(cells.values.unique()[:2]))  # one of two different values is no gap
        self.words.append(_words(cells, texts, column))
        if column.type == "numeric":
            self.numbers.append(cells.values.to_numpy(dtype=np.float64))


def _summed(name: str, column: Column, blocks: Sequence[Profile]) -> tuple[dict[str, object], dict[Kind, Mask]]:
    sums = _Sums()
    for block in blocks:
        sums.add(block.cells(name), block.rows([name])[name], column)
    suspected, mixed = np.concatenate(sums.words), None
    if column.type == "numeric":
        numbers = np.concatenate(sums.numbers)
        codes = _coded(numbers, column)
        suspected = suspected | codes
        mixed = two_units(np.where(codes, np.nan, numbers))
    few = pd.concat(sums.first, ignore_index=True)
    filled = sums.rows - sums.missing
    written = _codes(name, suspected, blocks)
    figures: dict[str, object] = {
        "unreadable": sums.unreadable if column.type in TYPED else 0,
        "infinite": sums.infinite,
        "filled": filled,
        "missing": sums.missing / sums.rows if filled else np.nan,
        "distinct": few.nunique(dropna=False) if few.notna().any() else np.nan,
        "suspected": ", ".join(written) if written else None,
        "two_units": mixed.told() if mixed else None,
    }
    return figures, _marks(suspected, mixed)


def _marks(suspected: Mask, mixed: TwoUnits | None) -> dict[Kind, Mask]:
    marks: dict[Kind, Mask] = {"suspected_codes": suspected} if suspected.any() else {}
    return {**marks, "two_units": mixed.fewer} if mixed else marks


def _words(cells: Cells, texts: "pd.Series[str]", column: Column) -> Mask:
    """(N,) cells that are read as values and are words for "no value"."""
    numbers, distinct = coded(texts)
    words = [is_missing_word(text) and text not in column.levels for text in distinct.str.strip()]
    if not any(words):
        return np.zeros(len(texts), dtype=bool)
    found: Mask = np.array(words)[numbers] & ~cells.missing & ~cells.respelled
    return found


def _coded(numbers: NDArray[np.float64], column: Column) -> Mask:
    """(N,) numbers that look like codes; none in the declared range."""
    found = look_coded(numbers)
    return found & out_of_range(pd.Series(numbers), column) if column.range else found


def _codes(name: str, suspected: Mask, blocks: Sequence[Profile]) -> list[str]:
    """The texts of the suspected cells."""
    found = set[str]()
    for block, mask in zip(blocks, parted(suspected, blocks), strict=True):
        if mask.any():
            texts = pd.Series(block.texts(name)[mask].unique(), dtype="str")
            found |= set(canonical(texts))
    return sorted(found)


def parted(of_all: Mask, blocks: Sequence[Profile]) -> list[Mask]:
    """What is told of all rows, block by block."""
    return np.split(of_all, np.cumsum([len(block) for block in blocks])[:-1])

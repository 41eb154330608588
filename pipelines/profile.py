"""The study's columns as they were read, block by block: typed for checking by row."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from contracts.study import Column, Study
from pipelines.cells import Cells, Decimal, Mask, read_cells
from pipelines.conversion import convert
from pipelines.findings import Kind
from pipelines.labels import label_columns
from pipelines.rows import stripped
from pipelines.spelling import Spelling
from pipelines.table import Block

TYPED = ("numeric", "datetime")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How cells are read, for every block of a table.

    columns: the declared features, the time and the label (of classes: these are the levels).
    """

    columns: Mapping[str, Column]
    missing: Collection[str]
    decimal: Decimal = "."
    spelling: Spelling = "exact"


def columns_of(study: Study) -> dict[str, Column]:
    """What is read: every declared feature, the label and the time."""
    columns = {**study.features(), **label_columns(study)}
    if study.time:
        columns[study.time] = study.columns.get(study.time, Column(type="datetime"))
    return columns


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The rows of one block of a raw table that are in the cohort, texts perhaps as categoricals.

    is_kept: cells once read are kept, for a table of this block alone; else they are read where they are asked for.
    """

    block: Block
    reading: Reading
    is_kept: bool
    _cells: dict[str, Cells] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.block)

    def rows(self, names: Sequence[str]) -> pd.DataFrame:
        """The columns `names` as they came."""
        return self.block.read(list(dict.fromkeys(names)))

    def texts(self, name: str) -> "pd.Series[str]":
        """One column without surrounding blanks."""
        return stripped(self.rows([name])[name])

    def places(self) -> "pd.Series[str]":
        """The rows' `@row`, as text."""
        return self.rows(["@row"])["@row"]

    def cells(self, name: str) -> Cells:
        """(N,) one column as it is declared, numbers in the column's unit; limits that are gaps count as such."""
        if name in self._cells:
            return self._cells[name]
        reading, column = self.reading, self.reading.columns[name]
        beside = ["@row", *(rule.by for rule in column.convert if rule.by)] if column.convert else []
        rows = self.rows([name, *beside])
        read = read_cells(
            rows[name], column, missing=reading.missing, name=name, decimal=reading.decimal, spelling=reading.spelling
        )
        found = convert(read, rows, name, column)[0]
        if column.censored == "missing":
            found = replace(found, missing=found.missing | found.censored)
        if self.is_kept:
            self._cells[name] = found
        return found

    def checked(self, name: str) -> "pd.Series[Any]":
        """(N,) numbers, years of dates, categories; a text that is no declared level stays as it is written."""
        cells, column = self.cells(name), self.reading.columns[name]
        if column.levels and cells.unreadable.any():
            return cells.values.astype("str").mask(cells.unreadable, self.texts(name).astype("str"))
        years: pd.Series[Any] = cells.values.dt.year if column.type == "datetime" else cells.values
        return years

    def cells_of(self, kind: Kind, name: str) -> Mask:
        """(N,) the cells that a finding of this kind, told by the block alone, means."""
        cells = self.cells(name)
        if kind == "constant_columns":
            return ~cells.missing
        return {"unreadable": cells.unreadable, "infinite": cells.infinite}.get(kind, cells.missing)

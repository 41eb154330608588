"""The study's columns as they were read: typed for checking by row, and summed up by column."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from contracts.study import Column, Study
from pipelines.cells import Cells, Decimal, Mask, canonical, out_of_range, read_cells
from pipelines.conversion import convert
from pipelines.findings import Kind
from pipelines.guess import is_missing_word, look_coded
from pipelines.rows import one_of
from pipelines.spelling import Spelling
from pipelines.units import TwoUnits, two_units

TYPED = ("numeric", "datetime")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Rows as they came, cells as they were read.

    rows: raw, with `@row` and `@id`.
    columns: the declared features, the time and the label (categorical, its classes the levels).
    """

    rows: pd.DataFrame
    columns: Mapping[str, Column]
    cells: Mapping[str, Cells]

    def typed(self) -> pd.DataFrame:
        """(N,) numbers, years of dates, categories; a text that is no declared level stays as it is written.

        `@id` is missing on exact copies of a row and where blank; `@content` is a hash of the row.
        """
        source = [name for name in self.rows.columns if not name.startswith("@")]
        content = pd.util.hash_pandas_object(self.rows[source], index=False)
        ids = self.rows["@id"].mask(content.duplicated() | (self.rows["@id"] == ""))
        return pd.DataFrame({"@id": ids, "@content": content, **{name: self._checked(name) for name in self.columns}})

    def by_column(self) -> pd.DataFrame:
        """A row a column: cells `unreadable`, `infinite` and `filled`, share `missing`, values `distinct`,
        and what is `suspected` as codes and as `two_units`.

        A gap counts as a value; a column without any has no `missing` and no `distinct`. Texts that are none of
        the declared levels are not counted as unreadable.
        """
        table = pd.DataFrame([self._figures(name) for name in self.columns], index=list(self.columns))
        return table.astype({"suspected": "str", "two_units": "str"})

    def suspected(self, name: str) -> Mask:
        """(N,) cells of a column that are read as values and look like codes for "no value"."""
        column, cells, texts = self.columns[name], self.cells[name], self.rows[name]
        words = [text for text in texts.unique() if is_missing_word(text.strip()) and text.strip() not in column.levels]
        found = texts.isin(words).to_numpy(dtype=bool) & ~cells.missing & ~cells.respelled
        return found | _coded(cells, column) if column.type == "numeric" else found

    def in_two_units(self, name: str) -> TwoUnits | None:
        """The suspicion that a numeric column, less what looks like codes, is in two units."""
        column, cells = self.columns[name], self.cells[name]
        if column.type != "numeric":
            return None
        return two_units(cells.values.mask(_coded(cells, column)).to_numpy(dtype=np.float64))

    def cells_of(self, kind: Kind, name: str) -> Mask:
        """(N,) the cells that a finding of this kind about the whole column means."""
        cells = self.cells[name]
        if kind == "suspected_codes":
            return self.suspected(name)
        mixed = self.in_two_units(name) if kind == "two_units" else None
        if mixed:
            return mixed.fewer
        if kind == "constant_columns":
            return ~cells.missing
        return {"unreadable": cells.unreadable, "infinite": cells.infinite}.get(kind, cells.missing)

    def _checked(self, name: str) -> "pd.Series[Any]":
        cells, column = self.cells[name], self.columns[name]
        if column.levels:
            return cells.values.mask(cells.unreadable, self.rows[name].str.strip())
        years: pd.Series[Any] = cells.values.dt.year if column.type == "datetime" else cells.values
        return years

    def _figures(self, name: str) -> dict[str, object]:
        cells, column = self.cells[name], self.columns[name]
        filled = int((~cells.missing).sum())
        mixed = self.in_two_units(name)
        codes = canonical(pd.Series(self.rows[name][self.suspected(name)].unique(), dtype="str").str.strip())
        return {
            "unreadable": int(cells.unreadable.sum()) if column.type in TYPED else 0,
            "infinite": int(cells.infinite.sum()),
            "filled": filled,
            "missing": float(cells.missing.mean()) if filled else np.nan,
            "distinct": cells.values.nunique(dropna=False) if cells.values.notna().any() else np.nan,
            "suspected": ", ".join(sorted(set(codes))) if len(codes) else None,
            "two_units": mixed.told() if mixed else None,
        }


def read_profile(
    rows: pd.DataFrame, study: Study, *, missing: Collection[str], decimal: Decimal, spelling: Spelling = "exact"
) -> Profile:
    """Reads every declared feature, numbers in their column's unit, the time and the label of `rows`."""
    label = study.target.column
    columns = {**study.features(), label: one_of(study, label, study.target.classes)}
    if study.time:
        columns[study.time] = study.columns.get(study.time, Column(type="datetime"))
    read = {
        n: read_cells(rows[n], c, missing=missing, name=n, decimal=decimal, spelling=spelling)
        for n, c in columns.items()
    }
    cells = {name: convert(read[name], rows, name, column)[0] for name, column in columns.items()}
    return Profile(rows=rows, columns=columns, cells=cells)


def _coded(cells: Cells, column: Column) -> Mask:
    """Numbers that look like codes; none in the declared range."""
    found = look_coded(cells.values.to_numpy(dtype=np.float64))
    return found & out_of_range(cells.values, column) if column.range else found

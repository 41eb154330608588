"""The study's columns as they were read: typed for checking by row, and summed up by column."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from contracts.study import Column, Study
from pipelines.cells import Cells, Decimal, Mask, canonical, read_cells
from pipelines.findings import Kind
from pipelines.guess import CODES, NEGATIVE_CODES, is_missing_word

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
        """A row a column: cells `unreadable`, `infinite` and `filled`, share `missing`, values `distinct`, `suspected`.

        A gap counts as a value; a column without any has no `missing` and no `distinct`. Texts that are none of
        the declared levels are not counted as unreadable.
        """
        table = pd.DataFrame([self._figures(name) for name in self.columns], index=list(self.columns))
        return table.astype({"suspected": "str"})

    def suspected(self, name: str) -> Mask:
        """(N,) cells of a column that are read as values and look like codes for "no value"."""
        column, cells, texts = self.columns[name], self.cells[name], self.rows[name]
        words = [text for text in texts.unique() if is_missing_word(text.strip()) and text.strip() not in column.levels]
        found = texts.isin(words).to_numpy(dtype=bool) & ~cells.missing
        return found | _coded(cells, column) if column.type == "numeric" else found

    def cells_of(self, kind: Kind, name: str) -> Mask:
        """(N,) the cells that a finding of this kind about the whole column means."""
        cells = self.cells[name]
        if kind == "suspected_codes":
            return self.suspected(name)
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
        codes = canonical(pd.Series(self.rows[name][self.suspected(name)].unique(), dtype="str").str.strip())
        return {
            "unreadable": int(cells.unreadable.sum()) if column.type in TYPED else 0,
            "infinite": int(cells.infinite.sum()),
            "filled": filled,
            "missing": float(cells.missing.mean()) if filled else np.nan,
            "distinct": cells.values.nunique(dropna=False) if cells.values.notna().any() else np.nan,
            "suspected": ", ".join(sorted(set(codes))) if len(codes) else None,
        }


def read_profile(rows: pd.DataFrame, study: Study, *, missing: Collection[str], decimal: Decimal) -> Profile:
    """Reads every declared feature, the time and the label of `rows`."""
    label = study.target.column
    own = study.columns[label].missing if label in study.columns else ()
    columns = {**study.features(), label: Column(type="categorical", levels=study.target.classes, missing=own)}
    if study.time:
        columns[study.time] = study.columns.get(study.time, Column(type="datetime"))
    cells = {n: read_cells(rows[n], c, missing=missing, name=n, decimal=decimal) for n, c in columns.items()}
    return Profile(rows=rows, columns=columns, cells=cells)


def _coded(cells: Cells, column: Column) -> Mask:
    """Numbers such as 999 beyond all others by half their span, or -9 where no other is negative; none in range."""
    values = cells.values.to_numpy(dtype=np.float64)
    rest = values[~np.isin(values, [*CODES, *NEGATIVE_CODES]) & ~np.isnan(values)]
    if not len(rest):
        return np.zeros(len(values), dtype=bool)
    low, high = column.range or (None, None)
    plausible = (values >= (-np.inf if low is None else low)) & (values <= (np.inf if high is None else high))
    far = np.isin(values, CODES) & (values > rest.max() + 0.5 * (rest.max() - rest.min()))
    negative = np.isin(values, NEGATIVE_CODES) & (rest.min() >= 0)
    found: Mask = (far | negative) & ~(plausible & (column.range is not None))
    return found

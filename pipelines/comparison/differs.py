"""What was different between two runs' data: rows by their ids, columns by their values; counts alone are told."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts.study import Column, Frozen

if TYPE_CHECKING:
    import pandas as pd

MOST_COLUMNS = 12
NOTABLE = 0.1  # a standardised difference below is of no account (Austin 2009)


class Drift(Frozen):
    """A column in two tables: cells that changed in rows of both, and the standardised difference of all rows.

    difference: of numbers the difference of means over the pooled deviation; of levels the largest of theirs (Austin,
    "Balance diagnostics for comparing the distribution of baseline covariates", Statistics in Medicine 28, 2009).
    None where it is undefined.
    """

    column: str
    changed: int
    difference: float | None
    missing: tuple[float, float]


class DataDifference(Frozen):
    """Rows that a second table has more, has not, or has otherwise than the first, and its columns."""

    first: int
    second: int
    added: int
    removed: int
    changed: int
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    drift: tuple[Drift, ...]

    @property
    def same(self) -> bool:
        """Whether every cell is as it was."""
        return not (self.added or self.removed or self.changed or self.columns_added or self.columns_removed)

    @property
    def sentence(self) -> str:
        """What differs, in a sentence."""
        if self.same:
            return f"the same {self.first:,} rows"
        told = f"{self.second:,} rows against {self.first:,}: {self.added:,} added, {self.removed:,} removed, "
        told += f"{self.changed:,} changed"
        for what, names in (("new", self.columns_added), ("gone", self.columns_removed)):
            told += f"; {len(names)} columns {what}" if names else ""
        return told


def differing(values: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of settings by run, those that are not the same in all: by name, then run; what a run has not is left out."""
    names = dict.fromkeys(name for of in values.values() for name in of)
    found = {name: {run: of[name] for run, of in values.items() if name in of} for name in names}
    return {
        name: by_run
        for name, by_run in found.items()
        if len(by_run) < len(values) or len({str(value) for value in by_run.values()}) > 1
    }


def data_difference(
    first: "pd.DataFrame", second: "pd.DataFrame", features: tuple[Mapping[str, Column], Mapping[str, Column]]
) -> DataDifference:
    """How a second table of samples differs from a first.

    Args:
        first, second: `@id`, what holds the label, and tabular features
        features: the columns of each
    """
    one, two = first.set_index("@id"), second.set_index("@id")
    both = one.index.intersection(two.index)
    shared = [name for name in one.columns if name in two.columns]
    changed = _changed(one.loc[both, shared], two.loc[both, shared])
    drift = [
        Drift(
            column=name,
            changed=int(changed[name].sum()),
            difference=standardised(one[name], two[name], numeric=_numeric(name, features)),
            missing=(round(float(one[name].isna().mean()), 4), round(float(two[name].isna().mean()), 4)),
        )
        for name in shared
    ]
    told = [one for one in drift if one.changed or abs(one.difference or 0) >= NOTABLE]
    told.sort(key=lambda one: (-abs(one.difference or 0), -one.changed, one.column))
    return DataDifference(
        first=len(one),
        second=len(two),
        added=len(two.index.difference(one.index)),
        removed=len(one.index.difference(two.index)),
        changed=int(changed.any(axis=1).sum()) if shared else 0,
        columns_added=tuple(name for name in features[1] if name not in features[0]),
        columns_removed=tuple(name for name in features[0] if name not in features[1]),
        drift=tuple(told[:MOST_COLUMNS]),
    )


def _numeric(name: str, features: Sequence[Mapping[str, Column]]) -> bool:
    column = features[0].get(name)
    return column is not None and column.type == "numeric"


def _changed(one: "pd.DataFrame", two: "pd.DataFrame") -> "pd.DataFrame":
    """Whether each cell of rows of both is another."""
    import pandas as pd

    columns = {
        name: ~((one[name].astype(object) == two[name].astype(object)) | (one[name].isna() & two[name].isna()))
        if one[name].dtype != two[name].dtype
        else ~((one[name] == two[name]) | (one[name].isna() & two[name].isna()))
        for name in one.columns
    }
    return pd.DataFrame(columns, index=one.index)


def standardised(one: "pd.Series[Any]", two: "pd.Series[Any]", *, numeric: bool) -> float | None:
    """The standardised difference of the second from the first; of levels the largest in size."""
    if numeric:
        first, second = (of.dropna().to_numpy(dtype=np.float64) for of in (one, two))
        if min(len(first), len(second)) < 2:
            return None
        return _over(float(second.mean() - first.mean()), float(first.var(ddof=1) + second.var(ddof=1)) / 2)
    if not len(one) or not len(two):
        return None
    shares = [of.astype("str").fillna("missing").value_counts(normalize=True) for of in (one, two)]
    levels = shares[0].index.union(shares[1].index)
    if len(levels) > 200:
        return None
    p, q = (share.reindex(levels, fill_value=0.0).to_numpy(dtype=np.float64) for share in shares)
    each = [_over(float(b - a), float(a * (1 - a) + b * (1 - b)) / 2) for a, b in zip(p, q, strict=True)]
    known = [value for value in each if value is not None]
    return max(known, key=abs) if known else None


def _over(difference: float, variance: float) -> float | None:
    if variance <= 0:
        return 0.0 if difference == 0 else None
    return round(float(difference / np.sqrt(variance)), 4) + 0.0

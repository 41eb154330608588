"""What a column tells: whether it has a value, and whether it has more than one."""

from dataclasses import dataclass
from typing import Any, Self

import pandas as pd


@dataclass(frozen=True)
class Told:
    """Of so many rows: whether any cell is known; and the value that all of them have, None where they differ."""

    rows: int = 0
    known: bool = False
    same: Any = None

    def __add__(self, after: Self) -> "Told":
        if not (self.rows and after.rows):
            return self if self.rows else after
        same = self.same if self.constant and after.constant and bool(self.same == after.same) else None
        return Told(self.rows + after.rows, self.known or after.known, same)

    @property
    def constant(self) -> bool:
        """Whether all cells hold one value, and none is missing."""
        return self.same is not None


def what_is_told(values: "pd.Series[Any]") -> Told:
    """Of one column."""
    if values.empty:
        return Told()
    first = values.iloc[0]
    constant = bool((values == first).fillna(False).all())
    return Told(len(values), bool(values.notna().any()), first if constant else None)

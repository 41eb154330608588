"""What a column tells: whether it has a value, and whether it has more than one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import pandas as pd

from contracts.errors import MedloopError
from contracts.study import Column
from pipelines.rows import Change


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


def informative(
    told: Sequence[Mapping[str, Told]],
    features: Mapping[str, Column],
    constant: Literal["drop", "keep"],
    ledger: list[Change],
) -> dict[str, Column]:
    """The features that are neither empty nor constant; one level plus gaps is information and stays."""
    found = {name: sum((one[name] for one in told), start=Told()) for name in features}
    rows = max((one.rows for one in found.values()), default=0)
    if not rows:
        raise MedloopError("no row is left after cleaning", mend="check the cohort, the classes and the missing codes")
    empty = {name for name in features if not found[name].known}
    same = {name for name in features if found[name].constant} if constant == "drop" else set()
    ledger += [Change(rule="empty column dropped", column=n, cells=rows) for n in features if n in empty]
    ledger += [Change(rule="constant column dropped", column=n, cells=rows) for n in features if n in same]
    kept = {name: column for name, column in features.items() if name not in empty | same}
    if not kept:
        raise MedloopError("no feature is left after cleaning", mend="declare columns that vary")
    return kept

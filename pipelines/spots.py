"""Where a column's faulty cells are: what an error tells of them, over all blocks of a table."""

from dataclasses import dataclass
from typing import Self

import pandas as pd

from contracts.errors import listed, masked
from pipelines.cells import Mask

SHOWN = 8  # rows that an error names


@dataclass(frozen=True)
class Spots:
    """Where a column's faulty cells are: how many, the first rows, and the shape of the first."""

    count: int = 0
    rows: tuple[str, ...] = ()
    like: str = ""

    def __add__(self, after: Self) -> "Spots":
        return Spots(self.count + after.count, (self.rows + after.rows)[:SHOWN], self.like or after.like)


def spots(rows: pd.DataFrame, name: str, at: Mask) -> Spots:
    """The cells of column `name` marked, (N,); rows are named by `@row`."""
    if not at.any():
        return Spots()
    first = rows.loc[at, ["@row", name]].iloc[:SHOWN]
    return Spots(int(at.sum()), tuple(first["@row"]), masked(first[name].iloc[0]))


def places(name: str, found: Spots) -> str:
    """Where a column's faulty cells are, and the shape of the first."""
    more = f" and {found.count - SHOWN} more" if found.count > SHOWN else ""
    return f"column {name}, rows {listed(found.rows)}{more}, like {found.like!r}"

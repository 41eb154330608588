"""Numbers written in another unit, brought into the column's own by the study's declared rules. Nothing is learnt."""

from dataclasses import replace

import numpy as np
import pandas as pd

from contracts.errors import MedloopError, listed
from contracts.study import Column
from contracts.units import UnitRule
from pipelines.cells import LARGEST, Cells, Mask
from pipelines.table import coded


def convert(cells: Cells, rows: pd.DataFrame, name: str, column: Column) -> tuple[Cells, list[tuple[str, int]]]:
    """The cells of column `name` in its own unit, and by rule the unit that was written and how many cells it changed.

    `rows` are the raw ones: each rule's `by` column, and `@row`. A gap is in no unit.
    Raises MedloopError when two rules want the same cell; its rows are named.
    """
    if not column.convert:
        return cells, []
    values = cells.values.mask(cells.halved, cells.values * 2)  # as they are written: half of `<40` is no other unit
    wanted = [_in_unit(values, rows, rule) for rule in column.convert]
    twice = np.sum(wanted, axis=0) > 1
    if twice.any():
        raise MedloopError(
            f"two rules under convert of {name} want the same {twice.sum()} cells",
            where=f"rows {listed(rows.loc[twice, '@row'].tolist())}",
            mend="part them by `where`, or by `by` and `among`",
        )
    for rule, at in zip(column.convert, wanted, strict=True):
        values = values.mask(at, values * rule.factor + rule.offset)
    values = values.mask(cells.halved, values / 2)
    beyond = (values.abs() > LARGEST).to_numpy()
    counts = [(rule.from_unit, int(at.sum())) for rule, at in zip(column.convert, wanted, strict=True)]
    return replace(cells, values=values.mask(beyond), infinite=cells.infinite | beyond), counts


def _in_unit(values: "pd.Series[float]", rows: pd.DataFrame, rule: UnitRule) -> Mask:
    """(N,) the values, as they are written, that the rule speaks of."""
    low = -np.inf if rule.where.min is None else rule.where.min
    high = np.inf if rule.where.max is None else rule.where.max
    found = values.between(low, high)
    if rule.by:
        numbers, texts = coded(rows[rule.by])
        found &= texts.str.strip().isin(rule.among).to_numpy()[numbers]
    return np.asarray(found, dtype=bool)

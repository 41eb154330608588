"""Columns that give a label of numbers away by arithmetic: with one other, or as a time of the same follow-up."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.follow_up import followed
from contracts.tables import Schema

Floats = NDArray[np.float64]
Given = dict[str, tuple[float, str]]

RECKONED = ("regression", "survival")  # the tasks whose label can be reckoned from columns
FEWEST, MOST = 30, 2_000  # rows that are looked at
NEARLY_ALL, NEAR = 0.95, 0.02  # share of the rows; of the label's deviation, as rounding leaves
REPEATED = 0.2  # share of the rows in which a time of follow-up is the same as another


def given_away(samples: pd.DataFrame, schema: Schema) -> Given:
    """Columns of cleaned samples: in which share of the rows each gives the label away, and how; no value is told."""
    names = [name for name, column in schema.features.items() if column.type == "numeric"]
    label = samples["@target"]
    if not names or schema.task not in RECKONED:
        return {}
    values = samples[names].to_numpy(dtype=np.float64, na_value=np.nan)
    if schema.task == "survival":
        return _same_follow_up(names, values, followed(label.to_numpy())[0])
    return _reckoned(names, values[:MOST], label.to_numpy(dtype=np.float64)[:MOST])


def _same_follow_up(names: list[str], values: Floats, time: Floats) -> Given:
    """Times that never exceed that of the follow-up and often are the same: to another event, or its end."""
    found: Given = {}
    for name, column in zip(names, values.T, strict=True):
        known = ~np.isnan(column)
        same = int((column == time).sum())
        if known.sum() >= FEWEST and same >= REPEATED * known.sum() and (column[known] <= time[known]).all():
            told = f"the same as the time of follow-up in {same:,} of {known.sum():,} rows, and never beyond it"
            found[name] = same / known.sum(), told
    return found


def _reckoned(names: list[str], values: Floats, label: Floats) -> Given:
    """Of two columns whose sum, difference, product or quotient is the label, the one that is more like it."""
    found: Given = {}
    if len(label) < FEWEST or not label.std():
        return found
    alike = [_alike(column, label) for column in values.T]
    for one, name in enumerate(names):
        for sign, made in _made(values[:, [one]], values):
            known = np.isfinite(made)
            right = (np.abs(np.where(known, made, np.inf) - label[:, None]) <= NEAR * label.std()).sum(axis=0)
            enough = (known.sum(axis=0) >= FEWEST) & (right >= NEARLY_ALL * known.sum(axis=0))
            for other in np.flatnonzero(enough & (np.arange(len(names)) != one)):
                likest = name if alike[one] >= alike[other] else names[other]
                of = known[:, other].sum()
                told = f"the label is {name} {sign} {names[other]} in {right[other]:,} of {of:,} rows"
                found.setdefault(likest, (right[other] / of, told))
    return found


def _made(one: Floats, others: Floats) -> Iterator[tuple[str, Floats]]:
    """What could be made of a column with each of the others. Shape: one (N, 1), others (N, K) -> (N, K)."""
    with np.errstate(all="ignore"):
        yield "−", one - others
        yield "+", one + others
        yield "×", one * others
        yield "/", one / others


def _alike(column: Floats, label: Floats) -> float:
    known: Any = ~np.isnan(column)
    if known.sum() < 2 or not column[known].std() or not label[known].std():
        return 0.0
    return float(abs(np.corrcoef(column[known], label[known])[0, 1]))

"""Gaps filled from the nearest prototypes: groups of training rows alike, each known by its averages only.

k nearest neighbours (Troyanskaya and others, Bioinformatics 17, 2001) would keep all training rows. Here the
neighbours are centres of k-means, and an average or a level is kept only where 5 rows or more of the group have it,
so that no patient's value is stored.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.study import Column, Frozen
from pipelines.regression import Array

FEWEST = 5
ROWS_EACH = 20  # training rows a prototype, on average
MOST = 200
CHUNK = 20_000  # rows whose distances are held at once


class Neighbours(Frozen):
    """P prototypes of K numeric columns in standard units.

    center, scale: by numeric column. places: (P, K) averages; None where fewer than 5 rows have a value.
    values: by filled column (P,), its average (numeric: its unit, datetime: seconds since 1970) or most frequent level.
    rows: (P,) training rows of each. nearest: how many prototypes fill a gap.
    """

    center: dict[str, float]
    scale: dict[str, float]
    places: tuple[tuple[float | None, ...], ...]
    values: dict[str, tuple[float | str | None, ...]]
    rows: tuple[int, ...]
    nearest: int


def fit_neighbours(
    train: pd.DataFrame, numeric: list[str], filled: Mapping[str, Column], *, nearest: int
) -> Neighbours:
    """Group the training rows by their standardised numeric columns, gaps at the mean, and average each group.

    Groups of fewer than 5 rows are dissolved into the others.
    """
    values = train[numeric].to_numpy(dtype=np.float64)
    center, scale = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    scale[scale == 0] = 1
    standard = (values - center) / scale
    group = _groups(np.nan_to_num(standard))
    places = [_means(standard[:, place], group) for place in range(len(numeric))]
    return Neighbours(
        center=dict(zip(numeric, center.tolist(), strict=True)),
        scale=dict(zip(numeric, scale.tolist(), strict=True)),
        places=tuple(zip(*places, strict=True)),
        values={name: _values(train[name], column, group) for name, column in filled.items()},
        rows=tuple(np.bincount(group).tolist()),
        nearest=nearest,
    )


def fill_neighbours(neighbours: Neighbours, samples: pd.DataFrame) -> dict[str, "pd.Series[Any]"]:
    """The columns of `neighbours.values`; a gap stays where no prototype has a value.

    Distances are Euclidean over the columns that both have, as scikit-learn's KNNImputer takes them.
    Numbers and dates take the average over the nearest prototypes, levels the most frequent, both counting rows.
    """
    filled = {name: samples[name].copy() for name in neighbours.values}
    holed = np.flatnonzero(samples[list(neighbours.values)].isna().any(axis=1))
    for start in range(0, len(holed), CHUNK):
        rows = holed[start : start + CHUNK]
        distances = _distances(neighbours, samples.iloc[rows])
        placed = np.isfinite(distances).any(axis=1)
        rows, order = rows[placed], np.argsort(distances[placed], axis=1, kind="stable")
        for name, column in filled.items():
            gaps = column.iloc[rows].isna().to_numpy()
            found = _vote(neighbours, name, order[gaps])
            if not found.isna().all():
                moments = column.dtype.kind == "M"
                column.iloc[rows[gaps]] = pd.to_datetime(found, unit="s").astype(column.dtype) if moments else found
    return filled


def _groups(standard: Array) -> NDArray[np.int64]:
    """(N,) the number of each row's group, 0 to P - 1, none of fewer than 5 rows where there are that many."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    distinct = len(np.unique(standard, axis=0))
    count = min(MOST, max(1, len(standard) // ROWS_EACH), distinct)
    with threadpool_limits(1):  # the order of summation would change with the number of threads
        centres = KMeans(count, n_init=1, random_state=0).fit(standard).cluster_centers_
    while True:
        squares = (standard**2).sum(axis=1)[:, None] - 2 * standard @ centres.T + (centres**2).sum(axis=1)
        group = squares.argmin(axis=1)
        sizes = np.bincount(group, minlength=len(centres))
        if sizes.min() >= FEWEST or len(centres) == 1:
            return np.asarray(group, dtype=np.int64)
        centres = np.delete(centres, sizes.argmin(), axis=0)


def _means(values: Array, group: NDArray[np.int64]) -> list[float | None]:
    known = ~np.isnan(values)
    counts = np.bincount(group[known], minlength=group.max() + 1)
    sums = np.bincount(group[known], weights=values[known], minlength=group.max() + 1)
    return [round(float(s / n), 6) if n >= FEWEST else None for s, n in zip(sums, counts, strict=True)]


def _values(values: "pd.Series[Any]", column: Column, group: NDArray[np.int64]) -> tuple[float | str | None, ...]:
    if column.type == "numeric":
        return tuple(_means(values.to_numpy(dtype=np.float64), group))
    if column.type == "datetime":
        seconds = ((values - pd.Timestamp(0)) / pd.Timedelta(1, "s")).to_numpy(dtype=np.float64)
        return tuple(_means(np.asarray(seconds, dtype=np.float64), group))
    counts = pd.crosstab(group, values.to_numpy(dtype=object)).reindex(range(group.max() + 1), fill_value=0)
    often = counts.max(axis=1) >= FEWEST
    return tuple(str(level) if kept else None for level, kept in zip(counts.idxmax(axis=1), often, strict=True))


def _distances(neighbours: Neighbours, samples: pd.DataFrame) -> Array:
    """(N, P) mean squared distance over the columns that both have; rounded, so that equal ones stay equal."""
    center, scale = (np.array(list(by.values())) for by in (neighbours.center, neighbours.scale))
    rows = (samples[list(neighbours.center)].to_numpy(dtype=np.float64) - center) / scale
    places = np.array(neighbours.places, dtype=np.float64)
    x, c = np.nan_to_num(rows), np.nan_to_num(places)
    known, has = (~np.isnan(rows)).astype(np.float64), (~np.isnan(places)).astype(np.float64)
    squares = x**2 @ has.T - 2 * x @ c.T + known @ (c**2).T
    both = known @ has.T
    return np.where(both > 0, squares / np.maximum(both, 1), np.inf).round(9)


def _vote(neighbours: Neighbours, name: str, order: NDArray[np.intp]) -> "pd.Series[Any]":
    """(N,) what the nearest prototypes that have a value say."""
    values = neighbours.values[name]
    has = np.array([value is not None for value in values])
    weight = np.array(neighbours.rows, dtype=np.float64)
    near = has[order] & (np.cumsum(has[order], axis=1) <= neighbours.nearest)
    share = np.zeros(order.shape)
    np.put_along_axis(share, order, near * weight[order], axis=1)
    if not has.any():
        return pd.Series([None] * len(order), dtype=object)
    if all(isinstance(value, float) for value in values if value is not None):
        numbers = np.array([0.0 if value is None else value for value in values], dtype=np.float64)
        return pd.Series((share * numbers).sum(axis=1) / share.sum(axis=1))
    levels = sorted({str(value) for value in values if value is not None})
    votes = np.column_stack([share[:, [value == level for value in values]].sum(axis=1) for level in levels])
    return pd.Series(np.array(levels, dtype=object)[votes.argmax(axis=1)], dtype="str")

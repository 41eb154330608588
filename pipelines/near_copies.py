"""Rows that nearly equal a row of another part: equal but for rounding, or for one or two cells.

Not every pair is compared. The columns are dealt into bands; rows that agree on a whole band are candidates (locality
by banding: Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets", 2014, ch. 3). With three bands or more, two
changed cells leave one band whole, so that such a copy is always a candidate. Bands are hashed twice: as written, and
in 16 classes of equal size, which rounding seldom leaves: of copies with every number rounded, nearly all are found.
Time and memory grow with the number of rows.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CELLS = 2  # that may differ
CROWD = 8  # rows more than this that agree on a band share a common answer, no patient
EDGES = np.arange(1, 16) / 16
DECIMALS = 12


def near_copies(rows: pd.DataFrame, part: "pd.Series[str]") -> Ints:
    """The pairs of rows of different parts that are nearly equal and too rare for chance. Shape: (K, 2), positions.

    Two numbers agree when the one written with fewer decimals is the other one rounded. At most two cells may disagree.
    The cells that agree must hold twice the bits that single out one pair among all, as in `pipelines.copies`; the
    bits of a cell are -log2 of the share of rows that would agree with it, and cells missing in both hold none.
    Rows that are equal in full are left to that module.
    """
    pairs = _candidates(rows, pd.factorize(part)[0])
    differ, bits = np.zeros(len(pairs), dtype=np.int64), np.zeros(len(pairs))
    exact = np.ones(len(pairs), dtype=bool)
    for name in rows:
        agree, same, told = _compare(_plain(rows[name]), pairs)
        differ += ~agree
        exact &= same
        bits += np.where(agree, told, 0.0)
    enough = 4 * np.log2(max(len(rows), 2))
    found: Ints = pairs[(differ <= CELLS) & ~exact & (bits >= enough)]
    return found


def _candidates(rows: pd.DataFrame, part: Ints) -> Ints:
    """(K, 2) pairs across parts that agree on a band."""
    found = [np.empty((0, 2), dtype=np.int64), *(_neighbours(hashed, part) for hashed in _bands(rows))]
    return np.unique(np.concatenate(found), axis=0)


def _bands(rows: pd.DataFrame) -> Iterator[NDArray[np.uint64]]:
    """(N,) a hash of every band of columns; neighbours, which are often missing together, go to different bands."""
    count = int(np.clip(rows.shape[1] // 8, CELLS + 1, 8))
    hashes = np.zeros((2, count, len(rows)), dtype=np.uint64)
    for place, name in enumerate(rows):
        values = _plain(rows[name])
        for hashed, codes in zip(hashes[:, place % count], (_exact(values), _coarse(values)), strict=True):
            hashed *= np.uint64(0x9E3779B97F4A7C15)
            hashed += codes.astype(np.uint64) + np.uint64(1)
            hashed ^= hashed >> np.uint64(29)
    yield from hashes.reshape(2 * count, len(rows))


def _neighbours(hashed: NDArray[np.uint64], part: Ints) -> Ints:
    order = np.argsort(hashed, kind="stable")
    ordered = hashed[order]
    _, place, size = np.unique(ordered, return_inverse=True, return_counts=True)
    few = size[place] <= CROWD
    pairs = []
    for step in range(1, min(CROWD, len(order))):
        at = np.flatnonzero((ordered[step:] == ordered[:-step]) & few[step:])
        pair = np.stack([order[at], order[at + step]], axis=1)
        pairs.append(np.sort(pair[part[pair[:, 0]] != part[pair[:, 1]]], axis=1))
    return np.concatenate(pairs) if pairs else np.empty((0, 2), dtype=np.int64)


def _plain(values: "pd.Series[Any]") -> Floats:
    """Numbers as they are, moments and levels as whole numbers; NaN where missing."""
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    codes = pd.factorize(values)[0].astype(np.float64)
    return np.where(codes < 0, np.nan, codes)


def _exact(values: Floats) -> Ints:
    return pd.factorize(values, use_na_sentinel=False)[0].astype(np.int64)


def _coarse(values: Floats) -> Ints:
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, EDGES)) if len(known) else known
    return np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="right")).astype(np.int64)


def _compare(values: Floats, pairs: Ints) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Floats]:
    """By pair: whether the cells agree, whether they are the same, and the bits that agreeing tells."""
    first, second = values[pairs[:, 0]], values[pairs[:, 1]]
    both_missing = np.isnan(first) & np.isnan(second)
    units = np.stack([_unit(first), _unit(second)])
    half = units.max(axis=0) / 2 * (1 + 1e-9)
    same = (first == second) | both_missing
    agree = same | (np.abs(first - second) <= half)
    rounded = np.where(units[0] >= units[1], first, second)
    ordered = np.sort(values[~np.isnan(values)])
    alike = np.searchsorted(ordered, rounded + half, side="right") - np.searchsorted(ordered, rounded - half)
    bits = -np.log2(np.clip(alike / len(values), 1 / len(values), 1)) if len(values) else first
    return agree, same, np.where(both_missing, 0.0, bits)


def _unit(values: Floats) -> Floats:
    """The last decimal place that a number uses: 1 for 27, 0.1 for 27.4; 0 for one that needs more than 12."""
    unit = np.zeros(len(values))
    for decimals in range(DECIMALS, -1, -1):
        scaled = values * 10.0**decimals
        whole = np.abs(scaled - np.rint(scaled)) <= 1e-9 * np.maximum(1.0, np.abs(values))
        unit[whole] = 10.0**-decimals
    return unit

"""Equal rows: one patient written down twice, or two patients alike in what was asked?"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Codes = NDArray[np.int32]

EXPECTED = 0.1  # coincidences like it, from which on chance explains one
LOOKED_AT = 1000  # patterns of cells; of a table of more copies than that, the rest counts as copied too


def codes(cells: "pd.Series[Any]") -> Codes:
    """(N,) a number for each different cell."""
    return pd.factorize(cells, use_na_sentinel=False)[0].astype(np.int32)


def repeated(coded: pd.DataFrame) -> NDArray[np.bool_]:
    """(N,) rows of codes that are equal to one before them; only those of equal hashes are compared cell by cell."""
    random = np.random.default_rng(0)
    hashes = np.zeros(len(coded), dtype=np.uint64)
    for name in coded:
        hashes += coded[name].to_numpy().astype(np.uint64) * random.integers(1, 2**64, dtype=np.uint64)
    alike = pd.Series(hashes).duplicated(keep=False).to_numpy(copy=True)
    alike[alike] = coded[alike].duplicated().to_numpy()
    return alike


def too_rare_for_chance(rows: pd.DataFrame, alike: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the rows marked `alike`, equal to another, are copies rather than coincidences. Shape: (N,) -> (N,).

    The bits of a row (the sum over its cells of -log2 of the value's frequency) say how rare it is, if columns did not
    depend on each other: it takes twice the bits that single out one pair among all. Where they do, as a device's
    settings, many rows differ from it in one cell only, and some were to be expected to differ in none.
    """
    if not alike.any():
        return np.zeros(len(rows), dtype=bool)
    columns = [codes(rows[name]) for name in rows]
    shares = [np.bincount(column) / len(rows) for column in columns]
    bits = -sum(np.log2(share[column[alike]]) for share, column in zip(shares, columns, strict=True))
    rare = alike.copy()
    rare[alike] = bits >= 4 * np.log2(max(len(rows), 2))
    patterns, pattern = np.unique(np.column_stack([column[rare] for column in columns]), axis=0, return_inverse=True)
    near = _near(columns, shares, patterns[:LOOKED_AT])
    expected = np.array([_coincidences(near, shares, row) for row in patterns[:LOOKED_AT]])
    explained = np.append(expected >= EXPECTED, np.zeros(max(len(patterns) - LOOKED_AT, 0), dtype=bool))
    rare[rare] = ~explained[pattern.ravel()]
    return rare


def _near(columns: list[Codes], shares: list[NDArray[np.float64]], patterns: Codes) -> Codes:
    """The rows all of whose cells but one, at most, stand in some pattern: no other can differ from one in one cell."""
    known = np.zeros(len(columns[0]), dtype=np.int32)
    for column, share, cells in zip(columns, shares, patterns.T, strict=True):
        among = np.zeros(len(share), dtype=bool)
        among[cells] = True
        known += among[column]
    near = np.flatnonzero(known >= len(columns) - 1)
    return np.column_stack([column[near] for column in columns])


def _coincidences(codes: Codes, shares: list[NDArray[np.float64]], row: Codes) -> float:
    """How many rows were to be expected equal to this one: those that differ in one cell, each by that cell's share."""
    differs = codes != row
    column = np.argmax(differs[differs.sum(axis=1) == 1], axis=1)
    return float(sum(shares[at][row[at]] for at in column))

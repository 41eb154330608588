"""Equal rows: one patient written down twice, or two patients alike in what was asked?"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

EXPECTED = 0.1  # coincidences like it, from which on chance explains one
LOOKED_AT = 1000  # patterns of cells; of a table of more copies than that, the rest counts as copied too


def too_rare_for_chance(rows: pd.DataFrame, alike: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the rows marked `alike`, equal to another, are copies rather than coincidences. Shape: (N,) -> (N,).

    The bits of a row (the sum over its cells of -log2 of the value's frequency) say how rare it is, if columns did not
    depend on each other: it takes twice the bits that single out one pair among all. Where they do, as a device's
    settings, many rows differ from it in one cell only, and some were to be expected to differ in none.
    """
    if not alike.any():
        return np.zeros(len(rows), dtype=bool)
    codes = np.column_stack([pd.factorize(rows[name], use_na_sentinel=False)[0] for name in rows])
    shares = [np.bincount(column) / len(rows) for column in codes.T]
    bits = -sum(np.log2(share[column[alike]]) for share, column in zip(shares, codes.T, strict=True))
    rare = alike.copy()
    rare[alike] = bits >= 4 * np.log2(max(len(rows), 2))
    patterns, pattern = np.unique(codes[rare], axis=0, return_inverse=True)
    expected = np.array([_coincidences(codes, shares, row) for row in patterns[:LOOKED_AT]])
    explained = np.append(expected >= EXPECTED, np.zeros(max(len(patterns) - LOOKED_AT, 0), dtype=bool))
    rare[rare] = ~explained[pattern.ravel()]
    return rare


def _coincidences(codes: NDArray[np.int64], shares: list[NDArray[np.float64]], row: NDArray[np.int64]) -> float:
    """How many rows were to be expected equal to this one: those that differ in one cell, each by that cell's share."""
    differs = codes != row
    column = np.argmax(differs[differs.sum(axis=1) == 1], axis=1)
    return float(sum(shares[at][row[at]] for at in column))

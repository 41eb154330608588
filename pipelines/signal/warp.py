"""Dynamic time warping: one series brought into another's time (Sakoe and Chiba, IEEE Trans. ASSP 26, 1978)."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_BAND = 0.1  # of the length: how far apart the steps may be that are matched
_WIDEST = 256  # steps
_DIAGONAL, _UP, _LEFT = 0, 1, 2


def aligned(series: Array, like: Array) -> Array:
    """The series (T', C) in the time of `like` (T, C): at each step the mean of the steps matched to it. No gaps.

    It is first stretched to the same length; channels weigh alike, whatever their units.
    """
    length = len(like)
    places = np.linspace(0, len(series) - 1, length)
    stretched = np.stack([np.interp(places, np.arange(len(series)), channel) for channel in series.T], axis=1)
    deviation = like.std(axis=0)
    weights = np.divide(1, deviation, out=np.ones_like(deviation), where=deviation > 0)
    mine, theirs = _path(like * weights, stretched * weights)
    counts = np.bincount(mine, minlength=length)
    return np.stack([np.bincount(mine, channel[theirs], length) / counts for channel in stretched.T], axis=1)


def _path(rows: Array, columns: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The steps of both series (T, C) that the cheapest path matches."""
    radius = min(max(1, round(_BAND * len(rows))), _WIDEST)
    moves = _moves(rows, columns, radius)
    row = column = len(rows) - 1
    path = []
    while row >= 0:
        path.append((row, column))
        move = moves[row, column - row + radius]
        row, column = row - (move != _LEFT), column - (move != _UP)
    pairs = np.array(path, dtype=np.int64)
    return pairs[:, 0], pairs[:, 1]


def _moves(rows: Array, columns: Array, radius: int) -> NDArray[np.int8]:
    """(T, 2 radius + 1) by which move the cheapest path comes to row i and column i - radius + k.

    Along a row the cost D[k] = min(above[k], D[k-1]) + cost[k] is a running minimum of above[k] - sum(cost[:k]).
    """
    length, width = len(rows), 2 * radius + 1
    moves = np.zeros((length, width), dtype=np.int8)
    before = np.full(width + 1, np.inf)
    before[radius] = 0.0  # the corner before the first pair
    for row in range(length):
        low, high = max(0, radius - row), min(width, length - row + radius)
        cost = ((columns[row - radius + low : row - radius + high] - rows[row]) ** 2).sum(axis=1)
        diagonal, up = before[low:high], before[low + 1 : high + 1]
        summed = np.cumsum(cost)
        above = np.minimum(diagonal, up) - (summed - cost)
        cheapest = np.minimum.accumulate(above)
        moves[row, low:high] = np.where(above > cheapest, _LEFT, np.where(up < diagonal, _UP, _DIAGONAL))
        before = np.full(width + 1, np.inf)
        before[low:high] = cheapest + summed
    return moves

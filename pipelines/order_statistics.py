"""Exact quantiles of more values than memory holds, and of many groups at once, by the digits of the values.

A number's bits, with the sign turned about, order as the number does; counting the 65,536 possible high halves says in
which of them a rank lies, counting the low halves within it says where (radix selection; Knuth, volume 3, 5.2.5).
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Blocks = Callable[[], Iterable[NDArray[np.float32]]]

_HALF = 1 << 16


def quantiles(blocks: Blocks, shares: Sequence[float]) -> list[float]:
    """The quantiles, linear between two ranks as numpy's, of all values that `blocks()` gives; 0 where there are none.

    `blocks` is called twice and gives float32 values without NaN.
    """
    highs = np.zeros(_HALF, dtype=np.int64)
    for block in blocks():
        highs += np.bincount(_keys(block) >> 16, minlength=_HALF)
    count = int(highs.sum())
    if not count:
        return [0.0] * len(shares)
    at = np.array(shares) * (count - 1)
    ranks = np.unique(np.concatenate([np.floor(at), np.ceil(at)]).astype(np.int64))
    found = dict(zip(ranks.tolist(), _at_ranks(blocks, ranks, np.cumsum(highs)), strict=True))
    below, above = [found[int(np.floor(place))] for place in at], [found[int(np.ceil(place))] for place in at]
    return [low + (high - low) * (place % 1) for low, high, place in zip(below, above, at.tolist(), strict=True)]


def sorted_within(values: NDArray[np.float32], owners: NDArray[np.int64]) -> NDArray[np.float32]:
    """The values (V,) sorted within each owner, whose numbers (below 2^31) ascend; ten times as fast as lexsort."""
    return _values(np.sort(owners << 32 | _keys(values)) & 0xFFFFFFFF)


def _at_ranks(blocks: Blocks, ranks: NDArray[np.int64], upto: NDArray[np.int64]) -> list[float]:
    """The values at these ranks; `upto` counts the values up to and with each high half."""
    halves = np.searchsorted(upto, ranks, side="right")
    lows = {int(half): np.zeros(_HALF, dtype=np.int64) for half in halves}
    for block in blocks():
        keys = _keys(block)
        for half, counts in lows.items():
            counts += np.bincount(keys[keys >> 16 == half] & (_HALF - 1), minlength=_HALF)
    values = []
    for half, rank in zip(halves.tolist(), ranks.tolist(), strict=True):
        before = int(upto[half - 1]) if half else 0
        low = int(np.searchsorted(np.cumsum(lows[half]), rank - before, side="right"))
        values.append(_value(half * _HALF + low))
    return values


def _keys(block: NDArray[np.float32]) -> NDArray[np.int64]:
    """Whole numbers that order as the values do; -0 as 0."""
    bits = (block + np.float32(0)).view(np.uint32)
    negative = bits >> 31 == 1
    return np.where(negative, ~bits, bits | np.uint32(1 << 31)).astype(np.int64)


def _value(key: int) -> float:
    return float(_values(np.array([key]))[0])


def _values(keys: NDArray[np.int64]) -> NDArray[np.float32]:
    bits = np.where(keys >> 31 == 1, keys ^ (1 << 31), ~keys)
    return (bits & 0xFFFFFFFF).astype(np.uint32).view(np.float32)

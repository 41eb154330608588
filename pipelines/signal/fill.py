"""Gaps within one recording, filled from the same recording and nothing else."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Filling = Literal["interpolate", "forward", "zero"]


def gap_mask(steps: NDArray[Any]) -> NDArray[np.bool_]:
    """Which cells (T, C) hold no value."""
    gaps: NDArray[np.bool_] = np.isnan(steps)
    return gaps


def fill_gaps(
    steps: NDArray[Any],
    moments: NDArray[np.float64] | None,
    method: Filling,
    *,
    empty: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """The steps (T, C) without gaps, of the same type.

    interpolate: linear between the values at both sides, by the moments (T,) where there are some; constant outside.
    forward: the last value before; `empty` before the first, since it was not known then.
    zero: `empty` everywhere.
    A channel without any value becomes `empty` (C,), by default 0: after scaling the training mean.
    """
    gaps = gap_mask(steps)
    if not gaps.any():
        return steps.copy()
    blank = np.zeros(steps.shape[1]) if empty is None else empty
    if method == "zero":
        return np.where(gaps, blank, steps).astype(steps.dtype)
    before = _before(~gaps)
    if method == "forward":
        known = np.take_along_axis(steps, np.maximum(before, 0), axis=0)
        return np.where(before >= 0, known, blank).astype(steps.dtype)
    return np.where(gaps.all(axis=0), blank, _interpolated(steps, moments, before, ~gaps)).astype(steps.dtype)


def _before(known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(T, C) the last step up to this one that has a value; -1 where there is none."""
    places = np.arange(len(known), dtype=np.int64)[:, None]
    found: NDArray[np.int64] = np.maximum.accumulate(np.where(known, places, -1), axis=0)
    return found


def _interpolated(
    steps: NDArray[Any], moments: NDArray[np.float64] | None, before: NDArray[np.int64], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    last = len(steps) - 1
    after = last - _before(known[::-1])[::-1]
    left = np.where(before >= 0, before, np.minimum(after, last))
    right = np.where(after <= last, after, left)
    times = np.arange(len(steps), dtype=np.float64) if moments is None else moments
    width = times[right] - times[left]
    share = np.divide(times[:, None] - times[left], width, out=np.zeros_like(width), where=width > 0)
    low = np.take_along_axis(steps, left, axis=0).astype(np.float64)
    high = np.take_along_axis(steps, right, axis=0).astype(np.float64)
    return np.asarray(low * (1 - share) + high * share)

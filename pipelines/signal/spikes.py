"""Single values far from their neighbours: the filter of Hampel (The influence curve and its role, JASA 1974)."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pipelines.order_statistics import sorted_within

_NORMAL = 1.4826  # median deviations in a standard deviation of normal values
_CHUNK = 1 << 16  # values whose windows are held at a time


def spike_mask(
    values: NDArray[np.float32], owners: NDArray[np.int64], deviations: float, window: int
) -> NDArray[np.bool_]:
    """(S, C) the cells further than so many robust deviations from the median of the `window` values around them.

    Windows hold values of one channel of one sequence (`owners` (S,) says whose a step is), gaps passed over. Where
    most of a window is equal, the whole sequence's robust deviation is the yardstick, so that the last digit of a
    coarse sensor is no spike.
    """
    mask = np.zeros(values.shape, dtype=np.bool_)
    for place in range(values.shape[1]):
        known = np.flatnonzero(~np.isnan(values[:, place]))
        if len(known):
            mask[known, place] = _spikes(values[known, place].astype(np.float64), owners[known], deviations, window)
    return mask


def _spikes(steps: NDArray[np.float64], owners: NDArray[np.int64], deviations: float, window: int) -> NDArray[np.bool_]:
    half = window // 2
    padded = np.pad(steps, half)
    whose = np.pad(owners, half, constant_values=-1)
    coarse = _spread_of_sequences(steps, owners)
    spikes = np.empty(len(steps), dtype=np.bool_)
    for start in range(0, len(steps), _CHUNK):
        end = min(start + _CHUNK, len(steps))
        around = sliding_window_view(padded[start : end + 2 * half], window).copy()
        around[sliding_window_view(whose[start : end + 2 * half], window) != owners[start:end, None]] = np.nan
        median = _medians(around)
        spread = _NORMAL * _medians(np.abs(around - median[:, None]))
        spread = np.where(spread > 0, spread, coarse[start:end])
        spikes[start:end] = (np.abs(steps[start:end] - median) > deviations * spread) & (spread > 0)
    return spikes


def _medians(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of what is known in each row; many times as fast as nanmedian."""
    ordered = np.sort(rows, axis=1)
    last = (~np.isnan(ordered)).sum(axis=1) - 1
    places = np.arange(len(rows))
    return np.asarray((ordered[places, last // 2] + ordered[places, (last + 1) // 2]) / 2)


def _spread_of_sequences(steps: NDArray[np.float64], owners: NDArray[np.int64]) -> NDArray[np.float64]:
    """(S,) the robust deviation of the sequence that each step belongs to."""
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    lengths = np.diff(starts, append=len(steps))
    median = np.repeat(_middles(sorted_within(steps.astype(np.float32), owners), starts, lengths), lengths)
    distances = np.abs(steps - median).astype(np.float32)
    return np.repeat(_NORMAL * _middles(sorted_within(distances, owners), starts, lengths), lengths)


def _middles(
    ordered: NDArray[np.float32], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.float64]:
    return np.asarray((ordered[starts + (lengths - 1) // 2] + ordered[starts + lengths // 2]) / 2.0)

"""Varied copies of a sequence, for made rows of a rare class: it stays as long, and its gaps stay where they are."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.signal.fill import fill_gaps, gap_mask
from pipelines.signal.warp import aligned

Variation = Literal["jitter", "scaling", "time_warp", "window", "shape_smote"]
Array = NDArray[np.float64]

_NOISE = 0.03  # of a channel's deviation
_GAIN = (0.9, 1.1)
_KNOTS, _SPEEDS = 4, 0.2  # of the warping: turning points, and the deviation of the speed from 1
_WINDOW = 0.9  # of the time between first and last step


def vary_signal(
    steps: NDArray[Any],
    moments: NDArray[np.float64] | None,
    partner: NDArray[Any] | None,
    how: Sequence[Variation],
    rng: np.random.Generator,
) -> NDArray[Any]:
    """The steps (T, C), varied in these ways one after the other, as a new array of the same type.

    "shape_smote" goes a random share of the way to `partner` (T', C), another sequence of the class; without one it
    does nothing. Variations are those of Um et al. 2017 and, "window", of Le Guennec et al. 2016.
    """
    varied = steps.copy()
    for name in how:
        if name != "shape_smote":
            varied = _whole(varied, moments, VARIATIONS[name], rng)
        elif partner is not None:
            varied = blend_signals(varied, partner, rng.uniform())
    return varied


def blend_signals(steps: NDArray[Any], partner: NDArray[Any], share: float) -> NDArray[Any]:
    """`share` of the way from the steps (T, C) to `partner` (T', C), as long as the steps.

    The partner is brought into the steps' time first, so that peaks meet peaks: SMOTE in a space where series keep
    their shape (Forestier et al. 2017, after Sakoe and Chiba 1978). Where either has no value at all of a channel, the
    steps' own stay.
    """
    if not len(steps) or not len(partner):
        return steps.copy()
    own, other = (fill_gaps(series.astype(np.float64), None, "interpolate") for series in (steps, partner))
    absent = gap_mask(steps).all(axis=0) | gap_mask(partner).all(axis=0)
    own_filled = np.where(absent, 0, own)
    blended = own + share * (aligned(np.where(absent, 0, other), own_filled) - own_filled)
    return np.where(gap_mask(steps), np.nan, blended).astype(steps.dtype)


def _whole(
    steps: NDArray[Any],
    moments: NDArray[np.float64] | None,
    vary: Callable[[Array, Array, np.random.Generator], Array],
    rng: np.random.Generator,
) -> NDArray[Any]:
    """`vary` of the steps with their gaps bridged, which are there again afterwards."""
    if len(steps) < 2:
        return steps
    times = np.arange(len(steps), dtype=np.float64) if moments is None else moments
    varied = vary(fill_gaps(steps.astype(np.float64), moments, "interpolate"), times, rng)
    return np.where(gap_mask(steps), np.nan, varied).astype(steps.dtype)


def _jitter(steps: Array, times: Array, rng: np.random.Generator) -> Array:
    return np.asarray(steps + rng.normal(0, 1, steps.shape) * (_NOISE * steps.std(axis=0)))


def _scaling(steps: Array, times: Array, rng: np.random.Generator) -> Array:
    return np.asarray(steps * rng.uniform(*_GAIN, steps.shape[1]))


def _time_warp(steps: Array, times: Array, rng: np.random.Generator) -> Array:
    """The clock runs faster and slower by turns, along a smooth curve, and ends where it would have ended."""
    from scipy.interpolate import CubicSpline

    knots = np.linspace(times[0], times[-1], _KNOTS + 2)
    if times[-1] <= times[0]:
        return steps
    speeds = CubicSpline(knots, rng.normal(1, _SPEEDS, len(knots)))(times)
    passed = np.concatenate([[0], np.cumsum(np.maximum(speeds[1:], 0.1) * np.diff(times))])
    return _read_at(steps, times, times[0] + passed * ((times[-1] - times[0]) / passed[-1]))


def _window(steps: Array, times: Array, rng: np.random.Generator) -> Array:
    """A part of the time, stretched to the whole."""
    start = times[0] + rng.uniform(0, 1 - _WINDOW) * (times[-1] - times[0])
    return _read_at(steps, times, start + (times - times[0]) * _WINDOW)


def _read_at(steps: Array, times: Array, at: Array) -> Array:
    return np.stack([np.interp(at, times, channel) for channel in steps.T], axis=1)


VARIATIONS: dict[str, Callable[[Array, Array, np.random.Generator], Array]] = {
    "jitter": _jitter,
    "scaling": _scaling,
    "time_warp": _time_warp,
    "window": _window,
}

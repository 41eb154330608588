"""One sampling rate for all recordings."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pipelines.signal.fill import fill_gaps, gap_mask

_MOST_STEPS = 1 << 27


def resample(steps: NDArray[np.float64], was: float, rate: float) -> NDArray[np.float64]:
    """(T, C) steps at `was` Hz brought to `rate` Hz, by a polyphase filter that keeps out aliases; gaps stay gaps.

    Raises ValueError where that would be too long to hold.
    """
    from scipy.signal import resample_poly

    ratio = Fraction(rate / was).limit_denominator(10_000)
    if not ratio or len(steps) * ratio > _MOST_STEPS or ratio.numerator > 1_000_000:
        raise ValueError(f"from {was:g} Hz to {rate:g} Hz is too far")
    if ratio == 1:
        return steps
    up, down = ratio.numerator, ratio.denominator
    bridged = fill_gaps(steps, None, "interpolate")
    new = np.asarray(resample_poly(bridged, up, down, axis=0, padtype="line"))
    nearest = np.minimum(np.round(np.arange(len(new)) * (down / up)).astype(np.int64), len(steps) - 1)
    new[gap_mask(steps)[nearest]] = np.nan
    return new


def even_rate(times: NDArray[np.float64]) -> float | None:
    """The rate in Hz of moments (T,) in seconds that are equally far apart, to a tenth; else None."""
    if len(times) < 2:
        return None
    step = float((times[-1] - times[0]) / (len(times) - 1))
    if step <= 0 or np.abs(np.diff(times) - step).max() > 0.1 * step:
        return None
    return float(f"{1 / step:.6g}")

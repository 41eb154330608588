"""Numbers brought to alike size: fitted, applied and undone one column at a time, or within a patient or a row."""

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import MedloopError
from contracts.study import Frozen
from pipelines.table import patient_numbers

Array = NDArray[np.float64]
Scaling = Literal["standard", "robust", "minmax", "maxabs", "quantile", "power", "log", "unit", "patient", "none"]

_FINITE = float(np.finfo(np.float32).max)
_FURTHEST = 1e6  # medians from 0, where "power" stops: its exponent would take larger values beyond all bounds
_EXPONENTS = (-3.0, 5.0)  # around 1, which leaves values as they are


class Scale(Frozen):
    """(x - center) / scale, kept within ± clip."""

    center: float
    scale: float
    clip: float


class Scores(Frozen):
    """`scores` at `knots`, linear between, constant beyond."""

    knots: tuple[float, ...]
    scores: tuple[float, ...]


class Log(Frozen):
    """sign(x) · log(1 + |x|), then `after`."""

    after: Scale


class Power(Frozen):
    """`before`, the transformation of Yeo and Johnson by `exponent`, then `after`."""

    before: Scale
    exponent: float
    after: Scale


Scaler = Scale | Scores | Log | Power


def fit_scaling(values: Array, method: Scaling, *, clip: float, name: str) -> Scaler:
    """What `method` learns from the (N,) training values of column `name`, in whatever order they come.

    "patient" learns the training mean and deviation, "none" and "unit" nothing. A column of one value is only moved.
    Raises MedloopError on a value that is missing or infinite.
    """
    if not np.isfinite(values).all():
        raise MedloopError(f"column {name}: values missing or too large to scale", mend="impute it, declare its range")
    if method in ("none", "unit"):
        return Scale(center=0, scale=1, clip=_FINITE)
    values = np.sort(values)
    if method == "quantile":
        return _scores(values)
    if method == "log":
        return Log(after=_standard(_log(values), clip))
    if method == "power":
        return _power(values, clip)
    if method in ("standard", "patient"):
        return _standard(values, clip)
    low, first, median, third, high = np.quantile(values, (0.005, 0.25, 0.5, 0.75, 0.995))
    _, deviation = _moments(values)
    center, scale = {
        "robust": (median, third - first or deviation),
        "minmax": (low, high - low or deviation),
        "maxabs": (0, np.quantile(np.abs(values), 0.995) or deviation),
    }[method]
    return Scale(center=float(center), scale=float(scale) or 1.0, clip=clip)


def scaled(values: Array, by: Scaler) -> Array:
    """(N,) values, scaled; a missing one stays missing."""
    if isinstance(by, Scores):
        return np.interp(values, by.knots, by.scores)
    if isinstance(by, Log):
        return scaled(_log(values), by.after)
    if isinstance(by, Power):
        return scaled(_bent(scaled(values, by.before), by.exponent), by.after)
    with np.errstate(over="ignore"):
        return np.clip((values - by.center) / by.scale, -by.clip, by.clip)


def invert(scores: Array, by: Scaler) -> Array:
    """(N,) the values that `scaled` made these of; one that was clipped comes back as the bound it was clipped to.

    "unit" and "patient" are undone by what `row_lengths` and `patient_units` gave, since rows differ in it.
    """
    if isinstance(by, Scores):
        return np.interp(scores, by.scores, by.knots)
    if isinstance(by, Log):
        size = invert(scores, by.after)
        with np.errstate(over="ignore"):
            return np.sign(size) * np.expm1(np.abs(size))
    if isinstance(by, Power):
        return invert(_unbent(invert(scores, by.after), by.exponent), by.before)
    return np.asarray(np.clip(scores, -by.clip, by.clip) * by.scale + by.center)


def row_lengths(block: Array) -> Array:
    """(N, 1) the Euclidean lengths of the rows of a (N, K) block; 1 for a row of zeros."""
    largest = np.abs(block).max(axis=1, keepdims=True, initial=0)
    largest[largest == 0] = 1
    with np.errstate(under="ignore"):
        lengths = np.sqrt(((block / largest) ** 2).sum(axis=1, keepdims=True))
    lengths[lengths == 0] = 1
    return np.asarray(largest * lengths)


def patient_units(standard: Array, samples: pd.DataFrame) -> tuple[Array, Array]:
    """(N,) mean and deviation of a patient's own values, in training deviations from the training mean.

    They count the patient's rows among `samples` at or before the row's `@time`, or all where samples have none. A row
    without a time, or without another of its patient to count, keeps the training mean and deviation (0, 1); a
    patient whose values do not vary, the training deviation.

    Args:
        standard: (N,) the values in these units.
        samples: `@group` and, where there is one, `@time`.
    """
    time = samples["@time"].to_numpy() if "@time" in samples else np.zeros(len(samples))
    rows = pd.DataFrame({"patient": patient_numbers(samples), "time": time, "value": standard})
    rows = rows.sort_values(["patient", "time", "value"])
    first = rows.groupby("patient")["value"].transform("first")
    from_first = rows["value"] - first
    counts = pd.DataFrame({"n": 1, "sum": from_first, "squares": from_first**2}).groupby(rows["patient"]).cumsum()
    past = counts.groupby([rows["patient"], rows["time"]]).transform("last")
    mean = past["sum"] / past["n"]
    deviation = np.sqrt((past["squares"] / past["n"] - mean**2).clip(lower=0))
    known = past["n"] > 1
    center, spread = (first + mean).where(known, 0.0), deviation.where(known & (deviation > 0), 1.0)
    return _in_order(center), _in_order(spread)


def scaled_within_patient(values: Array, by: Scaler, samples: pd.DataFrame) -> Array:
    """(N,) values in deviations of the patient's own from their own mean; see `patient_units`."""
    assert isinstance(by, Scale)
    standard = scaled(values, by)
    center, spread = patient_units(standard, samples)
    return np.clip((standard - center) / spread, -by.clip, by.clip)


def _in_order(column: "pd.Series[Any]") -> Array:
    return column.sort_index().to_numpy(dtype=np.float64)


def _moments(values: Array) -> tuple[float, float]:
    """Mean and deviation of values in their order, the ends of which the largest is one of.

    A power of two takes the values near 1 first: that changes no digit and never overflows.
    """
    if values[0] == values[-1]:
        return float(values[0]), 0.0
    _, exponent = np.frexp(max(abs(values[0]), abs(values[-1])))
    near_1 = np.ldexp(values, -exponent)
    mean = near_1.mean()
    near_1 -= mean
    deviation = np.sqrt(np.square(near_1, out=near_1).mean())
    mean, deviation = np.ldexp([mean, deviation], exponent)
    return float(mean), float(deviation)


def _standard(values: Array, clip: float) -> Scale:
    mean, deviation = _moments(values)
    return Scale(center=mean, scale=deviation or 1.0, clip=clip)


def _scores(values: Array, steps: int = 200) -> Scores:
    """Normal scores at the training quantiles; equal values share their mean rank."""
    from scipy.special import ndtri

    share = (np.arange(steps) + 0.5) / steps
    knots, at = np.unique(np.quantile(values, share), return_inverse=True)
    mean_share = np.bincount(at, weights=share) / np.bincount(at)
    return Scores(knots=tuple(knots.tolist()), scores=tuple(ndtri(mean_share).tolist()))


def _log(values: Array) -> Array:
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def _power(values: Array, clip: float) -> Power:
    """The exponent of greatest likelihood, of values as multiples of their median size: the unit does not matter."""
    from scipy.optimize import fminbound

    size = float(np.median(np.abs(values))) or _moments(values)[1] or 1.0
    before = Scale(center=0, scale=size, clip=_FURTHEST)
    multiples = scaled(values, before)
    constant = multiples[0] == multiples[-1]
    exponent = 1.0 if constant else float(fminbound(_cost, *_EXPONENTS, args=(multiples,)))
    return Power(before=before, exponent=exponent, after=_standard(_bent(multiples, exponent), clip))


def _cost(exponent: float, values: Array) -> float:
    """The negative log likelihood; the worst where values fall together, which makes it infinite."""
    from scipy.stats import yeojohnson_llf

    with np.errstate(all="ignore"):
        likelihood = float(yeojohnson_llf(exponent, values))
    return -likelihood if np.isfinite(likelihood) else 1e200


def _bent(values: Array, exponent: float) -> Array:
    """Yeo and Johnson, "A new family of power transformations", Biometrika 87, 2000."""
    from scipy.special import boxcox1p

    return np.asarray(np.sign(values) * boxcox1p(np.abs(values), np.where(values < 0, 2 - exponent, exponent)))


def _unbent(values: Array, exponent: float) -> Array:
    from scipy.special import inv_boxcox1p

    exponents = np.where(values < 0, 2 - exponent, exponent)
    sizes = inv_boxcox1p(np.abs(values), exponents)
    # Beyond the end of a bounded curve there is no value.
    sizes = np.nan_to_num(sizes, nan=_FURTHEST, posinf=_FURTHEST)
    return np.asarray(np.sign(values) * np.minimum(sizes, _FURTHEST))

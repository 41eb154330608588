"""How far probabilities lie from what comes true: on average, in spread, bin by bin."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.study import Frozen
from pipelines.bootstrap import Interval, interval, rounded
from pipelines.metrics import Floats, Judged, observed, probability_errors

SMALLEST = 1e-6
STEPS = 50
CALIBRATED = "well calibrated, as far as these rows can tell"
# Below these a deviation is of no account, however narrow its interval.
TOO_HIGH, TOO_SPREAD = 0.005, 0.05


class Bin(Frozen):
    """A calibration bin: rows in it, their mean predicted probability, and the observed share."""

    rows: int
    predicted: float | None
    observed: Interval


class Reliability(Frozen):
    """Calibration of the positive class's probability; with more than two classes of the likeliest one's.

    `ece` and `brier` as among the metrics. `in_the_large`: mean predicted less observed share, above 0 where
    probabilities are too high. `slope` and `intercept`: of the logistic regression of the outcome on the logit of
    the probability (Cox, "Two further applications of a model for binary regression", Biometrika 45, 1958), 1 and 0
    where calibrated; a slope below 1 says that probabilities are too extreme.
    """

    ece: Interval
    brier: Interval
    in_the_large: Interval
    slope: Interval
    intercept: Interval
    bins: tuple[Bin, ...]

    @property
    def verdict(self) -> str:
        """Whether probabilities can be taken at their word; CALIBRATED where nothing is seen to be wrong."""
        gap, slope = self.in_the_large, self.slope
        told = []
        if _off(gap, 0, TOO_HIGH):
            told.append(f"too {'high' if (gap.value or 0) > 0 else 'low'} by {abs(gap.value or 0):.2f} on average")
        if slope.high is not None and slope.high < 0:
            told.append(f"the wrong way round (slope {slope.value:.2f}): the higher, the less often they come true")
        elif _off(slope, 1, TOO_SPREAD):
            told.append(f"too {'extreme' if (slope.value or 0) < 1 else 'cautious'} (slope {slope.value:.2f})")
        return " and ".join(told) or CALIBRATED


def _off(found: Interval, ideal: float, tolerance: float) -> bool:
    """Whether a value misses its ideal by more than chance, and by more than matters."""
    if found.value is None or found.low is None or found.high is None:
        return False
    return not found.low <= ideal <= found.high and abs(found.value - ideal) >= tolerance


def deviations(judged: Judged, weight: Floats, line: Floats) -> dict[str, Floats]:
    """What a Reliability holds, (B,) or (B, bins), for each row of weights (B, N); `line` from `recalibration`.

    Slope and intercept take one Newton step from `line` on each row of weights: with bootstrap weights as good as
    refitting (Andrews, "Higher-order improvements of a computationally attractive k-step bootstrap", Econometrica
    70, 2002), at the cost of a product of matrices.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        intercept, slope = _stepped(line, judged, weight).T
        return {
            **probability_errors(judged, weight),
            "in_the_large": weight @ (judged.confidence - judged.outcome) / weight.sum(axis=1),
            "slope": slope,
            "intercept": intercept,
            "observed": observed(judged, weight),
        }


def recalibration(judged: Judged) -> Floats:
    """Intercept and slope of Cox's logistic recalibration on the rows; NaN where no finite one is best. Shape: (2,)."""
    everyone = np.ones((1, len(judged.outcome)))
    line: Floats = np.zeros(2)
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            before, line = line, _stepped(line, judged, everyone)[0]
            if not np.isfinite(line).all():
                break
            if np.abs(line - before).max() < 1e-9 * max(1.0, np.abs(line).max()):
                return line
    return np.full(2, np.nan)


def _stepped(line: Floats, judged: Judged, weight: Floats) -> Floats:
    """A Newton step of weighted logistic regression from `line`. Shape: weight (B, N) -> (B, 2)."""
    within = np.clip(judged.confidence, SMALLEST, 1 - SMALLEST)
    logit = np.log(within) - np.log1p(-within)
    fitted = np.exp(-np.logaddexp(0, -(line[0] + line[1] * logit)))
    rest, spread = judged.outcome - fitted, fitted * (1 - fitted)
    columns = np.column_stack([rest, rest * logit, spread, spread * logit, spread * logit**2])
    g0, g1, h00, h01, h11 = (weight @ columns).T
    determinant = h00 * h11 - h01**2
    determinant = np.where(determinant > 1e-9 * h00 * h11, determinant, np.nan)
    return np.asarray(line + np.stack([h11 * g0 - h01 * g1, h00 * g1 - h01 * g0], axis=1) / determinant[:, None])


def reliability(
    judged: Judged,
    group: NDArray[Any],
    here: dict[str, Floats],
    drawn: dict[str, Floats],
    *,
    confidence: float,
    min_patients: int,
) -> Reliability:
    """Values with their intervals, from `deviations` on the rows (`here`, B of 1) and on resamples of them (`drawn`).

    A bin of fewer patients than `min_patients` shows its count only.
    """
    flat = "the probabilities are all alike, or part the outcomes completely"
    values = {
        name: interval(float(here[name][0]), drawn[name], confidence, reason=flat, reflect=name == "ece")
        for name in ("ece", "brier", "in_the_large", "slope", "intercept")
    }
    bins = []
    for place in range(judged.member.shape[1]):
        inside = judged.member[:, place] > 0
        rows = int(inside.sum())
        if len(np.unique(group[inside])) < min_patients:
            hidden = Interval(value=None, reason=f"fewer than {min_patients} patients")
            bins.append(Bin(rows=rows, predicted=None, observed=hidden))
        else:
            share = interval(float(here["observed"][0, place]), drawn["observed"][:, place], confidence)
            bins.append(Bin(rows=rows, predicted=rounded(judged.confidence[inside].mean()), observed=share))
    return Reliability(**values, bins=tuple(bins))

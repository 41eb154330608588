"""Recalibration: probabilities that come true as often as they say, fitted on validation rows after training.

Class weights, resampling and losses for rare classes shift probabilities on purpose; ranking stays, meaning is lost.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError
from models import hazards

Floats = NDArray[np.float64]
Method = Literal["prior", "temperature", "platt", "isotonic"]
FEWEST_ROWS = 20
SMALLEST = 1e-12
SHARPNESS = (0.01, 100.0)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How probabilities are mended; plain values, none of them a single patient's.

    state, by method:
        prior: `factor`, a number a class
        temperature: `temperature`
        platt: `slope` and `intercept`, a number a class
        isotonic: `predicted` and `observed`, a list of knots a class
        conformal: `margin`, by which the interval of a number goes either way, for `coverage` of the rows; of several
            numbers a row a list
        moments: `cuts`, the ends of a survival model's intervals, and `times`, the last of which is the horizon
    Of two classes, platt and isotonic mend the second alone; the first is the rest.
    """

    method: Method | Literal["conformal", "moments"]
    state: dict[str, Any]


def prior(factor: Floats) -> Calibration:
    """Undo a known shift of the classes' shares: a class's probability is multiplied by its factor (Saerens et al.,
    Neural Computation 14, 2002; for two classes the intercept correction of King & Zeng, Political Analysis 9, 2001).

    Shape: factor (C,), the true share of each class over its share in training.
    """
    return Calibration(method="prior", state={"factor": factor.tolist()})


def fit(probability: Floats, target: NDArray[np.int64], method: Method) -> Calibration:
    """Learn the mend from rows that the model was not trained on.

    - temperature: logits divided by one number (Guo et al., "On calibration of modern neural networks", ICML 2017);
      it mends too much or too little confidence, not a shift towards a class
    - platt: slope and intercept on the logit, with his smoothed targets (Platt, "Probabilistic outputs for support
      vector machines", 1999)
    - isotonic: the best rising function (Zadrozny & Elkan, KDD 2002), knots of at least FEWEST_ROWS rows each

    platt and isotonic mend more than two classes one against the rest, then divide by the sum.

    Shape: probability (N, C), target (N,). Raises MedloopError when a class has too few rows for isotonic.
    """
    if method == "temperature":
        return Calibration(method=method, state={"temperature": _temperature(probability, target)})
    mended = [(probability[:, c], (target == c).astype(np.float64)) for c in _mended(probability)]
    if method == "platt":
        slopes, intercepts = zip(*(_platt(*pair) for pair in mended), strict=True)
        return Calibration(method=method, state={"slope": list(slopes), "intercept": list(intercepts)})
    check_rows(target, probability.shape[1])
    predicted, observed = zip(*(_isotonic(*pair) for pair in mended), strict=True)
    return Calibration(method="isotonic", state={"predicted": list(predicted), "observed": list(observed)})


def apply(calibration: Calibration, probability: Floats) -> Floats:
    """The mended probabilities; rows sum to 1. Shape: (N, C) -> (N, C), by temperature (…, C) -> (…, C).

    Conformal: each number and the ends of its interval. Shape: (N, K) -> (N, 3 K).
    Moments: the risk at the horizon, the median time, the chance to be spared up to each of T times.
    Shape: (N, K) -> (N, 2 + T).
    """
    state = calibration.state
    if calibration.method == "moments":
        spared = hazards.at(probability, state["cuts"], np.array(state["times"]))
        return np.column_stack([1 - spared[:, -1], hazards.median(probability, state["cuts"]), spared])
    if calibration.method == "conformal":
        ends = np.atleast_1d(state["margin"])[:, None] * np.array([0.0, -1.0, 1.0])
        return np.asarray((probability[:, :, None] + ends).reshape(len(probability), -1), dtype=np.float64)
    if calibration.method == "prior":
        return _shares(probability * np.array(state["factor"]))
    if calibration.method == "temperature":
        logits = np.log(np.maximum(probability, SMALLEST)) / state["temperature"]
        return _shares(np.exp(logits - logits.max(axis=-1, keepdims=True)))
    if calibration.method == "platt":
        lines = zip(_mended(probability), state["slope"], state["intercept"], strict=True)
        return _together([_sigmoid(slope * _logit(probability[:, c]) + intercept) for c, slope, intercept in lines])
    knots = zip(_mended(probability), state["predicted"], state["observed"], strict=True)
    return _together([np.interp(probability[:, c], predicted, observed) for c, predicted, observed in knots])


def _mended(probability: Floats) -> list[int]:
    classes = probability.shape[1]
    return [1] if classes == 2 else list(range(classes))


def _together(columns: list[Floats]) -> Floats:
    """One column a class; of two classes the first is what the second leaves."""
    if len(columns) == 1:
        return np.column_stack([1 - columns[0], columns[0]])
    return _shares(np.column_stack(columns))


def _shares(values: Floats) -> Floats:
    return np.asarray(values / values.sum(axis=-1, keepdims=True), dtype=np.float64)


def _logit(probability: Floats) -> Floats:
    within = np.clip(probability, SMALLEST, 1 - SMALLEST)
    return np.asarray(np.log(within) - np.log1p(-within), dtype=np.float64)


def _sigmoid(logit: Floats) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0, -logit)), dtype=np.float64)


def _temperature(probability: Floats, target: NDArray[np.int64]) -> float:
    """The one with the smallest log loss: convex in its inverse, whose slope is bisected."""
    logits = np.log(np.maximum(probability, SMALLEST))
    own = logits[np.arange(len(target)), target]
    low, high = SHARPNESS
    for _ in range(60):
        middle = float(np.sqrt(low * high))
        expected = (_shares(np.exp(middle * (logits - logits.max(axis=1, keepdims=True)))) * logits).sum(axis=1)
        low, high = (middle, high) if (expected - own).mean() < 0 else (low, middle)
    return 1 / high


def _platt(probability: Floats, outcome: Floats) -> tuple[float, float]:
    """Slope and intercept by Newton's method with halved steps (Lin, Lin & Weng, Machine Learning 68, 2007)."""
    positives, rows = outcome.sum(), len(outcome)
    goal = np.where(outcome > 0, (positives + 1) / (positives + 2), 1 / (rows - positives + 2))
    design = np.column_stack([_logit(probability), np.ones(rows)])
    line = np.array([0.0, np.log((positives + 1) / (rows - positives + 1))])
    for _ in range(100):
        given = _sigmoid(design @ line)
        gradient = design.T @ (given - goal)
        if np.abs(gradient).max() < 1e-9 * rows:
            break
        hessian = design.T @ (design * (given * (1 - given))[:, None]) + SMALLEST * np.eye(2)
        line = _downhill(line, np.linalg.solve(hessian, gradient), design, goal)
    return float(line[0]), float(line[1])


def _downhill(line: Floats, step: Floats, design: Floats, goal: Floats) -> Floats:
    """The longest of the step's halves that does not raise the log loss."""

    def loss(at: Floats) -> float:
        logit = design @ at
        return float((np.logaddexp(0, logit) - goal * logit).sum())

    before = loss(line)
    for halvings in range(40):
        after = line - step / 2**halvings
        if loss(after) <= before:
            return np.asarray(after, dtype=np.float64)
    return line


def check_rows(target: NDArray[np.int64], classes: int) -> None:
    """Raises MedloopError when a class has too few rows for isotonic. Shape: target (N,)."""
    fewest = int(np.bincount(target, minlength=classes).min())
    if fewest < FEWEST_ROWS:
        raise MedloopError(
            f"isotonic calibration needs {FEWEST_ROWS} validation rows of every class; the rarest has {fewest}",
            where="train.calibration",
            mend="take temperature or platt, or a larger split.validation",
        )


def _isotonic(probability: Floats, outcome: Floats) -> tuple[list[float], list[float]]:
    """Mean probability and observed share of each pool, both rising.

    A share stays a little above 0 and below 1, as N rows cannot show that something never happens.
    """
    place = np.unique(probability, return_inverse=True)[1]
    sums = [np.bincount(place), np.bincount(place, weights=probability), np.bincount(place, weights=outcome)]
    rows, predicted, hits = np.array(_large(_pooled(np.column_stack(sums).astype(np.float64)))).T
    least = 1 / (len(outcome) + 2)
    return (predicted / rows).tolist(), np.clip(hits / rows, least, 1 - least).tolist()


def _pooled(blocks: Floats) -> list[Floats]:
    """Pool adjacent violators: neighbours whose share does not rise are one. Shape: (K, 3) rows, sum, hits."""
    pools: list[Floats] = []
    for block in blocks:
        pools.append(block)
        while len(pools) > 1 and pools[-2][2] * pools[-1][0] >= pools[-1][2] * pools[-2][0]:
            last = pools.pop()
            pools[-1] = pools[-1] + last
    return pools


def _large(pools: list[Floats]) -> list[Floats]:
    """Neighbours put together until each holds FEWEST_ROWS rows."""
    found: list[Floats] = []
    for pool in pools:
        if found and found[-1][0] < FEWEST_ROWS:
            found[-1] = found[-1] + pool
        else:
            found.append(pool)
    if len(found) > 1 and found[-1][0] < FEWEST_ROWS:
        last = found.pop()
        found[-1] = found[-1] + last
    return found

"""What the gaps cost: estimates pooled over several completed data sets, beside those of the rows that have a value.

For each column that "mice" fills, its mean, and its association with the label: the coefficient of a logistic
regression on it alone, by standard deviation. Errors are robust to several rows a patient (Liang and Zeger,
Biometrika 73, 1986).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import MedloopError
from contracts.study import Frozen
from contracts.tables import Schema
from pipelines.impute import ImputeParams, fit_impute
from pipelines.multiple import Pooled, complete, pool
from pipelines.outliers import mark_outliers
from pipelines.regression import Array

FEWEST_GAPS, FEWEST_VALUES = 5, 20
STEPS, STEEPEST = 30, 10.0  # of Newton's method, and the coefficient beyond which the classes are parted

# What an estimator says of values (N,), which of them are there, and patients (N,): an estimate and its variance.
Estimator = Callable[[Array, NDArray[np.int64], Array], tuple[float, float] | None]


class Estimate(Frozen):
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float


class Compared(Frozen):
    """`known`: from the rows that have a value; `pooled`: from the completed sets by Rubin's rules.

    lost: the fraction of the information on the pooled estimate that the gaps took (Rubin 1987).
    """

    known: Estimate
    pooled: Estimate
    lost: float


class Cost(Frozen):
    """What a column's gaps cost its mean, and its association with the label (log odds ratio a standard deviation).

    association is None where the column parts the classes, or has one value a class.
    """

    column: str
    missing: float
    mean: Compared
    association: Compared | None


def gap_costs(train: pd.DataFrame, schema: Schema, params: ImputeParams) -> tuple[Cost, ...]:
    """By column with gaps that mice fills, the costliest first; nothing where `params.datasets` is 1.

    Columns of fewer than 5 gaps or 20 values are left out. The label is the positive class against all others.
    """
    if params.datasets == 1:
        return ()
    if not schema.classes:
        raise MedloopError(
            "what gaps cost is told of an association with a class, and the label is a number",
            where="impute.datasets",
            mend="leave impute.datasets at 1",
        )
    train = train.sort_values("@id", ignore_index=True)
    imputer = fit_impute(train, schema, params)
    known = mark_outliers(imputer.outliers, train) if imputer.outliers else train
    sets = complete(train, train, schema, params, params.datasets)
    label = (train["@target"] == schema.positive_index).to_numpy().astype(np.float64)
    patient = pd.factorize(train["@group"])[0]
    costs = [
        _cost(name, known[name].to_numpy(dtype=np.float64), [one[name].to_numpy() for one in sets], patient, label)
        for name in (imputer.chained.equations if imputer.chained else ())
        if known[name].isna().sum() >= FEWEST_GAPS and known[name].notna().sum() >= FEWEST_VALUES
    ]
    return tuple(sorted(costs, key=lambda cost: (-cost.mean.lost, cost.column)))


def _cost(name: str, known: Array, sets: list[Array], patient: NDArray[np.int64], label: Array) -> Cost:
    center, scale = float(np.nanmean(known)), float(np.nanstd(known)) or 1.0
    standard, completed = (known - center) / scale, [(one - center) / scale for one in sets]
    mean = _compared(_mean, standard, completed, patient, label)
    assert mean is not None  # a mean always is
    own = {end: _own(getattr(mean, end), center, scale) for end in ("known", "pooled")}
    return Cost(
        column=name,
        missing=round(float(np.isnan(known).mean()), 6),
        mean=mean.model_copy(update=own),
        association=_compared(_slope, standard, completed, patient, label),
    )


def _own(estimate: Estimate, center: float, scale: float) -> Estimate:
    return Estimate(**{end: float(f"{value * scale + center:.6g}") for end, value in estimate})


def _compared(
    estimator: Estimator, known: Array, sets: list[Array], patient: NDArray[np.int64], label: Array
) -> Compared | None:
    there = ~np.isnan(known)
    alone = estimator(known[there], patient[there], label[there])
    found = [answer for one in sets if (answer := estimator(one, patient, label))]
    if alone is None or len(found) < len(sets):
        return None
    pooled = pool(*zip(*found, strict=True), freedom=_freedom(patient))
    # Without gaps both data sets are the same one, so that pooling says the same.
    single = pool([alone[0]] * 2, [alone[1]] * 2, freedom=_freedom(patient[there]))
    return Compared(known=_estimate(single), pooled=_estimate(pooled), lost=round(pooled.lost, 4))


def _freedom(patient: NDArray[np.int64]) -> float:
    return float(max(len(np.unique(patient)) - 2, 1))


def _estimate(pooled: Pooled) -> Estimate:
    low, high = pooled.interval()
    return Estimate(value=round(pooled.estimate, 6), low=round(low, 6), high=round(high, 6))


def _mean(values: Array, patient: NDArray[np.int64], label: Array) -> tuple[float, float]:
    rest = values - values.mean()
    return float(values.mean()), float(_between(rest[:, None], patient)[0, 0] / len(values) ** 2)


def _slope(values: Array, patient: NDArray[np.int64], label: Array) -> tuple[float, float] | None:
    """The coefficient of a logistic regression and its variance; None where it has no end."""
    x, weights = np.column_stack([np.ones(len(values)), values]), np.zeros(2)
    if label.min() == label.max() or values.std() == 0:
        return None
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-x @ weights))
        bend = x.T @ (x * (chance * (1 - chance))[:, None])
        if np.abs(weights).max() > STEEPEST or np.linalg.cond(bend) > 1e12:
            return None
        step = np.linalg.solve(bend, x.T @ (label - chance))
        weights = weights + step
        if np.abs(step).max() < 1e-8:
            inverse = np.linalg.inv(bend)
            spread = inverse @ _between(x * (label - chance)[:, None], patient) @ inverse
            return float(weights[1]), float(spread[1, 1])
    return None


def _between(scores: Array, patient: NDArray[np.int64]) -> Array:
    """(P, P) the squares of the scores (N, P) summed by patient, with the usual correction for few patients."""
    sums = pd.DataFrame(scores).groupby(patient).sum().to_numpy()
    return np.asarray(sums.T @ sums * len(sums) / max(len(sums) - 1, 1))

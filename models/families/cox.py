"""Cox's proportional hazards with an L2 penalty: of times to an event what `logistic` is of classes.

Cox, "Regression models and life-tables", JRSS B 34, 1972; ties and baseline hazard after Breslow's discussion of it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.examples import Examples, Inputs, Kind
from contracts.follow_up import followed
from contracts.tasks import Task
from models import hazards
from models.linear import Penalties, best

READS: tuple[Kind, ...] = ("table",)
TASKS: tuple[Task, ...] = ("survival",)
Floats = NDArray[np.float64]
STEPS, ENOUGH, LEAST = 50, 1e-8, 1e-8


@dataclass(frozen=True, kw_only=True)
class Config(Penalties):
    """The penalty is the one of `penalties` with the smallest loss on validation rows.

    penalties: candidates for the weight of half the squared coefficients beside the partial log-likelihood, summed over
        events; one alone is taken as it is
    """


def fit(
    train: Examples, validation: Examples, *, config: Config, inputs: Inputs, seed: int, threads: int
) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
    """The arrays `coefficient` (F,) and `baseline` (K,), the logarithm of the intervals' hazards of a row of zeros, in
    float64, and the penalty that won.

    Deterministic by nature: `seed` is not used. Raises MedloopError when the likelihood has no finite maximum.
    """
    from threadpoolctl import threadpool_limits

    assert validation.target is not None
    with threadpool_limits(threads):
        rows = _Rows(train)
        candidates = [(penalty, _fitted(rows, penalty, inputs)) for penalty in config.penalties]
        given = [hazards.survival(outputs(arrays, validation.table)) for _, arrays in candidates]
    losses = [
        np.average(hazards.losses(spared, validation.target, inputs.cuts), weights=validation.weight)
        for spared in given
    ]
    arrays, penalty = best(candidates, losses, "Cox regression", "normalise the columns, or raise `penalties`")
    return arrays, {"penalty": penalty}


class _Rows:
    """Training rows by rising time; `since` (N,) the first row of the same time, from which on rows are at risk."""

    def __init__(self, train: Examples) -> None:
        assert train.target is not None
        time, happened = followed(train.target)
        order = np.argsort(time, kind="stable")
        self.time, self.table = time[order], train.table[order].astype(np.float64)
        weight = np.ones(len(time)) if train.weight is None else train.weight.astype(np.float64)
        self.weight, self.events = weight[order], (weight * happened)[order]
        self.since = np.searchsorted(self.time, self.time, side="left")
        self.until = np.searchsorted(self.time, self.time, side="right") - 1

    def at_risk(self, values: Floats) -> Floats:
        """The sum over the rows that are at risk at each row's time. Shape: (N, …) -> (N, …)."""
        return np.asarray(np.cumsum(values[::-1], axis=0)[::-1][self.since], dtype=np.float64)

    def by_then(self, values: Floats) -> Floats:
        """The sum over the rows up to each row's time. Shape: (N,) -> (N,)."""
        return np.asarray(np.cumsum(values)[self.until], dtype=np.float64)


def _fitted(rows: _Rows, penalty: float, inputs: Inputs) -> dict[str, NDArray[Any]]:
    """Newton's method, with halved steps where a whole one does not raise the penalised partial likelihood."""
    beta = np.zeros(rows.table.shape[1])
    value = _merit(rows, beta, penalty)
    for _ in range(STEPS):
        step = _newton(rows, beta, penalty)
        for halvings in range(20):
            further = beta + step / 2**halvings
            better = _merit(rows, further, penalty)
            if better >= value:
                break
        else:
            break
        beta, gain, value = further, better - value, better
        if gain <= ENOUGH * abs(value):
            break
    return {"coefficient": beta, "baseline": _baseline(rows, beta, inputs)}


def _merit(rows: _Rows, beta: Floats, penalty: float) -> float:
    score = rows.table @ beta
    at_risk = rows.at_risk(rows.weight * np.exp(score - score.max()))
    told = rows.events @ (score - score.max() - np.log(np.maximum(at_risk, 1e-300)))
    return float(told - penalty / 2 * beta @ beta)


def _newton(rows: _Rows, beta: Floats, penalty: float) -> Floats:
    score = rows.table @ beta
    odds = rows.weight * np.exp(score - score.max())
    at_risk = np.maximum(rows.at_risk(odds), 1e-300)
    expected = odds * rows.by_then(rows.events / at_risk)
    gradient = rows.table.T @ (rows.events - expected) - penalty * beta
    event = rows.events > 0
    mean = (rows.at_risk(rows.table * odds[:, None])[event] / at_risk[event, None]) * np.sqrt(rows.events[event, None])
    curvature = rows.table.T @ (rows.table * expected[:, None]) - mean.T @ mean
    return np.asarray(np.linalg.solve(curvature + penalty * np.eye(len(beta)), gradient), dtype=np.float64)


def _baseline(rows: _Rows, beta: Floats, inputs: Inputs) -> Floats:
    """Breslow's estimate, summed over each interval. Shape: (K,)."""
    at_risk = rows.at_risk(rows.weight * np.exp(rows.table @ beta))
    place = np.searchsorted(inputs.cuts, rows.time, side="left")
    rises = np.bincount(place, rows.events / np.maximum(at_risk, 1e-300), minlength=len(inputs.cuts) + 1)
    return np.log(np.maximum(rises[: len(inputs.cuts)], LEAST))


def outputs(arrays: dict[str, NDArray[Any]], table: NDArray[np.float32]) -> Floats:
    """The log-odds of the hazard of each interval, of which Cox's model tells the integral. Shape: (N, F) -> (N, K)."""
    score = table.astype(np.float64) @ arrays["coefficient"]
    integral = np.exp(np.clip(score[:, None] + arrays["baseline"], -30, 6))
    return np.asarray(integral + np.log(-np.expm1(-integral)), dtype=np.float64)

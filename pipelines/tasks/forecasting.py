"""Evaluate forecasts: as predicted numbers, all steps together and each alone, and against the last value going on."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from contracts.tasks import Task
from pipelines.bootstrap import Interval, bootstrap, interval
from pipelines.metrics import Metric
from pipelines.results import EvaluateParams, Floats, Statistic, check_rows
from pipelines.tasks import regression
from pipelines.tasks.regression import UP, NumberEvaluation

METRICS: dict[str, Metric] = {
    "mase": Metric("MASE", False, "MAE in units of that of the last known value going on; under 1: better than it", UP),
}
RANKING = ("mae", "mase", "rmse", "r2")
ALL = (*regression.METRICS, *METRICS)


class ForecastEvaluation(NumberEvaluation):
    """The result of a forecast: metrics over all values ahead, and in `steps` of each, the next one first.

    Labels and predictions are by how much a value differs from the last known one, which changes no error.
    """

    task: ClassVar[Task] = "forecasting"
    steps: tuple[dict[str, Interval], ...]

    @property
    def question(self) -> tuple[object, ...]:
        """The unit, what the intervals promise, and how many values are told."""
        return self.unit, self.aim, len(self.steps)

    def asked_of(
        self, target: NDArray[Any], predicted: Floats, group: NDArray[Any], params: EvaluateParams, peers: Sequence[Any]
    ) -> "ForecastEvaluation":
        """The same question asked of other rows."""
        return evaluate(target=target, predicted=predicted, group=group, unit=self.unit, aim=self.aim, params=params)

    def statistic(self, target: NDArray[Any], predicted: Floats, metric: str) -> Statistic:
        """The metric from row weights (B, N) to (B,), by its name. Shape: target (N, H), predicted (N, 3 H)."""
        return lambda weight: {metric: scores(target, predicted, weight)[metric]}


def evaluate(
    *,
    target: NDArray[np.float64],
    predicted: Floats,
    group: NDArray[Any],
    unit: str,
    aim: float,
    params: EvaluateParams,
) -> ForecastEvaluation:
    """Judge forecasts.

    Args:
        target: (N, H), or (N,) of one value: by how much each differs from the last known one
        predicted: (N, 3 H) as much of each, and the low and the high end of its interval
        group: (N,) the patient of each row
        unit: the channel's
        aim: the share of rows that each value's interval is to hold

    Raises:
        MedloopError: arrays that do not fit together
    """
    ahead = target.reshape(len(target), -1)
    check_rows(target, predicted, group, 3 * ahead.shape[1])
    pooled = regression.evaluate(
        target=ahead.ravel(),
        predicted=predicted.reshape(-1, 3),
        group=np.repeat(group, ahead.shape[1]),
        unit=unit,
        aim=aim,
        params=params,
    )
    steps = [_measured(step, predicted[:, 3 * k : 3 * k + 3], group, params) for k, step in enumerate(ahead.T)]
    counts = pooled.counts.model_copy(update={"rows": len(target)})
    metrics = _measured(ahead, predicted, group, params)
    return ForecastEvaluation(
        **{**dict(pooled), "metrics": metrics, "counts": counts, "steps": tuple(steps)},
    )


def _measured(target: Floats, predicted: Floats, group: NDArray[Any], params: EvaluateParams) -> dict[str, Interval]:
    here = scores(target, predicted, np.ones((1, len(target))))
    drawn = bootstrap(lambda w: scores(target, predicted, w), group, resamples=params.resamples, seed=params.seed)
    reason = "no value changes, or all by as much"
    return {name: interval(float(here[name][0]), drawn[name], params.confidence, reason=reason) for name in ALL}


def scores(target: Floats, predicted: Floats, weight: Floats) -> dict[str, Floats]:
    """Every metric (B,) for each row of weights (B, N); NaN where it is undefined. MASE is scaled by the naive forecast
    of the same values (the relative MAE of Hyndman & Koehler, International Journal of Forecasting 22, 2006), since a
    patient's own past may be too short to scale by. Shape: target (N, H) or (N,), predicted (N, 3 H).
    """
    ahead = target.reshape(len(target), -1)
    rows = np.repeat(weight, ahead.shape[1], axis=1)
    found = regression.scores(ahead.ravel(), predicted.reshape(-1, 3), rows)
    naive = (weight @ np.abs(ahead).mean(axis=1)) / weight.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {**found, "mase": np.where(naive > 0, found["mae"] / naive, np.nan)}

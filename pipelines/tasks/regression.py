"""Evaluate predicted numbers: errors in the label's own unit, and whether intervals hold what they promise."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from contracts.study import Frozen
from contracts.tasks import Task
from pipelines.bootstrap import Interval, bootstrap, interval, rounded
from pipelines.metrics import Metric
from pipelines.results import Counts, EvaluateParams, Floats, Result, Statistic, check_rows

ANY, UP = (-np.inf, np.inf), (0.0, np.inf)
METRICS: dict[str, Metric] = {
    "mae": Metric("MAE", False, "mean size of the error", UP),
    "rmse": Metric("RMSE", False, "root of the mean squared error: large errors count more", UP),
    "r2": Metric("R²", True, "share of the label’s variance explained; 0: no better than its mean", (-np.inf, 1.0)),
    "bias": Metric("Bias", False, "mean predicted less observed; above 0: too high", ANY),
    "coverage": Metric("Coverage", True, "share of rows whose interval holds the label"),
    "width": Metric("Interval width", False, "mean width of the interval", UP),
}
RANKING = ("mae", "rmse", "r2")  # what models may be ranked by; a wide interval covers well, a constant has no bias
CELLS = 24


class NumberBin(Frozen):
    """Rows alike by their predicted number: how many, its mean, the mean label, the mean of predicted less observed,
    and the share whose interval holds the label; None where the patients are too few."""

    rows: int
    predicted: float | None
    observed: Interval
    error: Interval
    coverage: Interval


class Density(Frozen):
    """Rows by predicted (outer) and observed number; `edges` (K + 1,) are round numbers, rows beyond stand at the ends.

    Cells of too few patients are 0; they hold `hidden` rows.
    """

    edges: tuple[float, ...]
    rows: tuple[tuple[int, ...], ...]
    hidden: int


class NumberEvaluation(Result):
    """The result of a regression. `aim`: the share of rows that the interval is to hold; `unit`: the label's."""

    task: ClassVar[Task] = "regression"
    unit: str
    aim: float
    bins: tuple[NumberBin, ...]
    density: Density

    @property
    def question(self) -> tuple[object, ...]:
        """The unit, and what the intervals promise."""
        return self.unit, self.aim

    def asked_of(
        self, target: NDArray[Any], predicted: Floats, group: NDArray[Any], params: EvaluateParams, peers: Sequence[Any]
    ) -> "NumberEvaluation":
        """The same question asked of other rows."""
        return evaluate(target=target, predicted=predicted, group=group, unit=self.unit, aim=self.aim, params=params)

    def statistic(self, target: NDArray[Any], predicted: Floats, metric: str) -> Statistic:
        """The metric from row weights (B, N) to (B,), by its name. Shape: target (N,), predicted (N, 3)."""
        return lambda weight: {metric: scores(target, predicted, weight)[metric]}


def evaluate(
    *,
    target: NDArray[np.float64],
    predicted: Floats,
    group: NDArray[Any],
    unit: str,
    aim: float,
    params: EvaluateParams,
) -> NumberEvaluation:
    """Judge predicted numbers.

    Args:
        target: (N,)
        predicted: (N, 3) the number, and the low and the high end of its interval
        group: (N,) the patient of each row
        unit: the label's
        aim: the share of rows that the intervals are to hold

    Raises:
        MedloopError: arrays that do not fit together
    """
    check_rows(target, predicted, group, 3)
    here = scores(target, predicted, np.ones((1, len(target))))
    drawn = bootstrap(lambda w: scores(target, predicted, w), group, resamples=params.resamples, seed=params.seed)
    reason = "the label is the same number in all rows"
    return NumberEvaluation(
        metrics={
            name: interval(float(here[name][0]), drawn[name], params.confidence, reason=reason) for name in METRICS
        },
        counts=Counts(rows=len(target), patients=len(np.unique(group))),
        unit=unit,
        aim=aim,
        bins=_bins(target, predicted, group, params),
        density=_density(target, predicted[:, 0], group, params.min_patients),
        params=params,
    )


def scores(target: Floats, predicted: Floats, weight: Floats) -> dict[str, Floats]:
    """Every metric (B,) for each row of weights (B, N); NaN where it is undefined."""
    number, low, high = predicted.T
    error, centred = number - target, target - target.mean()
    inside = (low <= target) & (target <= high)
    columns = np.column_stack([np.abs(error), error**2, error, inside, high - low, centred, centred**2])
    size, square, bias, covered, width, first, second = (weight @ columns / weight.sum(axis=1, keepdims=True)).T
    variance = second - first**2
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(variance > 1e-12 * max(float(np.mean(centred**2)), 1e-300), 1 - square / variance, np.nan)
    return {"mae": size, "rmse": np.sqrt(square), "r2": r2, "bias": bias, "coverage": covered, "width": width}


def _bins(target: Floats, predicted: Floats, group: NDArray[Any], params: EvaluateParams) -> tuple[NumberBin, ...]:
    """Equally many rows each, by rising prediction; those of equal prediction together."""
    number, low, high = predicted.T
    edges = np.unique(np.quantile(number, np.linspace(0, 1, params.bins + 1)[1:-1]))
    place = np.unique(np.searchsorted(edges, number, side="left"), return_inverse=True)[1]
    member = np.eye(place.max() + 1)[place]
    told = {"observed": target, "error": number - target, "coverage": (low <= target) & (target <= high)}
    sums = {name: member * values[:, None] for name, values in told.items()}

    def means(weight: Floats) -> dict[str, Floats]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return {name: (weight @ total) / (weight @ member) for name, total in sums.items()}

    here = means(np.ones((1, len(target))))
    drawn = bootstrap(means, group, resamples=params.resamples, seed=params.seed)
    found = []
    for at in range(member.shape[1]):
        inside = place == at
        if len(np.unique(group[inside])) < params.min_patients:
            hidden = Interval(value=None, reason=f"fewer than {params.min_patients} patients")
            found.append(
                NumberBin(rows=int(inside.sum()), predicted=None, observed=hidden, error=hidden, coverage=hidden)
            )
            continue
        values = {name: interval(float(here[name][0, at]), drawn[name][:, at], params.confidence) for name in told}
        found.append(NumberBin(rows=int(inside.sum()), predicted=rounded(number[inside].mean()), **values))
    return tuple(found)


def _density(target: Floats, number: Floats, group: NDArray[Any], min_patients: int) -> Density:
    edges = round_edges(np.concatenate([target, number]))
    cells = len(edges) - 1
    at = [np.clip(np.searchsorted(edges, values, side="right") - 1, 0, cells - 1) for values in (number, target)]
    cell = at[0] * cells + at[1]
    patient = np.unique(group, return_inverse=True)[1]
    pairs = np.unique(np.column_stack([cell, patient]), axis=0)
    patients = np.bincount(pairs[:, 0], minlength=cells**2)
    rows = np.bincount(cell, minlength=cells**2)
    shown = np.where(patients >= min_patients, rows, 0)
    return Density(
        edges=tuple(rounded(edge) for edge in edges),
        rows=tuple(tuple(line) for line in shown.reshape(cells, cells).tolist()),
        hidden=int((rows - shown).sum()),
    )


def round_edges(values: Floats) -> Floats:
    """Multiples of 1, 2 or 5 times a power of ten, about CELLS steps from the 1 % to the 99 % quantile."""
    low, high = np.quantile(values, [0.01, 0.99])
    rough = max(float(high - low) / CELLS, 1e-12)
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(size for size in (1, 2, 5, 10) if size * power >= rough * 0.999)
    first, last = np.floor(low / step), max(np.ceil(high / step), np.floor(low / step) + 1)
    return np.asarray(np.arange(first, last + 1) * step, dtype=np.float64)

"""Evaluate classes in order: a miss by two classes is worse than by one."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from contracts.ordinal import median_class
from contracts.study import Frozen
from contracts.tasks import Task
from pipelines.bootstrap import Interval, bootstrap, interval
from pipelines.metrics import Metric, auroc, rank
from pipelines.results import Counts, EvaluateParams, Floats, Result, Statistic, check_rows

METRICS: dict[str, Metric] = {
    "qwk": Metric("Quadratic kappa", True, "agreement beyond chance; misses count by the square of steps", (-1, 1)),
    "steps": Metric("Steps off", False, "mean number of classes between the called and the true one", (0, np.inf)),
    "cut_auroc": Metric("AUROC of the cuts", True, "how often a row above a cut is scored above one below, averaged"),
    "rps": Metric("Ranked probability score", False, "mean squared error of the chance to lie above each cut"),
    "exact": Metric("Exactly right", True, "share of rows given their true class"),
}
RANKING = tuple(METRICS)


class Cut(Frozen):
    """How well rows above a class are told from the others, whatever the class called: `above` names it."""

    above: str
    auroc: Interval


class OrdinalEvaluation(Result):
    """The result of a model of classes in order. `confusion` counts rows, true class by called class, the median."""

    task: ClassVar[Task] = "ordinal"
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    cuts: tuple[Cut, ...]

    @property
    def question(self) -> tuple[object, ...]:
        """The classes in their order."""
        return self.classes

    def asked_of(
        self, target: NDArray[Any], predicted: Floats, group: NDArray[Any], params: EvaluateParams, peers: Sequence[Any]
    ) -> "OrdinalEvaluation":
        """The same question asked of other rows."""
        return evaluate(target=target, predicted=predicted, group=group, classes=list(self.classes), params=params)

    def statistic(self, target: NDArray[Any], predicted: Floats, metric: str) -> Statistic:
        """The metric from row weights (B, N) to (B,), by its name. Shape: target (N,), predicted (N, C)."""
        statistic = scores(target, predicted)
        return lambda weight: {metric: statistic(weight)[metric]}


def evaluate(
    *, target: NDArray[np.int64], predicted: Floats, group: NDArray[Any], classes: list[str], params: EvaluateParams
) -> OrdinalEvaluation:
    """Judge probabilities of classes in order.

    Args:
        target: (N,) class indices
        predicted: (N, C) probabilities
        group: (N,) the patient of each row
        classes: the C labels, lowest first

    Raises:
        MedloopError: arrays that do not fit together
    """
    check_rows(target, predicted, group, len(classes))
    statistic = scores(target, predicted)
    here = statistic(np.ones((1, len(target))))
    drawn = bootstrap(statistic, group, resamples=params.resamples, seed=params.seed)
    reason = "the test rows lie all on one side"
    values = {name: interval(float(here[name][0]), drawn[name], params.confidence, reason=reason) for name in METRICS}
    actual = np.eye(len(classes))[target]
    cuts = [
        interval(float(here["cuts"][0, k]), drawn["cuts"][:, k], params.confidence, reason=reason)
        for k in range(len(classes) - 1)
    ]
    return OrdinalEvaluation(
        metrics=values,
        counts=Counts(
            rows=len(target),
            patients=len(np.unique(group)),
            by_class=dict(zip(classes, actual.sum(axis=0).astype(int).tolist(), strict=True)),
        ),
        classes=tuple(classes),
        confusion=tuple(
            tuple(row) for row in (actual.T @ np.eye(len(classes))[median_class(predicted)]).astype(int).tolist()
        ),
        cuts=tuple(Cut(above=label, auroc=found) for label, found in zip(classes, cuts, strict=False)),
        params=params,
    )


def scores(target: NDArray[np.int64], predicted: Floats) -> Statistic:
    """Every metric (B,), and `cuts`, the AUROC of each cut (B, C - 1), for each row of weights (B, N); NaN where
    undefined. Kappa is Cohen's (Psychological Bulletin 70, 1968); the ranked probability score Epstein's (1969).
    """
    count, called = predicted.shape[1], median_class(predicted)
    above, beyond = target[:, None] > np.arange(count - 1), 1 - np.cumsum(predicted, axis=1)[:, :-1]
    rankings = [rank(above[:, k], np.round(beyond[:, k], 12)) for k in range(count - 1)]
    error = ((beyond - above) ** 2).mean(axis=1)
    columns = np.column_stack(
        [target, called, (target - called) ** 2, target**2, called**2, np.abs(target - called), error, target == called]
    )

    def statistic(weight: Floats) -> dict[str, Floats]:
        true, said, missed, *squares, steps, rps, exact = (weight @ columns / weight.sum(axis=1, keepdims=True)).T
        with np.errstate(divide="ignore", invalid="ignore"):
            chance = squares[0] + squares[1] - 2 * true * said
            kappa = np.where(chance > 1e-12, 1 - missed / chance, np.nan)
            cuts = np.stack([auroc(*ranking.counts(weight)) for ranking in rankings], axis=1)
        return {"qwk": kappa, "steps": steps, "cut_auroc": cuts.mean(axis=1), "rps": rps, "exact": exact, "cuts": cuts}

    return statistic

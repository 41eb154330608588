"""Evaluate: what a model of classes is worth on the test part, each metric with a patient-level bootstrap interval."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError
from contracts.study import Frozen
from contracts.tasks import Task
from pipelines.bootstrap import Interval, bootstrap, interval, rounded
from pipelines.metrics import METRICS, Floats, Judged, curves, judge, scores
from pipelines.reliability import Reliability, deviations, recalibration, reliability
from pipelines.results import Counts, Entry, EvaluateParams, Result, Statistic

__all__ = ["Counts", "Curve", "Entry", "EvaluateParams", "Evaluation", "evaluate"]


class Curve(Frozen):
    """ROC and precision–recall of one class against the rest on the grid 0, 0.01 … 1.

    `sensitivity` at each false-positive rate and `precision` at each recall, 101 points, and their
    pointwise intervals (two classes only); empty where undefined. `prevalence`: share of the class.
    """

    label: str
    prevalence: float
    sensitivity: tuple[float, ...]
    sensitivity_low: tuple[float, ...] = ()
    sensitivity_high: tuple[float, ...] = ()
    precision: tuple[float, ...]
    precision_low: tuple[float, ...] = ()
    precision_high: tuple[float, ...] = ()


class Evaluation(Result):
    """The result of a model of classes. Holds no row's value: curves lie on a fixed grid, small bins are blank.

    `confusion` counts rows, true class by predicted class. `threshold` splits two classes; None for more.
    `calibration`: of the probabilities as they are given out; `uncalibrated`: of the model's own, where they were
    recalibrated.
    """

    task: ClassVar[Task] = "classes"
    classes: tuple[str, ...]
    positive: str
    threshold: float | None
    confusion: tuple[tuple[int, ...], ...]
    curves: tuple[Curve, ...]
    calibration: Reliability
    uncalibrated: Reliability | None = None

    @property
    def measured(self) -> dict[str, Interval]:
        """Metrics and deviations from calibration, by name: what runs are compared by."""
        off = {"calibration_in_the_large": self.calibration.in_the_large, "calibration_slope": self.calibration.slope}
        return self.metrics | off | super().measured

    @property
    def question(self) -> tuple[object, ...]:
        """The classes, and which is positive."""
        return self.classes, self.positive

    def asked_of(
        self, target: NDArray[Any], predicted: Floats, group: NDArray[Any], params: EvaluateParams, peers: Sequence[Any]
    ) -> "Evaluation":
        """The same question asked of other rows, decided at the mean of the peers' thresholds."""
        thresholds = [peer.threshold for peer in peers if peer.threshold is not None]
        return evaluate(
            target=target,
            probability=predicted,
            group=group,
            threshold=float(np.mean(thresholds)) if thresholds else None,
            classes=list(self.classes),
            positive=self.classes.index(self.positive),
            params=params,
        )

    def statistic(self, target: NDArray[Any], predicted: Floats, metric: str) -> Statistic:
        """The metric from row weights (B, N) to (B,), by its name. Shape: target (N,), predicted (N, C)."""
        return self.statistics(target, predicted, [metric])

    def statistics(self, target: NDArray[Any], predicted: Floats, metrics: Sequence[str]) -> Statistic:
        """These metrics from row weights (B, N) to (B,) each. Shape: target (N,), predicted (N, C)."""
        positive = self.classes.index(self.positive)
        judged = judge(
            target, predicted.astype(np.float64), threshold=self.threshold, positive=positive, bins=self.params.bins
        )
        return lambda weight: {name: value for name, value in scores(judged, weight).items() if name in metrics}


def evaluate(
    *,
    target: NDArray[np.int64],
    probability: Floats,
    group: NDArray[Any],
    threshold: float | None,
    classes: list[str],
    positive: int,
    params: EvaluateParams,
    raw: Floats | None = None,
) -> Evaluation:
    """Judge predictions on the test part.

    Args:
        target: (N,) class indices
        probability: (N, C)
        group: (N,) the patient of each row
        threshold: from which probability on the positive class is predicted; None for 0.5. Two classes only.
        classes: the C labels by index
        positive: index of the positive class
        raw: (N, C) before recalibration, where there was one

    Raises:
        MedloopError: arrays that do not fit together, predictions that are no probabilities
    """
    probability = probability.astype(np.float64)
    if probability.shape[1:] != (len(classes),) or len(group) != len(target):
        raise MedloopError(
            f"expected {len(target)} rows of {len(classes)} class probabilities, got {probability.shape} for "
            f"{len(group)} patients' rows",
            mend="evaluate the model on the very rows whose classes and patients are given",
        )
    judged = judge(target, probability, threshold=threshold, positive=positive, bins=params.bins)
    unmended = None if raw is None else judge(target, raw, threshold=None, positive=positive, bins=params.bins)
    here = {name: value[0] for name, value in _statistic(judged, np.ones((1, len(target)))).items()}
    drawn = bootstrap(lambda w: _statistic(judged, w), group, resamples=params.resamples, seed=params.seed)
    by_class = judged.actual.sum(axis=0).astype(int)
    binary = len(classes) == 2
    return Evaluation(
        metrics=_metrics(judged, classes, here, drawn, params.confidence),
        counts=Counts(
            rows=len(target),
            patients=len(np.unique(group)),
            positives=int(by_class[positive]),
            by_class=dict(zip(classes, by_class.tolist(), strict=True)),
        ),
        classes=tuple(classes),
        positive=classes[positive],
        threshold=(0.5 if threshold is None else float(threshold)) if binary else None,
        confusion=tuple(tuple(row) for row in (judged.actual.T @ judged.predicted).astype(int).tolist()),
        curves=_curves(judged, classes, drawn, params.confidence),
        calibration=_reliability(judged, group, params),
        uncalibrated=None if unmended is None else _reliability(unmended, group, params),
        params=params,
    )


def _statistic(judged: Judged, weight: Floats) -> dict[str, Floats]:
    found = scores(judged, weight)
    if len(judged.rankings) == 1:  # bands for each of many classes would cost more than they tell
        found["sensitivity_band"], found["precision_band"] = curves(judged.rankings[0], weight)
    return found


def _reliability(judged: Judged, group: NDArray[Any], params: EvaluateParams) -> Reliability:
    line = recalibration(judged)
    return reliability(
        judged,
        group,
        deviations(judged, np.ones((1, len(judged.outcome))), line),
        bootstrap(lambda w: deviations(judged, w, line), group, resamples=params.resamples, seed=params.seed),
        confidence=params.confidence,
        min_patients=params.min_patients,
    )


def _metrics(
    judged: Judged, classes: list[str], here: dict[str, Floats], drawn: dict[str, Floats], confidence: float
) -> dict[str, Interval]:
    return {
        name: interval(
            float(here[name]), drawn[name], confidence, reason=_reason(name, judged, classes), reflect=name == "ece"
        )
        for name in METRICS
    }


def _reason(name: str, judged: Judged, classes: list[str]) -> str:
    """Why a metric is undefined on these rows."""
    actual, predicted = judged.actual.sum(axis=0), judged.predicted.sum(axis=0)
    absent = [label for label, count in zip(classes, actual, strict=True) if count == 0]
    unused = [classes[c] for c in judged.classes if predicted[c] == 0]
    if name == "precision" and unused:
        return f"no row is predicted to be of class {', '.join(unused)}"
    return f"the test rows hold none of class {', '.join(absent)}" if absent else "undefined"


def _curves(judged: Judged, classes: list[str], drawn: dict[str, Floats], confidence: float) -> tuple[Curve, ...]:
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    found = []
    for place, ranking in zip(judged.classes, judged.rankings, strict=True):
        sensitivity, precision = curves(ranking, np.ones((1, len(ranking.order))))
        points = {"sensitivity": sensitivity[0], "precision": precision[0]}
        for name in tuple(points):
            band = drawn.get(f"{name}_band")
            if band is not None and not np.isnan(band).all():
                points[f"{name}_low"], points[f"{name}_high"] = np.nanquantile(band, ends, axis=0)
        found.append(
            Curve(
                label=classes[place],
                prevalence=rounded(ranking.truth.mean()),
                **{name: _numbers(values) for name, values in points.items()},
            )
        )
    return tuple(found)


def _numbers(values: Floats) -> tuple[float, ...]:
    return () if np.isnan(values).any() else tuple(rounded(v) for v in values)

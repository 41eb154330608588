"""Evaluate several yes or no answers: each label on the rows where it is known, and their mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from contracts.answers import UNKNOWN, YES, unpacked
from contracts.study import Frozen
from contracts.tasks import Task
from pipelines.bootstrap import Interval, bootstrap, interval, rounded
from pipelines.metrics import Ranking, auroc, average_precision, curves, rank
from pipelines.results import Counts, EvaluateParams, Floats, Result, Statistic, check_rows

RANKING = ("auroc", "average_precision", "brier")  # means over the labels
OWN = (*RANKING, "recall", "specificity", "precision")


class Label(Frozen):
    """The result of one label: on how many rows it is known, on how many of these it is so, the `threshold` from which
    on it is called so, its metrics by name, and the ROC curve as `pipelines.evaluate.Curve` has it, empty where
    undefined."""

    label: str
    rows: int
    positives: int
    threshold: float
    metrics: dict[str, Interval]
    sensitivity: tuple[float, ...]


class LabelsEvaluation(Result):
    """The result of a model of several labels; `metrics` are the means over these."""

    task: ClassVar[Task] = "multilabel"
    labels: tuple[Label, ...]

    @property
    def question(self) -> tuple[object, ...]:
        """The labels."""
        return tuple(of.label for of in self.labels)

    def asked_of(
        self, target: NDArray[Any], predicted: Floats, group: NDArray[Any], params: EvaluateParams, peers: Sequence[Any]
    ) -> "LabelsEvaluation":
        """The same question asked of other rows, decided at the mean of the peers' thresholds."""
        thresholds = np.mean([[of.threshold for of in peer.labels] for peer in peers], axis=0).tolist()
        labels = [of.label for of in self.labels]
        return evaluate(
            target=target, predicted=predicted, group=group, labels=labels, thresholds=thresholds, params=params
        )

    def statistic(self, target: NDArray[Any], predicted: Floats, metric: str) -> Statistic:
        """The metric from row weights (B, N) to (B,), by its name. Shape: target (N,), predicted (N, L)."""
        return self.statistics(target, predicted, [metric])

    def statistics(self, target: NDArray[Any], predicted: Floats, metrics: Sequence[str]) -> Statistic:
        """Several metrics, which are worked out together."""
        judged = judge(target, predicted, [of.threshold for of in self.labels])

        def statistic(weight: Floats) -> dict[str, Floats]:
            found = scores(judged, weight)
            return {metric: found[metric].mean(axis=1) for metric in metrics}

        return statistic


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One label set beside the truth. Shape, of the N rows where it is known: `rows` (N,) their numbers; `columns`
    (N, 6) what sums are made of: 1, yes, called so, both, neither, squared error."""

    rows: NDArray[np.intp]
    ranking: Ranking
    columns: Floats


def evaluate(
    *,
    target: NDArray[np.int64],
    predicted: Floats,
    group: NDArray[Any],
    labels: Sequence[str],
    thresholds: Sequence[float],
    params: EvaluateParams,
) -> LabelsEvaluation:
    """Judge probabilities of several labels.

    Args:
        target: (N,) as `contracts.answers` has it
        predicted: (N, L) probabilities
        group: (N,) the patient of each row
        labels: their L names
        thresholds: (L,) from which probability on each is called so

    Raises:
        MedloopError: arrays that do not fit together
    """
    check_rows(target, predicted, group, len(labels))
    judged = judge(target, predicted, thresholds)
    here = scores(judged, np.ones((1, len(target))))
    drawn = bootstrap(lambda w: scores(judged, w), group, resamples=params.resamples, seed=params.seed)
    lacking = [name for name, of in zip(labels, judged, strict=True) if np.ptp(of.columns[:, 1]) == 0]
    reason = f"the test rows all have the same answer to {', '.join(lacking)}"

    def told(name: str, k: int | None = None) -> Interval:
        value, estimates = (of[name].mean(axis=1) if k is None else of[name][:, k] for of in (here, drawn))
        why = reason if k is None else "the test rows all have the same answer"
        return interval(float(value[0]), estimates, params.confidence, reason=why)

    found = tuple(
        Label(
            label=label,
            rows=len(of.rows),
            positives=int(of.columns[:, 1].sum()),
            threshold=rounded(threshold),
            metrics={name: told(name, k) for name in OWN},
            sensitivity=_curve(of),
        )
        for k, (label, of, threshold) in enumerate(zip(labels, judged, thresholds, strict=True))
    )
    return LabelsEvaluation(
        metrics={name: told(name) for name in RANKING},
        counts=Counts(
            rows=len(target), patients=len(np.unique(group)), by_class={of.label: of.positives for of in found}
        ),
        labels=found,
        params=params,
    )


def judge(target: NDArray[np.int64], predicted: Floats, thresholds: Sequence[float]) -> list[Judged]:
    """Set each label's probabilities beside the truth. Shape: target (N,), predicted (N, L), L thresholds."""
    found = []
    for answer, given, threshold in zip(unpacked(target, len(thresholds)).T, predicted.T, thresholds, strict=True):
        rows = np.flatnonzero(answer != UNKNOWN)
        yes, probability = answer[rows] == YES, given[rows].astype(np.float64)
        called = probability >= threshold
        columns = [np.ones(len(rows)), yes, called, yes & called, ~yes & ~called, (probability - yes) ** 2]
        found.append(Judged(rows=rows, ranking=rank(yes, probability), columns=np.column_stack(columns)))
    return found


def scores(judged: Sequence[Judged], weight: Floats) -> dict[str, Floats]:
    """Every metric of every label (B, L) for each row of weights (B, N); NaN where it is undefined."""
    found: dict[str, list[Floats]] = {name: [] for name in OWN}
    with np.errstate(divide="ignore", invalid="ignore"):
        for of in judged:
            own = weight[:, of.rows]
            total, yes, called, hits, passed, error = (own @ of.columns).T
            counts = of.ranking.counts(own)
            values = {
                "auroc": auroc(*counts),
                "average_precision": average_precision(*counts),
                "brier": error / total,
                "recall": hits / yes,
                "specificity": passed / (total - yes),
                "precision": hits / called,
            }
            for name, value in values.items():
                found[name].append(value)
    return {name: np.stack(values, axis=1) for name, values in found.items()}


def _curve(judged: Judged) -> tuple[float, ...]:
    sensitivity = curves(judged.ranking, np.ones((1, len(judged.rows))))[0][0]
    return () if np.isnan(sensitivity).any() else tuple(rounded(value) for value in sensitivity)

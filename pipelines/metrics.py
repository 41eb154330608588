"""Metrics of class probabilities as functions of row weights.

A bootstrap resample is a row of weights, so a thousand resamples are one matrix: rows are sorted and
compared once, and every metric of every resample follows by products and cumulative sums.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError, listed

Floats = NDArray[np.float64]
GRID: Floats = np.linspace(0, 1, 101)


class Metric(NamedTuple):
    """How a metric is called, which direction is better, what it says, and between which numbers it lies."""

    label: str
    higher_is_better: bool
    meaning: str
    span: tuple[float, float] = (0, 1)


METRICS: dict[str, Metric] = {
    "auroc": Metric("AUROC", True, "how often a positive row is scored above a negative one"),
    "average_precision": Metric("Average precision", True, "area under the precision–recall curve"),
    "accuracy": Metric("Accuracy", True, "share of rows given their true class"),
    "balanced_accuracy": Metric("Balanced accuracy", True, "recall, averaged over the classes"),
    "precision": Metric("Precision", True, "share of the flagged that are positive"),
    "recall": Metric("Recall (sensitivity)", True, "share of the positive that are flagged"),
    "specificity": Metric("Specificity", True, "share of the negative that are not flagged"),
    "f1": Metric("F1", True, "harmonic mean of precision and recall"),
    "brier": Metric("Brier score", False, "mean squared error of the probabilities"),
    "ece": Metric("Calibration error", False, "mean gap between predicted and observed share"),
}


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """One class against the rest, rows sorted by its score, highest first.

    Shape: `order` (N,) row numbers; `truth` (N,) 1 where the row is of the class, in that order;
    `last` (K,) the place of the last row of each run of equal scores.
    """

    order: NDArray[np.intp]
    truth: Floats
    last: NDArray[np.intp]

    def counts(self, weight: Floats) -> tuple[Floats, Floats]:
        """True and false positives (B, K) above each distinct score, by row weights (B, N)."""
        ranked = weight[:, self.order]
        flagged = np.cumsum(ranked, axis=1)
        ranked *= self.truth
        hits = np.cumsum(ranked, axis=1, out=ranked)
        if len(self.last) < len(self.order):
            flagged, hits = flagged[:, self.last], hits[:, self.last]
        return hits, np.subtract(flagged, hits, out=flagged)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Predictions set beside the truth, all that does not depend on weights worked out.

    Shape: `actual`, `predicted`, `hit` (N, C) 0/1; `squared` (N,) squared error of the probabilities;
    `confidence` (N,) the probability that calibration judges, `outcome` (N,) 1 where it came true; by its bins,
    `member` (N, bins) 0/1, `struck` those whose outcome came true, `gap` the outcome less the confidence.
    `classes` are the judged ones: the positive alone of two, all of more; `rankings` one for each.
    """

    actual: Floats
    predicted: Floats
    hit: Floats
    squared: Floats
    confidence: Floats
    outcome: Floats
    member: Floats
    struck: Floats
    gap: Floats
    classes: list[int]
    rankings: list[Ranking]


def judge(
    target: NDArray[np.int64], probability: Floats, *, threshold: float | None, positive: int, bins: int
) -> Judged:
    """Set predictions beside the truth.

    Args:
        target: (N,) class indices
        probability: (N, C), rows sum to 1
        threshold: from which probability on a row of two classes counts as positive; None for 0.5.
            With more classes the likeliest is predicted.
        positive: index of the positive class
        bins: number of calibration bins, equally wide, each (low, high] as in Guo et al.

    Raises:
        MedloopError: shapes, class indices or probabilities that cannot be right
    """
    _check(target, probability)
    count = probability.shape[1]
    if count == 2:
        flagged = probability[:, positive] >= (0.5 if threshold is None else threshold)
        label = np.where(flagged, positive, 1 - positive)
        confidence, outcome = probability[:, positive], target == positive
        squared = (confidence - outcome) ** 2
    else:
        label = probability.argmax(axis=1)
        confidence, outcome = probability.max(axis=1), target == label
        squared = ((probability - np.eye(count)[target]) ** 2).sum(axis=1)
    actual, predicted = np.eye(count)[target], np.eye(count)[label]
    member = np.eye(bins)[np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence)]
    classes = [positive] if count == 2 else list(range(count))
    return Judged(
        actual=actual,
        predicted=predicted,
        hit=actual * predicted,
        squared=squared,
        confidence=confidence,
        outcome=outcome.astype(np.float64),
        member=member,
        struck=member * outcome[:, None],
        gap=member * (outcome - confidence)[:, None],
        classes=classes,
        rankings=[rank(target == c, probability[:, c]) for c in classes],
    )


def _check(target: NDArray[np.int64], probability: Floats) -> None:
    if probability.ndim != 2 or probability.shape[1] < 2 or len(probability) != len(target) or not len(target):
        raise MedloopError(
            f"expected a row of class probabilities for each of {len(target)} test rows, got shape {probability.shape}",
            mend="give the test part rows, and the model one output a class",
        )
    if target.min() < 0 or target.max() >= probability.shape[1]:
        raise MedloopError(f"a class index of the test rows lies outside 0 to {probability.shape[1] - 1}")
    sound = (probability >= 0) & (probability <= 1)  # NaN is neither
    wrong = np.flatnonzero(~(sound.all(axis=1) & (np.abs(probability.sum(axis=1) - 1) < 1e-3)))
    if len(wrong):
        raise MedloopError(
            f"{len(wrong)} of {len(target)} predictions are no probabilities: numbers from 0 to 1 that sum to 1",
            where=f"test rows {listed(wrong.tolist())}",
            mend="look for a training that diverged, or a model that gives out logits",
        )


def rank(truth: NDArray[np.bool_], score: Floats) -> Ranking:
    """Sort rows by score once; rows of equal score share one threshold, as in scikit-learn."""
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    return Ranking(order=order, truth=truth[order].astype(np.float64), last=last)


def auroc(hits: Floats, alarms: Floats) -> Floats:
    """Area under the ROC curve (B,), ties counted half: the trapezoids of Hanley & McNeil (1982)."""
    twice: Floats = np.einsum("bk,bk->b", np.diff(alarms, axis=1), hits[:, 1:] + hits[:, :-1])
    twice += alarms[:, 0] * hits[:, 0]
    return twice / (2 * hits[:, -1] * alarms[:, -1])


def average_precision(hits: Floats, alarms: Floats) -> Floats:
    """Precision (B,), averaged over the steps of recall, without interpolation, as in scikit-learn."""
    flagged = hits + alarms
    precision = np.divide(hits, flagged, out=np.zeros_like(hits), where=flagged > 0)
    area: Floats = np.einsum("bk,bk->b", np.diff(hits, axis=1), precision[:, 1:]) + hits[:, 0] * precision[:, 0]
    return area / hits[:, -1]


def scores(judged: Judged, weight: Floats) -> dict[str, Floats]:
    """Every metric (B,) for each row of weights (B, N); NaN where it is undefined.

    With more than two classes: macro averages one-vs-rest, the Brier score summed over the classes
    (Brier 1950, 0 to 2). `ece` is the expected calibration error of Naeini et al. (2015) in equally wide
    bins: of the positive class's probability for two classes, of the likeliest class's for more (Guo et al. 2017).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        total = weight.sum(axis=1)
        hit, actual, predicted = (weight @ block for block in (judged.hit, judged.actual, judged.predicted))
        recall, rest = hit / actual, total[:, None] - actual
        by_class = {
            "precision": hit / predicted,
            "recall": recall,
            "specificity": (rest - predicted + hit) / rest,
            "f1": 2 * hit / (actual + predicted),
        }
        return {
            **_areas(judged, weight),
            "accuracy": hit.sum(axis=1) / total,
            "balanced_accuracy": recall.mean(axis=1),
            **{name: value[:, judged.classes].mean(axis=1) for name, value in by_class.items()},
            **probability_errors(judged, weight),
        }


def probability_errors(judged: Judged, weight: Floats) -> dict[str, Floats]:
    """Of the metrics, those of the probabilities themselves: `brier` and `ece`, as in `scores`."""
    total = weight.sum(axis=1)
    return {
        "brier": weight @ judged.squared / total,
        "ece": np.abs(weight @ judged.gap).sum(axis=1) / total,
    }


def _areas(judged: Judged, weight: Floats) -> dict[str, Floats]:
    counts = [ranking.counts(weight) for ranking in judged.rankings]
    return {
        "auroc": np.mean([auroc(*pair) for pair in counts], axis=0),
        "average_precision": np.mean([average_precision(*pair) for pair in counts], axis=0),
    }


def curves(ranking: Ranking, weight: Floats) -> tuple[Floats, Floats]:
    """The curves on a fixed grid, so that no row's own score can be read off.

    Returns:
        the true-positive rate (B, 101) at each false-positive rate of GRID (Fawcett 2006, vertical averaging),
        and the precision (B, 101) at the highest threshold that reaches each recall of GRID; NaN where undefined
    """
    hits, alarms = ranking.counts(weight)
    sensitivity = np.full((len(weight), len(GRID)), np.nan)
    precision = sensitivity.copy()
    for row, (tp, fp) in enumerate(zip(hits, alarms, strict=True)):
        if tp[-1] > 0:
            reached = np.searchsorted(tp, np.maximum(GRID * tp[-1] - 1e-9, 1e-9))
            precision[row] = tp[reached] / (tp[reached] + fp[reached])
            if fp[-1] > 0:
                sensitivity[row] = np.interp(GRID, fp / fp[-1], tp / tp[-1])
    return sensitivity, precision


def observed(judged: Judged, weight: Floats) -> Floats:
    """The observed share (B, bins) of the outcome in each calibration bin; NaN for an empty bin."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (weight @ judged.struck) / (weight @ judged.member)

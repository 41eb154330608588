"""Cross-validation's answer: the predictions of all folds pooled, and how much the folds differ.

Pooling judges every development row once a repeat, by models that never saw its patient, and gives one patient-level
interval. It sets scores of several models beside each other, which costs a ranking metric a little where their scales
differ (Airola et al., "An experimental comparison of cross-validation techniques for estimating the area under the ROC
curve", Computational Statistics & Data Analysis 55, 2011).
"""

from collections.abc import Sequence

import numpy as np

from contracts.study import Frozen
from pipelines.bootstrap import rounded
from pipelines.results import Entry, EvaluateParams


class Spread(Frozen):
    """A metric over the folds, or over seeds, as one repeat; a value is None where the metric is undefined on a fold.

    folds: by repeat, by fold
    mean, deviation: of all values, the latter with n - 1
    by_repeat: the mean of each repeat
    """

    metric: str
    folds: tuple[tuple[float | None, ...], ...]
    mean: float | None
    deviation: float | None
    by_repeat: tuple[float | None, ...]

    def __str__(self) -> str:
        """`0.812 ± 0.021 (0.790 to 0.840)`: mean, deviation, least and most."""
        values = [value for repeat in self.folds for value in repeat if value is not None]
        if self.mean is None or self.deviation is None:
            return "–"
        told = f"{self.mean:.3f} ± {self.deviation:.3f} ({min(values):.3f} to {max(values):.3f})"
        return told.replace("-", "−")


def pooled(tested: Sequence[Sequence[Entry]], params: EvaluateParams) -> Entry:
    """One model's entry over all development rows, from those of its folds, by repeat.

    A patient's rows of all repeats are drawn together by the bootstrap; `counts` counts each row once. Decisions are
    made at the mean of the folds' thresholds.
    """
    folds = [entry for repeat in tested for entry in repeat]
    first = folds[0].evaluation
    target, group = (np.concatenate([getattr(fold, name) for fold in folds]) for name in ("target", "group"))
    predicted = np.concatenate([fold.predicted for fold in folds])
    found = first.asked_of(target, predicted, group, params, [fold.evaluation for fold in folds])
    once = {
        "rows": found.counts.rows // len(tested),
        "positives": found.counts.positives // len(tested),
        "by_class": {label: count // len(tested) for label, count in found.counts.by_class.items()},
    }
    counted = found.model_copy(update={"counts": found.counts.model_copy(update=once), "baseline": first.baseline})
    return Entry(evaluation=counted, target=target, predicted=predicted, group=group)


def spread(tested: Sequence[Sequence[Entry]], metric: str) -> Spread:
    """How much a metric differs from fold to fold, and from repeat to repeat."""
    folds = tuple(tuple(entry.evaluation.metrics[metric].value for entry in repeat) for repeat in tested)
    values = [value for repeat in folds for value in repeat if value is not None]
    return Spread(
        metric=metric,
        folds=folds,
        mean=_mean(values),
        deviation=rounded(float(np.std(values, ddof=1))) if len(values) > 1 else None,
        by_repeat=tuple(_mean([value for value in repeat if value is not None]) for repeat in folds),
    )


def _mean(values: Sequence[float]) -> float | None:
    return rounded(float(np.mean(values))) if values else None

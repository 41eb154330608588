"""From probabilities to a decision: the cut-off that is best on validation rows."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Threshold = float | list[float] | None  # of two classes one, of several labels one each
ThresholdMetric = Literal["balanced_accuracy", "f1"]


def choose(target: NDArray[np.bool_], probability: NDArray[np.float64], metric: ThresholdMetric) -> float:
    """The threshold `t` for which "positive when probability >= t" scores best; the highest of equals.

    It lies midway between two neighbouring probabilities, so that it does not hang on one row.
    The best balanced accuracy is the largest of Youden's J (Youden, Cancer 1950).

    Shape: target (N,), probability (N,); both classes occur.
    """
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order]
    positives = np.cumsum(target[order], dtype=np.int64)
    flagged = np.arange(1, len(ranked) + 1)
    scores = _scores(metric, positives, flagged, int(positives[-1]), len(ranked))
    last_of_ties = np.append(ranked[:-1] != ranked[1:], True)
    best = int(np.argmax(np.where(last_of_ties, scores, -np.inf)))
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    middle = float((ranked[best] + below) / 2)
    return middle if middle > below else float(ranked[best])


def _scores(
    metric: ThresholdMetric, positives: NDArray[np.int64], flagged: NDArray[np.int64], all_positive: int, rows: int
) -> NDArray[np.float64]:
    """The metric when the first 1, 2 … N ranked rows are called positive. Shape: (N,)."""
    if metric == "f1":
        return np.asarray(2 * positives / (flagged + all_positive), dtype=np.float64)
    sensitivity = positives / all_positive
    specificity = 1 - (flagged - positives) / (rows - all_positive)
    return np.asarray((sensitivity + specificity) / 2, dtype=np.float64)


def decide(probabilities: NDArray[np.float64], threshold: float | None, positive: int) -> NDArray[np.int64]:
    """The class of each row: by `threshold` where there is one (two classes), else the likeliest.

    Shape: probabilities (N, C) -> (N,).
    """
    if threshold is None:
        return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)
    return np.where(probabilities[:, positive] >= threshold, positive, 1 - positive).astype(np.int64)

"""The metrics are scikit-learn's, on the rows and on every resample of them."""

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from contracts.errors import MedloopError
from pipelines.metrics import GRID, METRICS, Floats, curves, judge, observed, scores


def binary(rows: int = 200, seed: int = 0) -> tuple[np.ndarray, Floats]:
    """Scores on 21 values, so that most are tied."""
    random = np.random.default_rng(seed)
    score = np.round(random.beta(1, 3, rows) * 20) / 20
    return (random.random(rows) < score).astype(np.int64), np.column_stack([1 - score, score])


def many(rows: int = 200, classes: int = 4) -> tuple[np.ndarray, Floats]:
    random = np.random.default_rng(1)
    target = random.integers(classes, size=rows)
    logits = random.normal(size=(rows, classes)).round(1) + 1.5 * np.eye(classes)[target]
    power = np.exp(logits)
    return target, power / power.sum(axis=1, keepdims=True)


def calibration_error(outcome: np.ndarray, confidence: Floats, bins: int = 10) -> float:
    """Naeini et al. (2015) by way of scikit-learn's bins."""
    share, predicted = calibration_curve(outcome, confidence, n_bins=bins)
    count = np.bincount(np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence), minlength=bins)
    return float(np.sum(count[count > 0] * np.abs(share - predicted)) / len(outcome))


def by_sklearn(target: np.ndarray, probability: Floats, threshold: float, positive: int) -> dict[str, float]:
    truth, score = (target == positive).astype(int), probability[:, positive]
    flag = (score >= threshold).astype(int)
    return {
        "auroc": sk.roc_auc_score(truth, score),
        "average_precision": sk.average_precision_score(truth, score),
        "accuracy": sk.accuracy_score(truth, flag),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, flag),
        "precision": sk.precision_score(truth, flag),
        "recall": sk.recall_score(truth, flag),
        "specificity": sk.recall_score(truth, flag, pos_label=0),
        "f1": sk.f1_score(truth, flag),
        "brier": sk.brier_score_loss(truth, score),
        "ece": calibration_error(truth, score),
    }


def by_sklearn_macro(target: np.ndarray, probability: Floats) -> dict[str, float]:
    label, every = probability.argmax(axis=1), range(probability.shape[1])
    return {
        "auroc": sk.roc_auc_score(target, probability, multi_class="ovr"),
        "average_precision": sk.average_precision_score(target, probability),
        "accuracy": sk.accuracy_score(target, label),
        "balanced_accuracy": sk.balanced_accuracy_score(target, label),
        "precision": sk.precision_score(target, label, average="macro"),
        "recall": sk.recall_score(target, label, average="macro"),
        "specificity": float(np.mean([sk.recall_score(target != c, label != c) for c in every])),
        "f1": sk.f1_score(target, label, average="macro"),
        "brier": sk.brier_score_loss(target, probability),
        "ece": calibration_error((target == label).astype(int), probability.max(axis=1)),
    }


def drawn(rows: int, resamples: int = 4) -> Floats:
    random = np.random.default_rng(2)
    draws = [np.bincount(random.integers(rows, size=rows), minlength=rows) for _ in range(resamples)]
    return np.vstack([np.ones(rows), *draws]).astype(float)


@pytest.mark.parametrize("positive", [0, 1])
def test_binary_equals_sklearn_on_every_resample(positive: int) -> None:
    target, probability = binary()
    weight = drawn(len(target))
    found = scores(judge(target, probability, threshold=0.3, positive=positive, bins=10), weight)
    assert list(found) != [] and set(found) == set(METRICS)
    for place, counts in enumerate(weight.astype(int)):
        expected = by_sklearn(np.repeat(target, counts), np.repeat(probability, counts, axis=0), 0.3, positive)
        assert {name: value[place] for name, value in found.items()} == pytest.approx(expected, abs=1e-12)


def test_many_classes_equal_sklearn_on_every_resample() -> None:
    target, probability = many()
    weight = drawn(len(target))
    found = scores(judge(target, probability, threshold=None, positive=2, bins=10), weight)
    for place, counts in enumerate(weight.astype(int)):
        expected = by_sklearn_macro(np.repeat(target, counts), np.repeat(probability, counts, axis=0))
        assert {name: value[place] for name, value in found.items()} == pytest.approx(expected, abs=1e-12)


def test_a_constant_score_is_worth_chance() -> None:
    target = np.array([0, 0, 0, 1])
    found = scores(judge(target, np.full((4, 2), 0.5), threshold=None, positive=1, bins=5), np.ones((1, 4)))
    assert (found["auroc"][0], found["average_precision"][0]) == (0.5, 0.25)


def test_what_is_undefined_is_nan_not_zero() -> None:
    target, probability = np.zeros(4, dtype=np.int64), np.tile([0.9, 0.1], (4, 1))
    found = scores(judge(target, probability, threshold=None, positive=1, bins=5), np.ones((1, 4)))
    undefined = {name for name, value in found.items() if np.isnan(value[0])}
    assert undefined == {"auroc", "average_precision", "balanced_accuracy", "precision", "recall", "f1"}


def test_curves_pass_through_sklearns_points() -> None:
    target, probability = binary()
    ranking = judge(target, probability, threshold=None, positive=1, bins=5).rankings[0]
    sensitivity, precision = (curve[0] for curve in curves(ranking, np.ones((1, len(target)))))
    false, true, _ = sk.roc_curve(target, probability[:, 1], drop_intermediate=False)
    assert sensitivity == pytest.approx(np.interp(GRID, false, true), abs=1e-12)
    reached, recall, _ = sk.precision_recall_curve(target, probability[:, 1])
    for place in range(1, len(GRID)):
        assert precision[place] == pytest.approx(reached[recall >= GRID[place] - 1e-12][-1])


def test_observed_shares_are_sklearns() -> None:
    target, probability = binary(2000)
    share = observed(judge(target, probability, threshold=None, positive=1, bins=5), np.ones((1, 2000)))[0]
    assert share[~np.isnan(share)] == pytest.approx(calibration_curve(target, probability[:, 1], n_bins=5)[0])


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda p: p.__setitem__((3, 1), np.nan), "1 of 200 predictions are no probabilities"),
        (lambda p: p.__imul__(3.0), "are no probabilities"),
        (lambda p: p.__setitem__(7, [0.1, 0.1]), "1 of 200 predictions"),
    ],
)
def test_predictions_that_are_no_probabilities_are_refused(spoil: object, problem: str) -> None:
    target, probability = binary()
    spoil(probability)  # type: ignore[operator]
    with pytest.raises(MedloopError, match=problem):
        judge(target, probability, threshold=None, positive=1, bins=5)


def test_shapes_and_classes_are_checked() -> None:
    target, probability = binary()
    with pytest.raises(MedloopError, match="shape"):
        judge(target[1:], probability, threshold=None, positive=1, bins=5)
    with pytest.raises(MedloopError, match="0 to 1"):
        judge(target + 1, probability, threshold=None, positive=1, bins=5)

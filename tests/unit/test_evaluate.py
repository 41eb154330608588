"""An evaluation: sound intervals, reasons instead of NaN, no patient's score, and a page that stands alone."""

import re

import numpy as np
import pytest

from contracts.errors import MedloopError
from pipelines.evaluate import EvaluateParams, Evaluation, evaluate
from pipelines.figures import report
from pipelines.metrics import METRICS
from pipelines.results import mean_interval


def data(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    score = random.beta(1.2, 3, rows)
    return (random.random(rows) < score).astype(np.int64), np.column_stack([1 - score, score])


def judged(target: np.ndarray, probability: np.ndarray, **more: object) -> Evaluation:
    settings = {
        "group": np.arange(len(target)).astype(str),
        "threshold": 0.3 if probability.shape[1] == 2 else None,
        "classes": ["no", "yes", "perhaps"][: probability.shape[1]],
        "positive": 1,
        "params": EvaluateParams(resamples=500),
    }
    return evaluate(target=target, probability=probability, **{**settings, **more})  # type: ignore[arg-type]


def delong_width(target: np.ndarray, score: np.ndarray) -> float:
    """DeLong et al. (1988): the width of a 95 % interval from the placements."""
    above = score[target == 1][:, None] > score[target == 0][None]
    a, b = above.mean(axis=1), above.mean(axis=0)
    return float(2 * 1.96 * np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)))


def test_the_interval_of_auroc_agrees_with_delong() -> None:
    target, probability = data(400)
    auroc = judged(target, probability, params=EvaluateParams()).metrics["auroc"]
    assert auroc.low is not None and auroc.high is not None and auroc.value is not None
    assert auroc.low < auroc.value < auroc.high
    assert auroc.high - auroc.low == pytest.approx(delong_width(target, probability[:, 1]), rel=0.1)


def test_an_ensembles_spread_has_an_interval() -> None:
    spread = np.random.default_rng(0).random(400) / 10
    found = mean_interval(spread, np.arange(400), EvaluateParams())
    assert found.low is not None and found.high is not None
    assert found.value == pytest.approx(spread.mean(), abs=1e-6)
    assert found.low < spread.mean() < found.high
    evaluation = judged(*data(400))
    assert "spread" not in evaluation.measured
    assert evaluation.model_copy(update={"spread": found}).measured["spread"] == found


def test_everything_counted_is_there() -> None:
    target, probability = data(300)
    found = judged(target, probability, group=np.repeat(np.arange(100), 3))
    assert set(found.metrics) == set(METRICS)
    assert (found.counts.rows, found.counts.patients, found.counts.positives) == (300, 100, target.sum())
    flagged = probability[:, 1] >= 0.3
    assert found.confusion[1] == (int((~flagged & (target == 1)).sum()), int((flagged & (target == 1)).sum()))
    assert sum(b.rows for b in found.calibration.bins) == 300


def test_it_survives_json_and_is_the_same_again() -> None:
    target, probability = data(200)
    first, second = judged(target, probability), judged(target, probability)
    assert first.model_dump_json() == second.model_dump_json()
    assert Evaluation.model_validate_json(first.model_dump_json()) == first
    assert judged(target, probability, params=EvaluateParams(resamples=500, seed=1)).metrics != first.metrics


def test_one_class_gives_reasons_and_leaves_the_rest() -> None:
    _, probability = data(50)
    found = judged(np.zeros(50, dtype=np.int64), probability)
    assert found.metrics["auroc"].value is None
    assert "none of class yes" in found.metrics["auroc"].reason
    assert found.metrics["specificity"].low is not None
    assert "NaN" not in found.model_dump_json()
    assert "AUROC is undefined" in report(found, "one class")


def test_a_class_never_predicted_leaves_precision_undefined() -> None:
    target, probability = data(200)
    found = judged(target, probability, threshold=1.0)
    assert found.metrics["precision"].value is None
    assert "no row is predicted to be of class yes" in found.metrics["precision"].reason
    assert found.metrics["f1"].value == 0


def test_two_positives_are_too_few_for_an_interval() -> None:
    _, probability = data(60)
    target = np.zeros(60, dtype=np.int64)
    target[:2] = 1
    auroc = judged(target, probability).metrics["auroc"]
    assert auroc.value is not None and auroc.low is None and "too few patients" in auroc.reason


def test_no_patients_score_can_be_read_off() -> None:
    target, probability = data(12)
    text = judged(target, probability).model_dump_json()
    for score in probability[:, 1]:
        assert f"{score:.4f}" not in text and f"{1 - score:.4f}" not in text


def test_a_bin_of_few_patients_shows_its_count_only() -> None:
    score = np.r_[np.full(20, 0.15), np.full(4, 0.95)]
    target = np.r_[np.zeros(19), np.ones(5)].astype(np.int64)
    probability = np.column_stack([1 - score, score])
    bins = judged(target, probability).calibration.bins
    assert (bins[1].rows, bins[1].predicted, bins[1].observed.value) == (20, 0.15, 0.05)
    assert (bins[9].rows, bins[9].predicted, bins[9].observed.value) == (4, None, None)
    one_patient = judged(target, probability, group=np.zeros(24)).calibration.bins
    assert all(b.predicted is None for b in one_patient)


def test_arrays_that_do_not_fit_are_refused() -> None:
    target, probability = data(20)
    with pytest.raises(MedloopError, match="19 patients"):
        judged(target, probability, group=np.arange(19))
    with pytest.raises(MedloopError, match="3 class probabilities"):
        judged(target, probability, classes=["a", "b", "c"])


def test_the_page_stands_alone_and_is_the_same_again() -> None:
    target, probability = data(200)
    found = judged(target, probability, classes=["no", "</script><script>alert(1)"])
    page = report(found, "<b>diabetes</b>")
    own = re.sub(r"<script>/\*.*?</script>", "", page, count=1, flags=re.S)
    assert len(own) < len(page) / 20 and page.count("<script>/*") == 1
    assert not re.search(r"(src|href)=", own)
    assert "<script>alert" not in own and "<b>diabetes" not in own and "&lt;b&gt;diabetes" in own
    assert re.findall(r'<div id="([a-z-]+)"', own) == ["roc", "precision-recall", "calibration", "confusion"]
    assert report(found, "<b>diabetes</b>") == page


def test_more_classes_have_a_curve_each() -> None:
    random = np.random.default_rng(0)
    target = random.integers(3, size=150)
    probability = random.dirichlet(np.ones(3), 150)
    found = judged(target, probability)
    assert [curve.label for curve in found.curves] == ["no", "yes", "perhaps"]
    assert found.threshold is None and len(found.confusion) == 3
    page = re.sub(r"<script.*?</script>", "", report(found, "three"), flags=re.S)
    assert "averaged over the classes" in page and "positive" not in page
    assert all(
        f"{count} ({count / 150:.1%}) of class “{name}”" in page for name, count in found.counts.by_class.items()
    )


def test_the_calibration_error_of_a_calibrated_model_may_be_small() -> None:
    """Resamples inflate this error: percentiles alone would keep the truth, 0, out of reach."""
    low = [judged(*data(400, seed)).metrics["ece"].low for seed in range(10)]
    assert sum(end is not None and end < 0.01 for end in low) >= 6

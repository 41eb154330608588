"""How far probabilities lie from what comes true: scikit-learn's regression, known shifts, sound intervals."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pipelines.evaluate import EvaluateParams, Evaluation, evaluate
from pipelines.figures import report
from pipelines.metrics import Floats, judge
from pipelines.reliability import CALIBRATED, deviations, recalibration


def data(rows: int, seed: int = 0, *, shift: float = 0.0, slope: float = 1.0) -> tuple[np.ndarray, Floats]:
    """Outcomes, and probabilities whose log-odds are `slope` times too large and `shift` too high."""
    random = np.random.default_rng(seed)
    logit = random.normal(-1, 1.2, rows)
    target = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    score = 1 / (1 + np.exp(-(slope * logit + shift)))
    return target, np.column_stack([1 - score, score])


def judged(target: np.ndarray, probability: Floats, raw: Floats | None = None) -> Evaluation:
    return evaluate(
        target=target,
        probability=probability,
        raw=raw,
        group=np.arange(len(target)),
        threshold=0.3 if probability.shape[1] == 2 else None,
        classes=["no", "yes", "perhaps"][: probability.shape[1]],
        positive=1,
        params=EvaluateParams(resamples=300),
    )


def refitted(target: np.ndarray, score: Floats, weight: Floats | None = None) -> list[float]:
    """Cox's line by scikit-learn."""
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    model.fit(np.log(score / (1 - score))[:, None], target, sample_weight=weight)
    return [float(model.intercept_[0]), float(model.coef_[0, 0])]


@pytest.mark.parametrize("rows", [60, 2000])
def test_slope_and_intercept_are_scikit_learns(rows: int) -> None:
    target, probability = data(rows, shift=1, slope=2)
    line = recalibration(judge(target, probability, threshold=None, positive=1, bins=10))
    assert line.tolist() == pytest.approx(refitted(target, probability[:, 1]), abs=1e-4)


def test_one_step_on_a_resample_is_near_refitting() -> None:
    target, probability = data(300, shift=1)
    ours = judge(target, probability, threshold=None, positive=1, bins=10)
    weight = np.random.default_rng(0).multinomial(300, np.full(300, 1 / 300), size=60).astype(float)
    found = deviations(ours, weight, recalibration(ours))
    expected = np.array([refitted(target, probability[:, 1], w) for w in weight])
    for name, column in (("intercept", 0), ("slope", 1)):
        assert np.corrcoef(found[name], expected[:, column])[0, 1] > 0.98
        assert found[name].std() == pytest.approx(expected[:, column].std(), rel=0.12)


def test_a_known_shift_is_found() -> None:
    target, probability = data(6000, shift=1.5)
    found = judged(target, probability).calibration
    assert found.in_the_large.value == pytest.approx(float(probability[:, 1].mean() - target.mean()), abs=1e-6)
    assert found.slope.low is not None and found.slope.high is not None and found.slope.low < 1 < found.slope.high
    assert found.intercept.value == pytest.approx(-1.5, abs=0.15)
    assert found.verdict == f"too high by {found.in_the_large.value:.2f} on average"


@pytest.mark.parametrize(("slope", "word"), [(2.0, "extreme"), (0.4, "cautious")])
def test_a_wrong_spread_is_found(slope: float, word: str) -> None:
    found = judged(*data(6000, slope=slope)).calibration
    assert found.slope.value == pytest.approx(1 / slope, rel=0.1)
    assert f"too {word} (slope {found.slope.value:.2f})" in found.verdict


def test_probabilities_that_rank_backwards_are_called_so() -> None:
    target, probability = data(6000)
    found = judged(target, probability[:, ::-1]).calibration
    assert found.slope.value is not None and found.slope.value < -0.5
    assert f"the wrong way round (slope {found.slope.value:.2f})" in found.verdict and "extreme" not in found.verdict


def test_a_calibrated_model_is_called_so() -> None:
    verdicts = [judged(*data(500, seed)).calibration.verdict for seed in range(10)]
    assert verdicts.count(CALIBRATED) >= 7


def test_the_measures_are_those_of_the_metrics() -> None:
    found = judged(*data(300))
    assert (found.calibration.ece, found.calibration.brier) == (found.metrics["ece"], found.metrics["brier"])


def test_separated_or_constant_probabilities_have_no_slope() -> None:
    target = np.repeat([0, 1], 30)
    for score in (np.where(target == 1, 0.9, 0.1) + np.linspace(0, 0.01, 60), np.full(60, 0.5)):
        found = judged(target, np.column_stack([1 - score, score])).calibration
        assert found.slope.value is None and "all alike" in found.slope.reason
        assert found.in_the_large.value is not None


def test_more_classes_are_judged_by_the_likeliest() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 3))
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = (random.random((4000, 1)) > chance.cumsum(axis=1)[:, :2]).sum(axis=1).astype(np.int64)
    sharp = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    found = judged(target, chance, raw=sharp)
    assert found.calibration.verdict == CALIBRATED
    assert found.uncalibrated is not None and "too high" in found.uncalibrated.verdict
    assert f"Probabilities of the likeliest class are {CALIBRATED}; before" in report(found, "three")


def test_the_page_shows_both_curves_and_says_what_was_mended() -> None:
    target, raw = data(2000, shift=1.5)
    _, mended = data(2000)
    plain, both = judged(target, raw), judged(target, mended, raw=raw)
    assert plain.uncalibrated is None
    assert both.uncalibrated == plain.calibration
    page = report(plain, "plain")
    assert "Probabilities are too high by 0.2" in page and "train.calibration mends it" in page
    assert "before recalibration" not in page
    page = report(both, "both")
    assert f"Probabilities are {CALIBRATED}; before recalibration: too high by 0.2" in page
    assert '"name":"before recalibration"' in page and '"name":"after recalibration"' in page
    assert "train.calibration" not in page
    assert "What is left can be learnt" in report(judged(target, data(2000, shift=0.7)[1], raw=raw), "half")

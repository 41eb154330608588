"""Paired tests: hand-worked values, rows of one patient counted once, false alarms near the nominal rate."""

import numpy as np
import pytest

from contracts.errors import MedloopError
from pipelines.evaluate import Entry, EvaluateParams, evaluate
from pipelines.paired import bootstrap_p, delong, holm, mcnemar, of_rows, paired
from pipelines.tasks import ordinal, regression

RANDOM = np.random.default_rng(0)


HALF = np.column_stack([np.full(4, 0.5), np.full(4, 0.5)])
JUDGED = evaluate(
    target=np.array([0, 1, 0, 1]),
    probability=HALF,
    group=np.arange(4),
    threshold=0.5,
    classes=["no", "yes"],
    positive=1,
    params=EvaluateParams(resamples=200),
)


def entry(score: np.ndarray, truth: np.ndarray, group: np.ndarray) -> Entry:
    """The evaluation says how rows are decided; its own figures do not matter."""
    probability = np.column_stack([1 - score, score])
    return Entry(evaluation=JUDGED, target=truth.astype(np.int64), predicted=probability, group=group)


def test_delong_by_hand() -> None:
    """Components 1, ½ and ½, 1 against four ones: AUROC 0.75 and 1, variance 0.0625 + 0.0625, z 0.7071."""
    truth = np.array([True, True, False, False])
    first, second = np.array([0.9, 0.4, 0.5, 0.1]), np.array([0.8, 0.7, 0.6, 0.3])
    alone = np.arange(4)
    assert delong(truth, first, second, alone) == pytest.approx(0.479500, abs=1e-6)
    assert delong(truth, second, first, alone) == delong(truth, first, second, alone)
    assert delong(truth, first, first, alone) == 1
    assert np.isnan(delong(truth[1:], first[1:], second[1:], alone[1:])), "one positive row tells no variance"


def test_delong_counts_ties_half_and_agrees_with_all_pairs() -> None:
    truth = RANDOM.random(60) < 0.4
    scores = [np.round(RANDOM.random(60) + 0.5 * truth, 1) for _ in range(2)]

    def kernel(score: np.ndarray) -> np.ndarray:
        gap = score[truth][:, None] - score[~truth]
        return (gap > 0) + 0.5 * (gap == 0)

    gap = kernel(scores[1]) - kernel(scores[0])
    variance = gap.mean(axis=1).var(ddof=1) / truth.sum() + gap.mean(axis=0).var(ddof=1) / (~truth).sum()
    from scipy.stats import norm

    expected = 2 * norm.sf(abs(gap.mean()) / np.sqrt(variance))
    assert delong(truth, *scores, np.arange(60)) == pytest.approx(expected, rel=1e-9)


def test_rows_written_twice_for_a_patient_tell_no_more() -> None:
    truth, group = RANDOM.random(80) < 0.5, np.arange(80)
    first, second = RANDOM.random((2, 80))
    twice = [np.repeat(of, 2) for of in (truth, first, second, group)]
    assert delong(*twice) == pytest.approx(delong(truth, first, second, group), rel=1e-9)
    right = [(of > 0.5) == truth for of in (first, second)]
    assert mcnemar(*(np.repeat(of, 2) for of in right), twice[3]) == pytest.approx(mcnemar(*right, group), rel=1e-9)


def test_mcnemar_by_hand() -> None:
    """Exact: 1 against 6 is 2 (1 + 7) / 2⁷. Chi-squared: 10 against 25 is 15² / 35 = 6.4286."""
    few = [np.array([True] + [False] * 6), np.array([False] + [True] * 6)]
    assert mcnemar(*few, np.arange(7)) == pytest.approx(0.125)
    many = [np.repeat([True, False], [10, 25]), np.repeat([False, True], [10, 25])]
    assert mcnemar(*many, np.arange(35)) == pytest.approx(0.011230, abs=1e-6)
    assert mcnemar(*many, np.zeros(35)) == pytest.approx(0.317311, abs=1e-6), "one patient is one observation"
    assert mcnemar(few[0], few[0], np.arange(7)) == 1


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []


def test_bootstrap_p_by_hand() -> None:
    drawn = np.concatenate([np.full(10, -1.0), np.full(989, 1.0), [np.nan]])
    assert bootstrap_p(drawn) == pytest.approx(2 * 11 / 1000)
    assert bootstrap_p(np.zeros(100)) == 1


def sets(count: int, patients: int = 60) -> "list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]":
    """Truth, two scores and the patient: two models as good as each other, patients of two rows that resemble."""
    random, made = np.random.default_rng(7), []
    for _ in range(count):
        latent = np.repeat(random.normal(size=patients), 2)
        fate = np.repeat(random.normal(size=patients), 2)
        truth = latent + fate + 0.2 * random.normal(size=2 * patients) > 0
        noise = np.repeat(random.normal(size=(2, patients)), 2, axis=1) + 0.2 * random.normal(size=(2, 2 * patients))
        first, second = 1 / (1 + np.exp(-latent - noise))
        made.append((truth, first, second, np.repeat(np.arange(patients), 2)))
    return made


def test_false_alarms_come_at_their_rate() -> None:
    """At 5 %: 400 sets give 20 ± 13 (three deviations); without heed of patients there would be some 60."""
    made = sets(400)
    of_delong = [delong(*one) < 0.05 for one in made]
    of_mcnemar = [mcnemar((a > 0.5) == t, (b > 0.5) == t, g) < 0.05 for t, a, b, g in made]
    assert 7 <= sum(of_delong) <= 33 and 7 <= sum(of_mcnemar) <= 33
    heedless = [delong(truth, first, second, np.arange(len(truth))) < 0.05 for truth, first, second, _ in made]
    assert sum(heedless) > 40


def test_false_alarms_of_the_bootstrap_come_at_their_rate() -> None:
    """At 10 %: 100 sets give 10 ± 9."""
    found = [paired(entry(a, t, g), entry(b, t, g), ["brier"])[0] for t, a, b, g in sets(100)]
    assert 1 <= sum(one.p is not None and one.p < 0.1 for one in found) <= 19
    outside = [one.gain.low > 0 or one.gain.high < 0 for one in found if one.gain.low is not None and one.gain.high]
    assert sum(outside) <= 14, "95 % intervals"


def test_each_metric_has_its_test_and_its_direction() -> None:
    truth, first, _, group = sets(1, patients=200)[0]
    better = np.clip(first + 0.3 * (truth - 0.5), 0, 1)
    found = {
        one.metric: one
        for one in paired(entry(first, truth, group), entry(better, truth, group), ["auroc", "accuracy", "brier"])
    }
    assert {name: one.test for name, one in found.items()} == {
        "auroc": "DeLong",
        "accuracy": "McNemar",
        "brier": "bootstrap",
    }
    for one in found.values():
        assert one.gain.value is not None and one.gain.value > 0, "more is better, whichever way the metric runs"
        assert one.p is not None and one.adjusted is not None and one.p <= one.adjusted < 0.05


def test_what_says_the_same_of_every_row_is_no_worse_and_what_is_right_in_every_row_may_be() -> None:
    truth, first, _, group = sets(1)[0]
    (same,) = paired(entry(first, truth, group), entry(first, truth, group), ["auroc"])
    assert (same.gain.value, same.gain.low, same.gain.high) == (0, 0, 0)
    shifted = first / (first + 9 * (1 - first))
    order, calls = paired(entry(first, truth, group), entry(shifted, truth, group), ["auroc", "accuracy"])
    assert (order.gain.value, order.gain.low, order.gain.high) == (0, 0, 0), "recalibrated, it ranks as it did"
    assert calls.gain.value != 0
    right = [entry(np.where(truth == 1, high, 0.1), truth, group) for high in (0.8, 0.9)]
    (told,) = paired(*right, ["auroc"])
    assert (told.gain.value, told.gain.low) == (0, None)


def test_undefined_is_told_and_does_not_count() -> None:
    """Rows of one class have no AUROC; the other metric's p is that of one test alone."""
    truth, first, second, group = sets(1)[0]
    one, other = (of_rows(entry(of, truth, group), truth) for of in (first, second))
    auroc, accuracy = paired(one, other, ["auroc", "accuracy"])
    assert (auroc.gain.value, auroc.p, auroc.adjusted) == (None, None, None)
    assert accuracy.adjusted == accuracy.p


def test_other_tasks_are_compared_by_their_own_metrics() -> None:
    group, params = np.arange(90), EvaluateParams(resamples=200)
    number = RANDOM.normal(size=90)
    told = [np.column_stack([number + off, number + off - 2, number + off + 2]) for off in (1.0, 0.1)]
    given = {"target": number, "group": group, "params": params}
    numbers = [
        Entry(
            evaluation=regression.evaluate(predicted=of, unit="kg", aim=0.9, **given),
            target=number,
            predicted=of,
            group=group,
        )
        for of in told
    ]
    (mae,) = paired(*numbers, ["mae"])
    assert mae.gain.value == pytest.approx(0.9) and mae.test == "bootstrap"
    target = np.arange(90) % 3
    sure = np.eye(3)[target] * 0.9 + 0.1 / 3
    graded = [
        Entry(
            evaluation=ordinal.evaluate(
                target=target, predicted=of, group=group, classes=["a", "b", "c"], params=params
            ),
            target=target,
            predicted=of,
            group=group,
        )
        for of in (np.full((90, 3), 1 / 3), sure)
    ]
    assert all(one.gain.value is not None and one.gain.value > 0 for one in paired(*graded, ["steps", "rps", "exact"]))


def test_models_of_other_rows_are_refused() -> None:
    truth, first, second, group = sets(1)[0]
    with pytest.raises(MedloopError, match="not judged on the same rows"):
        paired(entry(first, truth, group), entry(second, ~truth, group), ["auroc"])

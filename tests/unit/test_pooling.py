"""Out-of-fold predictions are pooled so that each patient counts once, and the folds' own values are kept."""

import numpy as np
import pytest

from pipelines.compare import CompareParams, compare
from pipelines.evaluate import Entry, EvaluateParams, evaluate
from pipelines.pooling import pooled, spread

PARAMS = EvaluateParams(resamples=200)


def fold(seed: int, rows: int = 60, skill: float = 1.5, threshold: float = 0.5) -> Entry:
    random = np.random.default_rng(seed)
    target = (np.arange(rows) % 3 == 0).astype(np.int64)
    score = 1 / (1 + np.exp(-(random.normal(size=rows) + skill * target - 1)))
    group = np.array([f"p{seed % 3}-{row // 2}" for row in range(rows)])
    probability = np.stack([1 - score, score], axis=1)
    judged = evaluate(
        target=target, probability=probability, group=group, threshold=threshold,
        classes=["no", "yes"], positive=1, params=PARAMS,
    )  # fmt: skip
    return Entry(evaluation=judged, target=target, predicted=probability, group=group)


def test_folds_are_judged_as_one_set_of_predictions() -> None:
    folds = [fold(0, threshold=0.4), fold(1, threshold=0.6), fold(2)]
    found = pooled([folds], PARAMS)
    whole = evaluate(
        target=np.concatenate([f.target for f in folds]),
        probability=np.concatenate([f.predicted for f in folds]),
        group=np.concatenate([f.group for f in folds]),
        threshold=0.5, classes=["no", "yes"], positive=1, params=PARAMS,
    )  # fmt: skip
    assert found.evaluation == whole
    assert found.evaluation.counts.patients == 90


def test_repeats_count_each_row_once_and_do_not_narrow_the_interval() -> None:
    """The same predictions twice tell no more of the patients than once."""
    once, twice = pooled([[fold(0), fold(1)]], PARAMS), pooled([[fold(0), fold(1)]] * 2, PARAMS)
    assert twice.evaluation.counts == once.evaluation.counts
    assert len(twice.target) == 2 * len(once.target)
    for name in ("auroc", "recall", "brier"):
        one, two = once.evaluation.metrics[name], twice.evaluation.metrics[name]
        assert (two.value, two.low, two.high) == pytest.approx((one.value, one.low, one.high), abs=1e-6)


def test_models_are_compared_on_the_pooled_rows() -> None:
    entries = {
        "good": pooled([[fold(0, skill=3), fold(1, skill=3)]], PARAMS),
        "poor": pooled([[fold(0, skill=0.1), fold(1, skill=0.1)]], PARAMS),
    }
    board = compare(entries, CompareParams(), baselines=[], part="development")
    assert board.choice == "good"
    assert not board.rows[1].tied


def test_the_spread_is_over_folds_and_repeats() -> None:
    folds = [[fold(0), fold(1)], [fold(2), fold(3)]]
    found = spread(folds, "auroc")
    values = [f.evaluation.metrics["auroc"].value for repeat in folds for f in repeat]
    assert [value for repeat in found.folds for value in repeat] == values
    assert found.mean == pytest.approx(np.mean(values), abs=1e-6)
    assert found.deviation == pytest.approx(np.std(values, ddof=1), abs=1e-6)
    assert found.by_repeat == pytest.approx([np.mean(values[:2]), np.mean(values[2:])], abs=1e-6)
    assert str(found).startswith(f"{found.mean:.3f} ± {found.deviation:.3f}")


def test_one_fold_on_which_a_metric_is_undefined_is_left_out_of_the_mean() -> None:
    bare = fold(0)
    undefined = bare.evaluation.metrics["auroc"].model_copy(update={"value": None})
    evaluation = bare.evaluation.model_copy(update={"metrics": {**bare.evaluation.metrics, "auroc": undefined}})
    odd = Entry(evaluation=evaluation, target=bare.target, predicted=bare.predicted, group=bare.group)
    found = spread([[odd, fold(1)]], "auroc")
    assert found.folds[0][0] is None
    assert found.mean == found.folds[0][1]
    assert str(found) == "–"

"""A label of classes in order: its loss, its predictions, its metrics, its pages."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from contracts.examples import Inputs
from contracts.ordinal import median_class
from contracts.study import Target
from models.tasks import ordinal as of_models
from pipelines.compare import CompareParams, compare
from pipelines.figures import leaderboard_page, report
from pipelines.results import Entry, EvaluateParams
from pipelines.tasks.ordinal import evaluate, scores

RANDOM = np.random.default_rng(0)
ROWS, CLASSES = 400, ["none", "mild", "severe", "grave"]
LATENT = RANDOM.normal(size=ROWS)
TARGET = np.digitize(LATENT + 0.5 * RANDOM.normal(size=ROWS), [-1, 0, 1])
GROUP = (np.arange(ROWS) // 2).astype(str)
INPUTS = Inputs(columns=["a"], classes=CLASSES, positive=3, task="ordinal")


def probability(noise: float) -> np.ndarray:
    seen = LATENT + noise * np.random.default_rng(1).normal(size=ROWS)
    steps = 2 * (seen[:, None] - np.array([-1.2, -0.2, 0.8]))
    return of_models.predicted(steps, INPUTS)


def entry(noise: float) -> Entry:
    given = {"target": TARGET, "predicted": probability(noise), "group": GROUP}
    found = evaluate(**given, classes=CLASSES, params=EvaluateParams(resamples=200))
    return Entry(evaluation=found, **given)


def test_the_loss_is_minus_the_log_of_the_predicted_probability() -> None:
    import torch

    from models.losses import StepLoss

    outputs = torch.tensor(RANDOM.normal(size=(50, 3)))
    target = torch.tensor(RANDOM.integers(0, 4, 50))
    given = of_models.predicted(outputs.numpy(), INPUTS)
    np.testing.assert_allclose(given.sum(axis=1), 1)
    np.testing.assert_allclose(StepLoss()(outputs, target), -np.log(given[np.arange(50), target]), rtol=1e-9)


def test_a_baseline_of_classes_without_order_gives_their_softmax() -> None:
    given = of_models.predicted(np.log([[0.1, 0.2, 0.3, 0.4]]), INPUTS)
    np.testing.assert_allclose(given, [[0.1, 0.2, 0.3, 0.4]])
    assert median_class(given).tolist() == [2]
    assert median_class(np.array([[1.0, 0, 0], [0, 0, 1.0], [0.2, 0.7, 0.1]])).tolist() == [0, 2, 1]


def test_metrics_are_those_of_scikit_learn_whatever_the_weights() -> None:
    from sklearn.metrics import cohen_kappa_score, mean_absolute_error, roc_auc_score

    given, weight = probability(1.0), RANDOM.integers(0, 4, (3, ROWS)).astype(float)
    found, called = scores(TARGET, given)(weight), median_class(given)
    for row, w in enumerate(weight):
        kappa = cohen_kappa_score(TARGET, called, weights="quadratic", sample_weight=w)
        assert found["qwk"][row] == pytest.approx(kappa)
        assert found["steps"][row] == pytest.approx(mean_absolute_error(TARGET, called, sample_weight=w))
        for k in range(3):
            area = roc_auc_score(k < TARGET, given[:, k + 1 :].sum(axis=1), sample_weight=w)
            assert found["cuts"][row, k] == pytest.approx(area)
    np.testing.assert_allclose(found["cut_auroc"], found["cuts"].mean(axis=1))


def test_the_ranked_probability_score_by_hand() -> None:
    given = np.array([[0.5, 0.3, 0.2]])
    assert scores(np.array([2]), given)(np.ones((1, 1)))["rps"][0] == pytest.approx((0.8**2 + 0.5**2) / 2)


def test_training_is_watched_by_the_same_kappa() -> None:
    from contracts.examples import Examples

    rows = Examples(table=np.zeros((ROWS, 1), np.float32), target=TARGET)
    watched = of_models.scores(probability(1.0), rows, INPUTS)
    assert watched["validation_qwk"] == pytest.approx(entry(1.0).evaluation.metrics["qwk"].value, abs=1e-6)
    assert watched["validation_mae"] == pytest.approx(entry(1.0).evaluation.metrics["steps"].value, abs=1e-6)


def test_the_better_model_leads_and_pages_tell_each_cut() -> None:
    entries = {"logistic": entry(2.0), "mlp": entry(0.3)}
    board = compare(entries, CompareParams(metric="qwk"), {"logistic"})
    assert board.choice == "mlp"
    page = leaderboard_page(board, {n: e.evaluation for n, e in entries.items()}, "A study")
    assert "above “severe”" in page
    page = report(entries["mlp"].evaluation, "A study")
    assert "classes off on average" in page
    assert "above “none”" in page
    assert np.sum(entries["mlp"].evaluation.confusion) == ROWS  # type: ignore[attr-defined]


def test_cuts_that_no_row_lies_above_are_undefined() -> None:
    low = replace(entry(1.0), target=np.minimum(TARGET, 1))
    found = evaluate(
        target=low.target, predicted=low.predicted, group=GROUP, classes=CLASSES, params=EvaluateParams(resamples=100)
    )
    assert found.cuts[2].auroc.value is None
    assert found.metrics["cut_auroc"].value is None
    assert found.metrics["qwk"].value is not None


def test_classes_in_order_are_three_or_more_and_none_is_positive() -> None:
    assert Target(column="y", task="ordinal", classes=("a", "b", "c")).positive is None
    with pytest.raises(ValidationError, match="three or more"):
        Target(column="y", task="ordinal", classes=("a", "b"))
    with pytest.raises(ValidationError, match="positive is said of a label of two classes"):
        Target(column="y", task="ordinal", classes=("a", "b", "c"), positive="c")

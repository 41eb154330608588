"""Several yes or no answers as one label: read, trained on where they are known, judged each and together."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from contracts.answers import UNKNOWN, packed, unpacked
from contracts.errors import MedloopError
from contracts.examples import Examples, Inputs
from contracts.study import Column, Study, Target
from contracts.tables import Schema
from models.held_out import HeldOut
from models.params import TrainParams
from models.tasks import multilabel as of_models
from pipelines.compare import CompareParams, compare
from pipelines.figures import leaderboard_page, report
from pipelines.labels import graded, labelled, refuse_labels
from pipelines.results import Entry, EvaluateParams
from pipelines.tasks.multilabel import OWN, RANKING, evaluate, judge, scores

RANDOM = np.random.default_rng(0)
ROWS, LABELS = 300, ["stroke", "asthma", "cancer"]
LATENT = RANDOM.normal(size=(ROWS, 3))
ANSWERS = np.where(
    RANDOM.random((ROWS, 3)) < 0.2, UNKNOWN, LATENT + RANDOM.normal(size=(ROWS, 3)) > [0, 0.5, 1]
).astype(int)
TARGET = packed(ANSWERS)
GROUP = (np.arange(ROWS) // 2).astype(str)
INPUTS = Inputs(columns=["a"], classes=[], positive=0, task="multilabel", labels=LABELS)
PARAMS = EvaluateParams(resamples=100)


def target(**changes: object) -> Target:
    told = {"columns": LABELS, "classes": ["no", "yes"], "positive": "yes", "task": "multilabel", **changes}
    return Target.model_validate(told)


@pytest.mark.parametrize("name", ["none", "a, b"])
def test_a_label_that_predictions_could_not_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="not called none and has no comma"):
        target(columns=["stroke", name])


def probability(noise: float) -> np.ndarray:
    return of_models.predicted(LATENT + noise * np.random.default_rng(1).normal(size=(ROWS, 3)), INPUTS)


def entry(noise: float, labels: list[str] = LABELS) -> Entry:
    given = {"target": TARGET, "predicted": probability(noise), "group": GROUP}
    found = evaluate(**given, labels=labels, thresholds=[0.5, 0.4, 0.3], params=PARAMS)
    return Entry(evaluation=found, **given)


def test_answers_come_back_from_the_one_number() -> None:
    answers = RANDOM.integers(0, 3, (50, 39))
    assert (unpacked(packed(answers), 39) == answers).all()


def test_labels_are_read_from_their_columns_and_a_missing_one_leaves_out_that_column_alone() -> None:
    columns = {"x": Column(type="numeric"), "asthma": Column(type="categorical", missing=("maybe",))}
    study = Study(name="s", title="s", target=target(), columns=columns)
    assert list(study.features()) == ["x"]
    cells = {"stroke": ["yes", "", ""], "asthma": ["no", "maybe", ""], "cancer": ["", "yes", ""]}
    rows = pd.DataFrame({"@row": ["1", "2", "3"], "x": "1", **cells}, dtype="str")
    read = labelled(rows, study, missing=[])
    assert unpacked(read.rows["@target"].to_numpy(), 3).tolist() == [[1, 0, 2], [2, 2, 1]]
    refuse_labels([read.faulty], study, "exclude")
    read = labelled(rows.assign(cancer=["perhaps", "yes", "no"]), study, missing=[])
    with pytest.raises(MedloopError, match="1 labels are none of the classes") as error:
        refuse_labels([read.faulty], study, "exclude")
    assert "column cancer" in error.value.where


def test_rows_go_by_their_rarest_label() -> None:
    answers = np.array([[0, 0], [1, 0], [1, 1], [1, 2], [2, 1], [0, 2], [1, 0]])
    code, names = graded(
        pd.Series(packed(answers)), Schema(features={}, classes=(), task="multilabel", labels=("a", "b"))
    )
    assert names == ("none", "a", "b")
    assert code.tolist() == [0, 1, 2, 1, 2, 0, 1]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"columns": ["a"]}, "two columns or more, each once"),
        ({"columns": ["a", "a"]}, "two columns or more, each once"),
        ({"columns": [f"c{i}" for i in range(40)]}, "at most 39 columns; this one has 40"),
        ({"classes": ["a", "b", "c"], "positive": "a"}, "the same two classes"),
        ({"task": "classes"}, "whose task is classes names its one column"),
        ({"positive": None}, "says which is `positive`"),
    ],
    ids=["one", "twice", "many", "three classes", "classes", "no positive"],
)
def test_a_label_that_is_not_rightly_declared_is_told(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        target(**changes)


@pytest.mark.parametrize("loss", ["binary", "binary_balanced"])
def test_the_loss_counts_what_is_known(loss: str) -> None:
    import torch

    logits = RANDOM.normal(size=(ROWS, 3))
    given = TrainParams(loss=loss)  # type: ignore[arg-type]
    module = of_models.loss(INPUTS, given, torch.from_numpy(TARGET), torch.ones(ROWS))
    ours = module(torch.from_numpy(logits), torch.from_numpy(TARGET))
    odds = np.ones(3) if loss == "binary" else [(a == 0).sum() / (a == 1).sum() for a in ANSWERS.T]
    p = 1 / (1 + np.exp(-logits))
    nats = np.where(ANSWERS == 1, -np.log(p) * odds, -np.log(1 - p)) * (ANSWERS != UNKNOWN)
    np.testing.assert_allclose(ours, nats.sum(axis=1) / np.maximum((ANSWERS != UNKNOWN).sum(axis=1), 1), rtol=1e-5)
    if loss == "binary":
        np.testing.assert_allclose(
            ours, of_models.losses(p, Examples(table=np.zeros((ROWS, 1)), target=TARGET), INPUTS)
        )


def test_metrics_are_those_of_scikit_learn_on_the_rows_where_a_label_is_known() -> None:
    from sklearn.metrics import average_precision_score, brier_score_loss, recall_score, roc_auc_score

    given, weight = probability(1.0), RANDOM.integers(0, 4, (2, ROWS)).astype(float)
    found = scores(judge(TARGET, given, [0.5, 0.4, 0.3]), weight)
    for k, threshold in enumerate([0.5, 0.4, 0.3]):
        known = ANSWERS[:, k] != UNKNOWN
        yes, p = ANSWERS[known, k], given[known, k]
        for row, w in enumerate(weight[:, known]):
            assert found["auroc"][row, k] == pytest.approx(roc_auc_score(yes, p, sample_weight=w))
            assert found["average_precision"][row, k] == pytest.approx(average_precision_score(yes, p, sample_weight=w))
            assert found["brier"][row, k] == pytest.approx(brier_score_loss(yes, p, sample_weight=w))
            assert found["recall"][row, k] == pytest.approx(recall_score(yes, p >= threshold, sample_weight=w))
            others = recall_score(1 - yes, p < threshold, sample_weight=w)
            assert found["specificity"][row, k] == pytest.approx(others)


def test_training_is_watched_by_the_same_means() -> None:
    rows = Examples(table=np.zeros((ROWS, 1), np.float32), target=TARGET)
    watched = of_models.scores(probability(1.0), rows, INPUTS)
    judged = entry(1.0).evaluation.metrics
    for name in ("auroc", "average_precision"):
        assert watched[f"validation_{name}"] == pytest.approx(judged[name].value, abs=1e-5)


def test_every_label_has_a_threshold_of_its_own() -> None:
    rows = Examples(table=np.zeros((ROWS, 1), np.float32), target=TARGET)
    given = probability(0.5)
    held = HeldOut(
        params=TrainParams(),
        inputs=INPUTS,
        train=rows,
        validation=rows,
        predicted=given,
        correction=None,
        network=True,
    )
    _, thresholds = of_models.finished(held)
    assert isinstance(thresholds, list)
    assert len(set(thresholds)) == 3
    called = of_models.answers(given, INPUTS, thresholds)[0]
    assert called[0] == (", ".join(np.array(LABELS)[given[0] >= thresholds]) or "none")
    assert of_models.finished(replace(held, params=TrainParams(threshold=0.3)))[1] == [0.3] * 3


def test_the_truer_model_is_first_and_pages_show_every_label() -> None:
    entries = {"logistic": entry(3.0), "mlp": entry(0.0)}
    board = compare(entries, CompareParams(metric="auroc"), {"logistic"})
    assert [row.model for row in board.rows] == ["mlp", "logistic"]
    assert set(board.rows[0].metrics) == set(RANKING)
    page = report(entries["mlp"].evaluation, "A study")
    assert all(f"<td>{label}</td>" in page for label in LABELS)
    assert set(entries["mlp"].evaluation.labels[0].metrics) == set(OWN)  # type: ignore[attr-defined]
    assert "a chart a label" in leaderboard_page(board, {n: e.evaluation for n, e in entries.items()}, "A study")
    with pytest.raises(MedloopError, match="of another label"):
        compare({"a": entries["mlp"], "b": entry(0.0, ["a", "b", "c"])}, CompareParams(), set())


def test_folds_are_pooled_at_the_mean_threshold() -> None:
    peers = [entry(1.0).evaluation, replace(entry(1.0)).evaluation]
    one = entry(1.0)
    again = one.evaluation.asked_of(one.target, one.predicted, one.group, PARAMS, peers)
    assert again == one.evaluation


def test_a_label_with_one_answer_alone_is_an_error_in_training_and_has_no_auroc_in_the_test() -> None:
    answers = ANSWERS.copy()
    answers[:, 1] = np.minimum(answers[:, 1] % 2, 0)
    rows = Examples(table=np.zeros((ROWS, 1), np.float32), target=packed(answers))
    with pytest.raises(MedloopError, match="asthma is so in none of the training rows"):
        of_models.check(rows, rows, INPUTS, TrainParams())
    found = evaluate(
        target=packed(answers),
        predicted=probability(1.0),
        group=GROUP,
        labels=LABELS,
        thresholds=[0.5] * 3,
        params=PARAMS,
    )
    assert found.metrics["auroc"].reason == "the test rows all have the same answer to asthma"
    assert found.labels[0].metrics["auroc"].value is not None
    assert found.labels[1].sensitivity == ()

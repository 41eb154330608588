"""A label that is a number: read, split, judged and compared; intervals that hold what they promise."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from contracts.errors import MedloopError
from contracts.examples import Examples, Inputs
from contracts.study import Column, Study, Target
from contracts.tables import Schema
from models import conformal
from models.losses import NumberLoss
from models.params import TrainParams
from models.training import fit
from pipelines.balance import BalanceParams, balance
from pipelines.canary import changed_outside
from pipelines.compare import CompareParams, compare, table
from pipelines.figures import leaderboard_page, report
from pipelines.labels import FIFTHS, graded, labelled, refuse_labels
from pipelines.leaks import LeakParams, single_feature_suspects
from pipelines.results import Entry, EvaluateParams
from pipelines.split import SplitParams, split
from pipelines.suspects import suspects_of
from pipelines.tasks.regression import METRICS, evaluate, round_edges, scores

RANDOM = np.random.default_rng(0)
ROWS = 600
TARGET = np.round(RANDOM.normal(120, 20, ROWS), 4)
GROUP = (np.arange(ROWS) // 2).astype(str)
PARAMS = EvaluateParams(resamples=200)
SCHEMA = Schema(features={"dose": Column(type="numeric")}, classes=(), task="regression", unit="mmHg")


def study(**column: object) -> Study:
    columns = {"x": Column(type="numeric"), "y": Column.model_validate({"type": "numeric", **column})}
    return Study(name="s", title="s", target=Target(column="y", task="regression"), columns=columns)


def predicted(noise: float, margin: float = 15.0) -> np.ndarray:
    number = TARGET + noise * np.random.default_rng(1).normal(size=ROWS)
    return np.column_stack([number, number - margin, number + margin])


def entry(noise: float) -> Entry:
    given = {"target": TARGET, "predicted": predicted(noise), "group": GROUP}
    return Entry(evaluation=evaluate(**given, unit="mmHg", aim=0.9, params=PARAMS), **given)


def test_metrics_are_those_of_scikit_learn_whatever_the_weights() -> None:
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    weight, given = RANDOM.integers(0, 4, (3, ROWS)).astype(float), predicted(9)
    found = scores(TARGET, given, weight)
    theirs = {"mae": mean_absolute_error, "rmse": root_mean_squared_error, "r2": r2_score}
    for name, metric in theirs.items():
        expected = [metric(TARGET, given[:, 0], sample_weight=w) for w in weight]
        np.testing.assert_allclose(found[name], expected, rtol=1e-10)
    inside = np.abs(TARGET - given[:, 0]) <= 15
    np.testing.assert_allclose(found["coverage"], [np.average(inside, weights=w) for w in weight])
    np.testing.assert_allclose(found["width"], 30)


def test_an_evaluation_holds_no_patients_number() -> None:
    found = evaluate(
        target=TARGET, predicted=predicted(9), group=GROUP, unit="mmHg", aim=0.9, params=PARAMS
    ).model_dump_json()
    values = {f"{value:.4f}".rstrip("0") for value in TARGET}
    assert not [value for value in values if f"{value}," in found or f"{value}]" in found or f"{value}}}" in found]


def test_cells_and_bins_of_few_patients_are_blank() -> None:
    alone = np.where(np.arange(ROWS) < ROWS // 2, "one", GROUP)
    order = np.argsort(TARGET)
    found = evaluate(
        target=TARGET[order], predicted=predicted(0.0)[order], group=alone, unit="", aim=0.9, params=PARAMS
    )
    assert [b.predicted is None for b in found.bins] == [True] * 5 + [False] * 5
    shown = np.array(found.density.rows)
    assert shown.sum() + found.density.hidden == ROWS
    assert shown[: len(shown) // 3].sum() == 0  # rows of one patient alone


def test_edges_are_round_numbers_that_no_extreme_row_decides() -> None:
    edges = round_edges(TARGET)
    assert set(np.round(np.diff(edges), 9)) == {5.0}
    np.testing.assert_array_equal(round_edges(np.append(TARGET, 1e6)), edges)
    assert len(round_edges(np.full(10, 3.0))) >= 2


def test_the_best_model_has_the_smallest_error_and_pages_tell_it_in_the_labels_unit() -> None:
    entries = {"ridge": entry(14.0), "mlp": entry(9.0)}
    board = compare(entries, CompareParams(metric="mae"), {"ridge"})
    assert [row.model for row in board.rows] == ["mlp", "ridge"]
    assert board.rows[1].behind is not None
    assert board.rows[1].behind.value == pytest.approx(
        np.abs(predicted(14)[:, 0] - TARGET).mean() - np.abs(predicted(9)[:, 0] - TARGET).mean(), abs=1e-5
    )
    assert "the larger model earns its place" in board.verdict
    assert table(board)[0][2] == "MAE"
    page = report(entries["mlp"].evaluation, "A study")
    assert " mmHg: predictions are off by that much on average" in page
    assert "Residuals" in page
    assert "Mean observed" in leaderboard_page(board, {n: e.evaluation for n, e in entries.items()}, "A study")
    assert set(json.loads(entries["mlp"].evaluation.model_dump_json())["metrics"]) == set(METRICS)


def test_another_unit_is_not_compared() -> None:
    other = entry(9.0)
    moved = replace(other, evaluation=other.evaluation.model_copy(update={"unit": "kPa"}))
    with pytest.raises(MedloopError, match="of another label"):
        compare({"a": entry(9.0), "b": moved}, CompareParams(metric="mae"), set())


def test_the_margin_counts_each_patient_once() -> None:
    """Nine patients of one row and error 1 … 9, and one of 90 rows and error 100: the 80 % lie below 9 of 10 + 1."""
    error = np.append(np.arange(1.0, 10), np.full(90, 100.0))
    patient = np.append(np.arange(9), np.full(90, 9))
    assert conformal.fit(error, patient, 0.8).state["margin"] == 9.0
    assert conformal.fit(error[:9], patient[:9], 0.8).state["margin"] == 8.0
    with pytest.raises(MedloopError, match="needs 9 validation patients; there are 8"):
        conformal.fit(error[:8], patient[:8], 0.9)


def test_intervals_hold_rows_of_new_patients_as_often_as_promised() -> None:
    """Over many draws of patients whose rows share an error."""
    held = []
    for seed in range(200):
        random = np.random.default_rng(seed)
        patient = np.repeat(np.arange(40), random.integers(1, 12, 40))
        error = np.abs(random.normal(size=41)[np.append(patient, 40)] + 0.3 * random.normal(size=len(patient) + 1))
        held.append(error[-1] <= conformal.fit(error[:-1], patient, 0.8).state["margin"])
    assert np.mean(held) == pytest.approx(0.8, abs=0.08)


def test_huber_is_the_square_near_and_a_line_far() -> None:
    import torch

    target, outputs = torch.tensor([10.0, 10.0], dtype=torch.float64), torch.tensor([[0.5], [3.0]])
    huber = NumberLoss(TrainParams(loss="huber", huber_delta=1.0), 10.0, 2.0)(outputs, target)
    assert huber.tolist() == [0.125, 2.5]
    assert NumberLoss(TrainParams(loss="squared"), 8.0, 2.0)(outputs, target).tolist() == [0.25, 4.0]


def test_ridge_is_the_closed_form(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(80, 3)).astype(np.float32)
    target = 50 + 10 * features[:, 0].astype(np.float64) + random.normal(size=80)
    rows = Examples(table=features, target=target)
    inputs = Inputs(columns=["a", "b", "c"], classes=[], positive=0, task="regression")
    params = TrainParams(loss="squared", monitor="mae")
    model = fit(
        "ridge",
        {"penalties": (2.0,)},
        params,
        inputs=inputs,
        train=rows,
        validation=rows,
        checkpoints=tmp_path,
        history=lambda row: None,
    )
    x, y = features - features.mean(axis=0, dtype=np.float64), target - target.mean()
    expected = target.mean() + x @ np.linalg.solve(x.T @ x + 2 * np.eye(3), x.T @ y)
    np.testing.assert_allclose(model.predict(rows)[:, 0], expected, rtol=1e-6)
    assert (model.inputs.centre, model.inputs.spread) == (target.mean(), target.std())


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "loss: cross_entropy does not fit"),
        ({"loss": "squared", "monitor": "auroc"}, "monitor: auroc does not fit"),
    ],
)
def test_a_setting_of_another_task_is_an_error(settings: dict[str, str], told: str, tmp_path: Path) -> None:
    rows = Examples(table=np.zeros((20, 1), np.float32), target=np.arange(20.0))
    inputs = Inputs(columns=["a"], classes=[], positive=0, task="regression")
    with pytest.raises(MedloopError, match=told):
        fit(
            "ridge",
            {},
            TrainParams(**settings),  # type: ignore[arg-type]
            inputs=inputs,
            train=rows,
            validation=rows,
            checkpoints=tmp_path,
            history=lambda row: None,
        )


def test_labels_are_read_as_the_column_is_declared() -> None:
    cells = ["120", "16", "999", "", "700", "kPa"]
    rows = pd.DataFrame({"@row": range(6), "y": cells, "x": "1"}, dtype="str")
    convert = [{"from": "kPa", "factor": 7.5, "where": {"max": 40}}]
    found = labelled(rows, study(range=[40, 300], missing=["999"], convert=convert), missing=[])
    assert found.rows["@target"].tolist() == [120.0, 120.0]
    unreadable, without = found.faulty["y"]
    assert (unreadable.count, without.count) == (1, 3)
    with pytest.raises(MedloopError, match="1 labels are no finite numbers") as error:
        refuse_labels([found.faulty], study(), "exclude")
    assert "kPa" not in str(error.value)
    clipped = labelled(rows, study(range=[40, 300]), missing=[], beyond="clip").rows["@target"]
    assert clipped.tolist() == [120.0, 40.0, 300.0, 300.0]


@pytest.mark.parametrize(("censored", "labels"), [("half", [2, 50]), ("missing", [50])])
def test_labels_beyond_a_limit_are_taken_as_the_column_says(censored: str, labels: list[float]) -> None:
    rows = pd.DataFrame({"@row": range(2), "y": ["<4", "50"], "x": "1"}, dtype="str")
    found = labelled(rows, study(censored=censored), missing=[])
    assert found.rows["@target"].tolist() == labels
    assert [c.cells for c in found.ledger if c.rule == f"beyond a limit of detection: {censored}"] == [1]


def test_parts_hold_alike_shares_of_every_fifth() -> None:
    samples = pd.DataFrame({"@id": [str(i) for i in range(ROWS)], "@group": GROUP, "@target": TARGET})
    fifth, names = graded(samples["@target"], SCHEMA)
    assert names == FIFTHS
    assert np.bincount(fifth).tolist() == [120] * 5
    parts = split(samples, SCHEMA, SplitParams())["@part"]
    means = pd.Series(TARGET).groupby(parts.to_numpy()).mean()
    assert means.max() - means.min() < 3


def test_a_column_that_nearly_is_the_label_is_a_suspect() -> None:
    near, weak = TARGET + RANDOM.normal(0, 5, ROWS), TARGET + RANDOM.normal(0, 60, ROWS)
    samples = pd.DataFrame({"@group": GROUP, "near": near, "weak": weak})
    target, names = graded(pd.Series(TARGET), SCHEMA)
    features = {name: Column(type="numeric") for name in ("near", "weak")}
    schema = Schema(features=features, classes=names)
    assert [s.column for s in single_feature_suspects(samples, target, schema, LeakParams())] == ["near"]


def test_two_columns_that_make_the_label_are_suspect_by_arithmetic() -> None:
    before = RANDOM.normal(70, 12, ROWS)
    samples = pd.DataFrame({"@group": GROUP, "@target": TARGET, "before": before, "after": before + TARGET})
    features = {name: Column(type="numeric") for name in ("before", "after")}
    found = suspects_of(samples, SCHEMA.model_copy(update={"features": features}), LeakParams())
    assert [(s.column, s.how) for s in found] == [("after", "arithmetic")]
    assert f"the label is after − before in {ROWS} of {ROWS} rows" in found[0].sentence


def test_the_canary_gives_other_rows_another_number() -> None:
    samples = pd.DataFrame({"@id": ["a", "b"], "@target": [120.0, 130.0], "dose": [1.0, 2.0]})
    changed = changed_outside(samples, {"a"}, SCHEMA)["@target"]
    assert changed[0] == 120
    assert changed[1] < -1e6


def test_methods_that_balance_classes_are_refused() -> None:
    train = pd.DataFrame({"@id": ["a", "b"], "@group": ["a", "b"], "@target": [1.0, 2.0], "x": [0.0, 1.0]})
    kept = balance(train, BalanceParams(method="none"), n_classes=0)
    assert kept.table["@target"].tolist() == [1.0, 2.0]
    with pytest.raises(MedloopError, match="smote balances classes, and the label is a number"):
        balance(train, BalanceParams(method="smote"), n_classes=0)


def test_an_unknown_task_names_those_that_there_are() -> None:
    with pytest.raises(ValidationError, match=r"unknown task regresion \(did you mean regression\?\); one of: classes"):
        Target.model_validate({"column": "y", "task": "regresion"})
    with pytest.raises(ValidationError, match="classes are said of a label of classes"):
        Target(column="y", task="regression", classes=("a", "b"))
    with pytest.raises(ValidationError, match="is numeric, and declared categorical"):
        study(type="categorical")

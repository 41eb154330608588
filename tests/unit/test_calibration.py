"""Recalibration: the published methods, probabilities that mean what they say, nothing of one patient's kept."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import MedloopError
from contracts.examples import Examples, Inputs
from contracts.study import Column, Target
from contracts.tables import PARTS, Schema
from flows.stages import Context, evaluate, train
from flows.store import read_json, read_model, read_table, write_json, write_payloads, write_table
from models import store
from models.calibration import FEWEST_ROWS, Calibration, Method, apply, fit, prior
from models.held_out import HeldOut
from models.params import TrainParams
from models.tasks.classes import calibrated
from models.training import fit as train_model
from pipelines.balance import BalanceParams, balance
from pipelines.evaluate import EvaluateParams, Evaluation
from pipelines.reliability import CALIBRATED

LEARNT: list[Method] = ["temperature", "platt", "isotonic"]


def softmax(logits: np.ndarray) -> np.ndarray:
    power = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(power / power.sum(axis=1, keepdims=True))


def true(rows: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and targets drawn from just these probabilities."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(rows, classes)) * 1.5
    logits[:, 0] += 1
    target = (random.random((rows, 1)) > softmax(logits).cumsum(axis=1)[:, :-1]).sum(axis=1)
    return logits, target.astype(np.int64)


def loss(probability: np.ndarray, target: np.ndarray) -> float:
    return float(-np.log(probability[np.arange(len(target)), target]).mean())


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("temperature", [0.4, 3.0])
def test_temperature_is_found_again(classes: int, temperature: float) -> None:
    logits, target = true(8000, classes)
    found = fit(softmax(logits * temperature), target, "temperature")
    assert found.state["temperature"] == pytest.approx(temperature, rel=0.06)
    best = loss(apply(found, softmax(logits * temperature)), target)
    for other in (0.98, 1.02):
        moved = Calibration(method="temperature", state={"temperature": found.state["temperature"] * other})
        assert best <= loss(apply(moved, softmax(logits * temperature)), target)


def test_platt_is_scikit_learns() -> None:
    from sklearn.calibration import _sigmoid_calibration

    logits, target = true(400, 2)
    probability = softmax(logits)
    logit = np.log(probability[:, 1] / probability[:, 0])
    slope, intercept = _sigmoid_calibration(logit, target)
    found = fit(probability, target, "platt").state
    assert (found["slope"][0], found["intercept"][0]) == pytest.approx((-slope, -intercept), abs=1e-3)


def test_platt_survives_perfect_and_worthless_probabilities() -> None:
    target = np.repeat([0, 1], 50)
    for score in (target.astype(float), np.full(100, 0.3), 1.0 - target):
        probability = np.column_stack([1 - score, score])
        mended = apply(fit(probability, target, "platt"), probability)
        assert ((mended > 0) & (mended < 1)).all()
        assert mended[:, 1].mean() == pytest.approx(0.5, abs=0.01)


def test_isotonic_pools_as_scikit_learn_does() -> None:
    from sklearn.isotonic import isotonic_regression

    logits, target = true(3000, 2)
    score = np.round(softmax(logits * 2)[:, 1], 2)
    order = np.argsort(score, kind="stable")
    _, first, rows = np.unique(score[order], return_index=True, return_counts=True)
    shares = np.add.reduceat(target[order], first) / rows
    expected = np.unique(isotonic_regression(shares, sample_weight=rows))
    found = np.array(fit(np.column_stack([1 - score, score]), target, "isotonic").state["observed"][0])
    inner = found[1:-1]  # the ends may be put together from small pools, and are kept off 0 and 1
    assert len(inner) > 5
    assert np.isin(inner.round(12), expected.round(12)).mean() > 0.7
    np.testing.assert_allclose(np.interp(found, expected, expected), found, atol=0.05)


@given(
    scores=st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.8, 1.0]), min_size=60, max_size=120), seed=st.integers(0, 9)
)
def test_isotonic_rises_keeps_the_mean_and_holds_enough_rows_a_knot(scores: list[float], seed: int) -> None:
    random = np.random.default_rng(seed)
    score = np.array(scores)
    target = np.r_[np.zeros(FEWEST_ROWS), np.ones(FEWEST_ROWS), random.integers(0, 2, len(score) - 40)].astype(np.int64)
    found = fit(np.column_stack([1 - score, score]), random.permutation(target), "isotonic").state
    predicted, observed = found["predicted"][0], found["observed"][0]
    assert len(predicted) <= len(scores) / FEWEST_ROWS
    assert (np.diff(predicted) > 0).all() and (np.diff(observed) > -1e-12).all()
    assert min(observed) > 0 and max(observed) < 1


def test_isotonic_holds_no_single_rows_probability() -> None:
    logits, target = true(500, 3)
    probability = softmax(logits)
    kept = json.dumps(dataclasses.asdict(fit(probability, target, "isotonic")))
    assert not any(f"{value:.6f}"[:8] in kept for value in probability.ravel())


def test_isotonic_refuses_a_class_of_few_rows_and_says_what_to_take() -> None:
    logits, target = true(400, 2)
    target[:] = 0
    target[: FEWEST_ROWS - 1] = 1
    with pytest.raises(MedloopError, match="the rarest has 19") as error:
        fit(softmax(logits), target, "isotonic")
    assert "temperature" in error.value.mend
    target[FEWEST_ROWS - 1] = 1
    fit(softmax(logits), target, "isotonic")


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("method", LEARNT)
def test_rows_stay_probabilities_and_state_survives_json(method: Method, classes: int) -> None:
    logits, target = true(600, classes)
    found = fit(softmax(logits * 3), target, method)
    extreme = np.vstack([np.eye(classes), softmax(logits * 3)])
    mended = apply(found, extreme)
    assert ((mended >= 0) & (mended <= 1)).all()
    np.testing.assert_allclose(mended.sum(axis=1), 1)
    again = Calibration(**json.loads(json.dumps(dataclasses.asdict(found))))
    np.testing.assert_array_equal(apply(again, extreme), mended)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("method", LEARNT)
def test_the_order_of_rows_does_not_matter(method: Method, classes: int) -> None:
    logits, target = true(600, classes)
    order = np.random.default_rng(1).permutation(600)
    probability = softmax(logits)
    here, there = (
        apply(fit(p, t, method), probability) for p, t in ((probability, target), (probability[order], target[order]))
    )
    np.testing.assert_allclose(here, there, atol=1e-9)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_shift_towards_a_class_is_mended(method: Method, classes: int) -> None:
    logits, target = true(8000, classes)
    shifted = softmax(logits + 2 * np.eye(classes)[-1])
    mended = apply(fit(shifted[:4000], target[:4000], method), shifted[4000:])
    assert shifted[4000:, -1].mean() > (target == classes - 1).mean() + 0.1
    assert mended[:, -1].mean() == pytest.approx(
        (target[4000:] == classes - 1).mean(), abs=0.02 if classes == 2 else 0.04
    )


@given(shares=st.lists(st.floats(0.02, 1), min_size=2, max_size=4), seed=st.integers(0, 5))
def test_prior_undoes_a_shift_exactly(shares: list[float], seed: int) -> None:
    logits, _ = true(50, len(shares), seed)
    was = softmax(logits)
    shifted = was * np.array(shares)
    shifted /= shifted.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(apply(prior(1 / np.array(shares)), shifted), was, rtol=1e-9, atol=1e-12)


# -- in training --------------------------------------------------------------------------------------------------


INPUTS = Inputs(columns=["a", "b"], classes=["no", "yes"], positive=1)


def examples(rows: int, seed: int, *, weighed: bool = False) -> Examples:
    random = np.random.default_rng(seed)
    table = random.normal(size=(rows, 2)).astype(np.float32)
    target = (random.random(rows) < 1 / (1 + np.exp(2 - table[:, 0]))).astype(np.int64)
    shares = np.bincount(target) / rows
    weight = (0.5 / shares)[target].astype(np.float32) if weighed else None
    return Examples(table=table, target=target, weight=weight)


def trained(folder: Path, family: str, **settings: Any) -> store.Trained:
    rows = examples(1500, seed=0, weighed=True)
    assert rows.target is not None
    shares = np.bincount(rows.target) / len(rows)
    return train_model(
        family,
        {},
        TrainParams(epochs=3, learning_rate=5e-3, **settings),
        inputs=INPUTS,
        train=rows,
        validation=examples(800, seed=1),
        checkpoints=folder,
        history=lambda row: None,
        correction=(shares / 0.5).tolist(),
    )


@pytest.mark.parametrize("family", ["mlp", "logistic"])
@pytest.mark.parametrize("method", ["prior", "platt", "isotonic"])
def test_the_damage_of_class_weights_is_mended(family: str, method: str, tmp_path: Path) -> None:
    model = trained(tmp_path, family, calibration=method)
    new = examples(4000, seed=2)
    assert new.target is not None
    raw, mended = model.predict(new, raw=True)[:, 1], model.predict(new)[:, 1]
    assert raw.mean() > new.target.mean() + 0.15
    assert mended.mean() == pytest.approx(new.target.mean(), abs=0.05)


@pytest.mark.parametrize(
    ("classes", "correction", "method"), [(2, [1.8, 0.2], "prior"), (2, [1, 1], None), (3, [2, 1, 0.1], None)]
)
def test_unless_told_otherwise_two_classes_are_mended_where_balancing_shifted_them(
    classes: int, correction: list[float], method: str | None
) -> None:
    rows = Examples(table=np.zeros((6, 0), dtype=np.float32), target=np.arange(6) % classes)
    held = HeldOut(
        params=TrainParams(),
        inputs=Inputs(columns=[], classes=[str(c) for c in range(classes)], positive=1),
        train=rows,
        validation=rows,
        predicted=np.full((6, classes), 1 / classes),
        correction=correction,
        network=False,
    )
    mend = calibrated(held)
    assert (mend and mend.method) == method


def test_the_threshold_is_of_calibrated_probabilities(tmp_path: Path) -> None:
    plain, mended = (trained(tmp_path, "logistic", calibration=method) for method in ("none", "prior"))
    new = examples(400, seed=2)
    assert plain.threshold is not None and mended.threshold is not None
    assert mended.threshold < plain.threshold
    called = [model.predict(new)[:, 1] >= model.threshold for model in (plain, mended)]
    assert (called[0] == called[1]).mean() > 0.99


@pytest.mark.parametrize("method", ["none", "prior", *LEARNT])
def test_a_recalibrated_model_is_saved_and_loaded(method: str, tmp_path: Path) -> None:
    model = trained(tmp_path, "logistic", calibration=method)
    store.save(model, tmp_path / "model")
    loaded = store.load(tmp_path / "model")
    new = examples(50, seed=2)
    assert loaded.calibration == model.calibration
    for raw in (False, True):
        np.testing.assert_array_equal(loaded.predict(new, raw=raw), model.predict(new, raw=raw))


def test_isotonic_is_refused_before_training(tmp_path: Path) -> None:
    few = examples(60, seed=1)
    with pytest.raises(MedloopError, match="needs 20 validation rows"):
        train_model(
            "mlp",
            {},
            TrainParams(calibration="isotonic"),
            inputs=INPUTS,
            train=examples(200, seed=0),
            validation=few,
            checkpoints=tmp_path,
            history=lambda row: pytest.fail("it trained"),
        )


def test_recalibration_leaves_the_weights_alone(tmp_path: Path) -> None:
    plain, mended = (trained(tmp_path / method, "mlp", calibration=method) for method in ("none", "platt"))
    assert all((plain.arrays[key] == mended.arrays[key]).all() for key in plain.arrays)
    new = examples(50, seed=2)
    np.testing.assert_array_equal(plain.predict(new), mended.predict(new, raw=True))
    assert plain.calibration is None


# -- in the stages ------------------------------------------------------------------------------------------------


def features(rows: int, seed: int) -> pd.DataFrame:
    part = examples(rows, seed)
    assert part.target is not None
    table = pd.DataFrame(part.table, columns=["a", "b"])
    table.insert(0, "@target", part.target)
    table.insert(0, "@group", [f"p{i}" for i in range(rows)])
    table.insert(0, "@id", [str(i) for i in range(rows)])
    return table


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """What the stages before training leave, with class weights."""
    settings: Any = SimpleNamespace(
        name="toy",
        study=SimpleNamespace(title="Toy", target=Target(column="c", classes=("no", "yes"), positive="yes")),
        training=lambda model: {"calibration": "prior"},
        architecture=lambda model: {},
        evaluate=EvaluateParams(resamples=100),
    )
    made = Context(root=tmp_path, settings=settings, model="logistic", say=lambda text: None)
    columns = {"a": Column(type="numeric"), "b": Column(type="numeric")}
    schema = Schema(features=columns, classes=("no", "yes"), positive="yes")
    balanced = balance(features(1500, 0), BalanceParams(method="class_weight"), n_classes=2)
    write_json(made.folder("clean") / "schema.json", schema)
    write_json(made.folder("balance") / "report.json", balanced.report)
    write_table(made.folder("balance") / "train.parquet", balanced.table)
    write_payloads(made.folder("balance") / "payloads", {})
    normalized = made.folder("normalize")
    write_json(normalized / "inputs.json", {"figures": [], "sources": [], "payloads": {}})
    for part in PARTS:
        write_payloads(normalized / "payloads" / part, {})
    write_table(normalized / "validation.parquet", features(800, 1))
    write_table(normalized / "test.parquet", features(1500, 2))
    return made


def test_the_stages_undo_the_balance_that_its_report_tells_of(context: Context) -> None:
    train.run(context)
    evaluate.run(context)
    folder = context.model_folder("evaluate")
    found = read_model(folder / "evaluation.json", Evaluation)
    assert found.uncalibrated is not None and found.uncalibrated.in_the_large.value is not None
    assert found.uncalibrated.in_the_large.value > 0.15
    assert found.calibration.verdict == CALIBRATED
    numbers = read_json(folder / "metrics.json")
    assert numbers["calibration_in_the_large"] == found.calibration.in_the_large.value
    assert numbers["calibration_slope"] == pytest.approx(1, abs=0.2)
    predicted = read_table(folder / "predictions.parquet")
    assert predicted["@probability=yes"].mean() == pytest.approx(predicted["@target"].mean(), abs=0.03)

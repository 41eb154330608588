"""Models made of others: what they begin with, what they average, and what survives a kill."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.errors import MedloopError
from contracts.examples import Examples, Kind
from contracts.tasks import Task
from models import loop, store
from models.families.ensemble import chosen
from models.family import COMPOSED, check_reads, check_task, configured, load, names
from models.members import members
from models.params import TrainParams
from models.training import fit
from tests.unit.killing import killed_at
from tests.unit.problems import inputs, numbers, problem

READS: tuple[Kind, ...] = ("table", "sequence")
NETWORKS: dict[str, Any] = {"mlp": {"width": 16}, "rnn": {"width": 8, "train": {"epochs": 3}}}
MIXED: dict[str, Any] = {"logistic": {}, "mlp": {"width": 16, "seeds": 2}}
PARAMS = TrainParams(epochs=4, batch_size=32, learning_rate=5e-3)  # eight steps an epoch
NEW = problem(READS, 2, 60, seed=3)


def trained(name: str, folder: Path, config: dict[str, Any], task: Task = "classes", **changes: Any) -> store.Trained:
    made = changes.pop("rows", numbers if task == "regression" else partial(problem, classes=2))
    return fit(
        name,
        config,
        changes.pop("params", PARAMS),
        inputs=inputs(READS, 2, task),
        train=made(READS, rows=240, seed=1),
        validation=made(READS, rows=120, seed=2),
        checkpoints=folder,
        history=lambda row: None,
        **changes,
    )


def scarce(*given: Any, **settings: Any) -> Examples:
    """The problem of two classes of which one has a quarter of the other's rows."""
    rows = problem(*given, classes=2, **settings)
    assert rows.target is not None
    kept = np.flatnonzero((rows.target == 0) | (np.arange(len(rows)) % 8 == 1))
    return dataclasses.replace(rows, table=rows.table[kept], target=rows.target[kept], at=kept)


def test_the_families_made_of_others_are_those_whose_settings_name_models() -> None:
    found = [name for name in names() if "models" in load(name).Config.__dataclass_fields__]
    assert found == sorted(COMPOSED)


def test_the_whole_begins_as_the_mean_of_its_networks_logits(tmp_path: Path) -> None:
    from models.families import combined
    from models.members import Fitted

    apart = {name: trained(name, tmp_path, {"width": 8}) for name in ("mlp", "rnn")}
    start = combined.start({name: Fitted(model.arrays, {}, {}) for name, model in apart.items()})
    config = {"models": {name: {"width": 8} for name in apart}}
    given = store.score("combined", config, inputs(READS, 2), start, NEW)
    logits = np.mean([np.log(model.predict(NEW)) for model in apart.values()], axis=0)
    odds = np.exp(logits)
    np.testing.assert_allclose(given, odds / odds.sum(axis=1, keepdims=True), atol=1e-5)


def test_at_a_rate_of_zero_only_the_head_is_trained(tmp_path: Path) -> None:
    whole = trained("combined", tmp_path, {"models": NETWORKS, "rate": 0})
    alone = trained("mlp", tmp_path, {"width": 16})
    later = trained("combined", tmp_path, {"models": NETWORKS, "rate": 1})
    for name in [name for name in alone.arrays if name.startswith("encoder.")]:
        kept = name.replace("encoder.", "encoder.parts.0.")
        np.testing.assert_array_equal(whole.arrays[kept], alone.arrays[name])
        assert (later.arrays[kept] != alone.arrays[name]).any()


@pytest.mark.parametrize("at", [40, 60])
def test_killed_in_any_phase_it_goes_on_to_the_same_bits(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """32 steps of the first network, 24 of the second, 32 of the whole. What is done is not done again."""
    monkeypatch.setattr(loop, "STEPS_AT_ONCE", 2)
    config, common = {"models": NETWORKS}, {"save_every": 0}
    whole = trained("combined", tmp_path / "whole", config, **common)
    with killed_at(at, monkeypatch):
        trained("combined", tmp_path / "cut", config, **common)
    steps, take = [], loop.Loop._step
    monkeypatch.setattr(loop.Loop, "_step", lambda self, rows: (steps.append(self.step), take(self, rows))[1])
    resumed = trained("combined", tmp_path / "cut", config, **common)
    assert all((resumed.arrays[key] == whole.arrays[key]).all() for key in whole.arrays)
    assert len(steps) <= 88 - at + loop.STEPS_AT_ONCE


def test_an_ensemble_is_the_mean_of_its_members_and_tells_their_spread(tmp_path: Path) -> None:
    model = trained("ensemble", tmp_path, {"models": MIXED})
    alone = [
        trained("logistic", tmp_path, {}),
        *(trained("mlp", tmp_path, {"width": 16}, params=dataclasses.replace(PARAMS, seed=s)) for s in (0, 1)),
    ]
    each = np.stack([member.predict(NEW) for member in alone])
    np.testing.assert_allclose(model.predict(NEW), each.mean(axis=0), atol=1e-12)
    predicted, spread = model.told(NEW)
    assert spread is not None and spread.max() > 0.01
    np.testing.assert_array_equal(predicted, model.predict(NEW))
    np.testing.assert_allclose(spread, each.std(axis=0)[:, 1], atol=1e-12)  # of two classes both deviate alike
    assert alone[0].told(NEW)[1] is None
    assert model.is_ensemble and not alone[0].is_ensemble
    assert model.facts["mlp.1/validation_auroc"] == alone[2].facts["validation_auroc"]


def test_the_spread_is_of_recalibrated_probabilities(tmp_path: Path) -> None:
    params = dataclasses.replace(PARAMS, calibration="temperature")
    model = trained("ensemble", tmp_path, {"models": {"logistic": {}}}, params=params)
    assert (model.predict(NEW) != model.predict(NEW, raw=True)).any()
    spread = model.told(NEW)[1]
    assert spread is not None
    np.testing.assert_allclose(spread, 0, atol=1e-12)


@pytest.mark.parametrize(("calibration", "shifted"), [("auto", False), ("prior", False), ("none", True)])
@pytest.mark.parametrize("rare", [{"sampler": "balanced"}, {"loss": "logit_adjusted"}])
def test_what_sampler_or_loss_shifted_is_taken_back_of_each_member(
    rare: dict[str, Any], calibration: Any, shifted: bool, tmp_path: Path
) -> None:
    """Of a simple model nothing was shifted, of a network all."""
    params = dataclasses.replace(PARAMS, calibration=calibration, **rare)
    config = {"models": {"logistic": {}, "mlp": {"width": 16}}}
    model = trained("ensemble", tmp_path, config, params=params, rows=scarce)
    alone = [
        trained(name, tmp_path, settings, params=params, rows=scarce) for name, settings in config["models"].items()
    ]
    assert [member.calibration is None for member in alone] == [calibration != "prior", shifted]
    each = np.stack([member.predict(NEW) for member in alone])
    np.testing.assert_allclose(model.predict(NEW), each.mean(axis=0), atol=1e-9)
    store.save(model, tmp_path / "model")
    np.testing.assert_array_equal(store.load(tmp_path / "model").predict(NEW), model.predict(NEW))


def test_an_ensemble_of_numbers_is_the_mean_of_its_members_with_an_interval_of_its_own(tmp_path: Path) -> None:
    params = TrainParams(epochs=3, batch_size=32, learning_rate=5e-3, loss="squared", monitor="mae")
    common: dict[str, Any] = {"task": "regression", "params": params}
    config = {"models": {"ridge": {}, "mlp": {"width": 16}}, "weights": "greedy"}
    whole = trained("ensemble", tmp_path, config, **common)
    each = np.stack([trained(name, tmp_path, c, **common).predict(NEW)[:, 0] for name, c in config["models"].items()])
    predicted, spread = whole.told(NEW)
    weights = whole.arrays["weights"]
    np.testing.assert_allclose(predicted[:, 0], weights @ each, rtol=1e-9)
    assert (predicted[:, 1] < predicted[:, 0]).all() and (predicted[:, 0] < predicted[:, 2]).all()
    np.testing.assert_allclose(spread, np.sqrt(weights @ (each - weights @ each) ** 2), rtol=1e-6, atol=1e-9)


def test_greedy_weights_leave_out_what_does_not_help() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(300)
    halves, noise = [truth + rng.normal(size=300) for _ in range(2)], rng.normal(size=300) * 5
    each = np.stack([np.column_stack([-one, one]) for one in (*halves, noise)])

    def merit(given: np.ndarray[Any, Any]) -> float:
        return -float(((given[:, 1] - truth) ** 2).mean())

    weights = chosen(each, merit)
    assert weights.sum() == pytest.approx(1)
    assert weights[2] < 0.05 and weights[:2].min() > 0.3
    assert merit(np.tensordot(weights, each, 1)) > max(merit(one) for one in each)


def test_greedy_weights_are_chosen_by_the_metric_that_training_watches(tmp_path: Path) -> None:
    model = trained("ensemble", tmp_path, {"models": MIXED, "weights": "greedy"})
    assert model.arrays["weights"].sum() == pytest.approx(1)
    apart = [model.facts[f"{name}/validation_auroc"] for name in ("logistic", "mlp.0", "mlp.1")]
    assert model.facts["validation_auroc"] >= max(apart)


@pytest.mark.parametrize(
    ("name", "config", "problem"),
    [
        ("combined", {"models": {"boosting": {}}}, "boosting is no network"),
        ("combined", {"models": {"mpl": {}}}, "did you mean mlp"),
        ("combined", {"rate": 2}, "rate"),
        ("ensemble", {"models": {}}, "no model is named"),
        ("ensemble", {"models": {"mlp": {"widht": 3}}}, "unknown setting widht"),
        ("ensemble", {"models": {"mlp": {"seeds": 0}}}, "seeds is a whole number"),
        ("ensemble", {"models": {"mlp": {"train": {"epoch": 3}}}}, "unknown setting epoch.*did you mean epochs"),
        ("ensemble", {"models": {"mlp": {"train": {"epochs": 0}}}}, "epochs"),
        ("ensemble", {"weights": "best"}, "weights are equal or greedy"),
    ],
)
def test_settings_that_cannot_be_are_told(name: str, config: dict[str, Any], problem: str) -> None:
    with pytest.raises(MedloopError, match=problem):
        configured(name, config)


def test_a_member_that_reads_none_of_the_columns_is_named() -> None:
    config = configured("combined", {"models": {"mlp": {}, "cnn": {}}})
    with pytest.raises(MedloopError, match=r"^cnn reads columns of kind image"):
        check_reads("combined", inputs(READS, 2), config)


def test_a_member_that_is_for_other_labels_is_named() -> None:
    with pytest.raises(MedloopError, match=r"^logistic is a model of classes, ordinal.*; .*asks for regression"):
        check_task("ensemble", inputs(READS, 2, "regression"), configured("ensemble", {}))


def test_members_have_seeds_of_their_own_and_settings_of_the_training() -> None:
    made = members({"mlp": {"seeds": 2}, "rnn": {"train": {"epochs": 9}}}, TrainParams(seed=5))
    assert [(name, of.params.seed, of.params.epochs) for name, of in made.items()] == [
        ("mlp.0", 5, 100),
        ("mlp.1", 6, 100),
        ("rnn", 5, 9),
    ]

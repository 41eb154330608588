"""Losses and samplers for a rare class: the published formulas, what they do to training, exact resuming."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from contracts.examples import Examples, Inputs
from models.losses import row_losses
from models.params import TrainParams
from models.sampling import class_shares, epoch_rows
from models.store import Trained
from models.training import fit
from tests.unit.killing import killed_at

INPUTS = Inputs(columns=["a", "b", "c"], classes=["no", "yes"], positive=1)
RARE: list[dict[str, Any]] = [{"loss": "focal"}, {"loss": "logit_adjusted"}, {"sampler": "balanced"}]


def logits() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return torch.randn(50, 3, generator=random) * 3, torch.randint(3, (50,), generator=random)


def given(**settings: Any) -> np.ndarray:
    found, target = logits()
    shares = torch.tensor([0.7, 0.2, 0.1])
    return row_losses(found, target, shares.log(), TrainParams(**settings)).numpy()


def test_focal_is_the_papers_formula() -> None:
    found, target = logits()
    own = found.double().softmax(dim=1).numpy()[np.arange(50), target.numpy()]
    np.testing.assert_allclose(given(loss="focal", focusing=2), -((1 - own) ** 2) * np.log(own), rtol=1e-4, atol=1e-7)


def test_focal_without_focusing_is_cross_entropy() -> None:
    found, target = logits()
    plain = functional.cross_entropy(found, target, reduction="none").numpy()
    np.testing.assert_array_equal(given(loss="focal", focusing=0), plain)
    np.testing.assert_array_equal(given(), plain)


def test_logit_adjusted_is_the_papers_formula() -> None:
    """−log of π_y^τ e^{f_y} / Σ π_c^τ e^{f_c}."""
    found, target = logits()
    power = np.array([0.7, 0.2, 0.1]) ** 1.5 * np.exp(found.double().numpy())
    expected = -np.log(power[np.arange(50), target.numpy()] / power.sum(axis=1))
    np.testing.assert_allclose(given(loss="logit_adjusted", adjustment=1.5), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(given(loss="logit_adjusted", adjustment=0), given(), rtol=1e-6)


def test_a_sure_row_has_a_finite_focal_gradient() -> None:
    sure = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    settings = TrainParams(loss="focal", focusing=0.5)
    row_losses(sure, torch.tensor([0, 0]), torch.zeros(2), settings).sum().backward()  # type: ignore[no-untyped-call]
    assert sure.grad is not None and sure.grad.isfinite().all()


def test_a_balanced_epoch_shows_classes_equally_often_and_follows_from_seed_and_epoch() -> None:
    target = np.repeat([0, 1, 2], [900, 90, 11])
    params = TrainParams(sampler="balanced", seed=3)
    rows = epoch_rows(target, params, epoch=4)
    assert len(rows) == 1001
    assert np.ptp(np.bincount(target[rows])) <= 1
    assert len(np.unique(rows[target[rows] == 2])) == 11
    np.testing.assert_array_equal(rows, epoch_rows(target, params, epoch=4))
    assert (rows != epoch_rows(target, params, epoch=5)).any()
    assert (rows != epoch_rows(target, dataclasses.replace(params, seed=4), epoch=4)).any()


def test_a_shuffled_epoch_takes_every_row_once() -> None:
    assert sorted(epoch_rows(np.zeros(50, dtype=np.int64), TrainParams(), 0)) == list(range(50))


def test_shares_count_weights_and_the_sampler() -> None:
    target, weight = np.array([0, 0, 0, 1]), np.array([1, 1, 1, 3], dtype=np.float32)
    assert class_shares(target, None).tolist() == [0.75, 0.25]
    assert class_shares(target, weight).tolist() == [0.5, 0.5]
    assert class_shares(target, None, balanced=True).tolist() == [0.5, 0.5]
    assert class_shares(target, weight, balanced=True).tolist() == [0.25, 0.75]


def rare(rows: int, seed: int) -> Examples:
    random = np.random.default_rng(seed)
    table = random.normal(size=(rows, 3)).astype(np.float32)
    chance = 1 / (1 + np.exp(3 - 1.5 * table[:, 0]))
    return Examples(table=table, target=(random.random(rows) < chance).astype(np.int64))


def run(folder: Path, family: str = "mlp", **settings: Any) -> Trained:
    config = {"width": 16, "dropout": 0.0, "input_dropout": 0.0} if family == "mlp" else {}
    more = {name: settings.pop(name) for name in ("history", "save_every") if name in settings}
    return fit(
        family,
        config,
        TrainParams(**{"epochs": 6, "batch_size": 64, "learning_rate": 5e-3, **settings}),
        inputs=INPUTS,
        train=rare(1200, seed=0),
        validation=rare(600, seed=1),
        checkpoints=folder,
        **{"history": lambda row: None, **more},
    )


@pytest.mark.parametrize("settings", [{"loss": "logit_adjusted"}, {"sampler": "balanced"}])
def test_a_rare_class_is_scored_higher_and_the_prior_puts_it_right(settings: dict[str, Any], tmp_path: Path) -> None:
    new = rare(5000, seed=2)
    assert new.target is not None
    model = run(tmp_path, calibration="prior", **settings)
    raw, mended = model.predict(new, raw=True)[:, 1], model.predict(new)[:, 1]
    assert raw.mean() > new.target.mean() + 0.15
    assert abs(mended.mean() - new.target.mean()) < 0.03
    assert (np.argsort(raw, kind="stable") == np.argsort(mended, kind="stable")).all()


def test_a_baseline_heeds_neither_loss_nor_sampler(tmp_path: Path) -> None:
    new = rare(100, seed=2)
    plain = run(tmp_path, "logistic", calibration="prior").predict(new)
    asked = run(tmp_path, "logistic", calibration="prior", loss="logit_adjusted", sampler="balanced")
    np.testing.assert_array_equal(asked.predict(new), plain)


@pytest.mark.parametrize("settings", RARE)
@pytest.mark.parametrize("at", [5, 38])
def test_a_killed_training_resumes_to_the_same_bits(
    settings: dict[str, Any], at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models import loop

    monkeypatch.setattr(loop, "STEPS_AT_ONCE", 2)
    rows: list[dict[str, float]] = []
    again: list[dict[str, float]] = []
    whole = run(tmp_path / "whole", history=rows.append, epochs=3, **settings)

    with killed_at(at, monkeypatch):
        run(tmp_path / "cut", save_every=0, epochs=3, **settings)
    resumed = run(tmp_path / "cut", history=again.append, epochs=3, **settings)
    assert again == rows
    assert all((resumed.arrays[key] == whole.arrays[key]).all() for key in whole.arrays)


@pytest.mark.parametrize("settings", [{"focusing": -1.0}, {"adjustment": float("inf")}])
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="focusing and adjustment"):
        TrainParams(**settings)  # type: ignore[arg-type]

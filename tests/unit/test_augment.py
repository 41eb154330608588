"""Training rows altered at random: what changes, what must not, and when."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from contracts.errors import MedloopError
from contracts.examples import Form
from flows.settings import parse_config
from models.augment import SHIFT, augmented
from models.batches import Batch
from models.params import AUGMENTATIONS, TrainParams
from models.scores import scores
from models.store import Trained
from models.training import fit
from tests.unit.killing import killed_at
from tests.unit.problems import SMALL, inputs, problem

FORMS = {
    "scan": Form(kind="image", channels=["grey"], size=[20, 30], centre=[0.0], spread=[1.0]),
    "visits": Form(kind="sequence", channels=["a", "b"], longest=8, pace=1.0),
    "note": Form(kind="text", longest=4, vocabulary=9),
}
PICTURES = ("flip", "shift", "affine")


def batch(rows: int = 16) -> Batch:
    """Images and sequences of noise; the first row has neither."""
    torch.manual_seed(1)
    present, length = torch.arange(rows) > 0, torch.arange(rows) % 9
    inside = torch.arange(8) < length[:, None]
    return {
        "table": torch.randn(rows, 3),
        "image/scan": torch.randn(rows, 1, 20, 30) * present.view(-1, 1, 1, 1),
        "present/scan": present,
        "sequence/visits": torch.randn(rows, 8, 3) * inside[..., None],
        "length/visits": length,
        "present/visits": length > 0,
        "text/note": torch.randint(1, 9, (rows, 4)),
    }


def altered(names: tuple[str, ...], given: Batch, seed: int = 0) -> Batch:
    torch.manual_seed(seed)
    return augmented(given, FORMS, names)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_changes_what_it_says_and_nothing_else(name: str) -> None:
    before, after = batch(), altered((name,), batch())
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"image/scan"} | ({"sequence/visits"} if name not in PICTURES else set())
    assert all(after[key].shape == before[key].shape and after[key].dtype == before[key].dtype for key in before)


@pytest.mark.parametrize("names", [(name,) for name in AUGMENTATIONS] + [AUGMENTATIONS])
def test_what_is_absent_stays_absent_and_time_as_it_was(names: tuple[str, ...]) -> None:
    before, after = batch(), altered(names, batch())
    assert not after["image/scan"][0].any()
    beyond = torch.arange(8) >= before["length/visits"][:, None]
    assert not after["sequence/visits"][beyond].any()
    assert torch.equal(after["sequence/visits"][..., 2], before["sequence/visits"][..., 2])
    assert torch.isfinite(after["image/scan"]).all()


def test_draws_follow_from_the_seed_alone() -> None:
    first, again, other = (altered(AUGMENTATIONS, batch(), seed)["image/scan"] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_flip_mirrors_some_rows_exactly() -> None:
    before, after = batch()["image/scan"][1:], altered(("flip",), batch())["image/scan"][1:]
    same = (after == before).flatten(1).all(dim=1)
    mirrored = (after == before.flip(3)).flatten(1).all(dim=1)
    assert (same | mirrored).all() and same.any() and mirrored.any()


def placed(name: str, y: int, x: int) -> torch.Tensor:
    """Where a spot at this place comes to lie in each of 32 rows: (32, 2), y and x."""
    picture = torch.zeros(32, 1, 21, 31)
    picture[:, :, y - 1 : y + 2, x - 1 : x + 2] = 1
    given = {"image/scan": picture, "present/scan": torch.ones(32, dtype=torch.bool)}
    torch.manual_seed(0)
    moved = augmented(given, {"scan": FORMS["scan"]}, (name,))["image/scan"][:, 0]
    total = moved.sum(dim=(1, 2))
    middle_y = (moved.sum(dim=2) * torch.arange(21)).sum(dim=1) / total
    middle_x = (moved.sum(dim=1) * torch.arange(31)).sum(dim=1) / total
    return torch.stack([middle_y, middle_x], dim=1)


def test_a_shift_moves_up_to_a_tenth_of_the_sides() -> None:
    off = placed("shift", 10, 15) - torch.tensor([10, 15])
    most = SHIFT * torch.tensor([21, 31])
    assert (off.abs() <= most + 0.01).all()
    assert (off.abs().amax(dim=0) > most / 2).all()


def test_affine_turns_about_the_middle() -> None:
    torch.testing.assert_close(placed("affine", 10, 15), torch.tensor([[10.0, 15.0]]).expand(32, 2), rtol=0, atol=0.05)
    radius = (placed("affine", 10, 25) - torch.tensor([10, 15])).norm(dim=1)
    assert 8 < radius.min() < 9.7 and 10.3 < radius.max() < 12
    assert (placed("affine", 10, 25)[:, 0] - 10).abs().max() > 1


@pytest.mark.parametrize("given", [{"augment": ["flpi"]}, {"augment": ["noise", "flipp"]}])
def test_an_unknown_augmentation_names_the_nearest(given: dict[str, Any]) -> None:
    with pytest.raises(MedloopError, match=r"unknown augmentation .* \(did you mean flip\?\)"):
        parse_config(TrainParams, given, "study x, train")


def trained(folder: Path, *augment: str, **changes: Any) -> Trained:
    params = TrainParams(epochs=2, batch_size=16, learning_rate=1e-3, augment=augment)
    common: dict[str, Any] = {
        "inputs": inputs(["image"], 2),
        "train": problem(["image"], 2, 96, seed=1),
        "validation": problem(["image"], 2, 60, seed=2),
        "history": lambda row: None,
    }
    return fit("cnn", SMALL["cnn"], params, checkpoints=folder, **common | changes)


def test_training_rows_are_altered_and_validation_rows_are_not(tmp_path: Path) -> None:
    plain, model = trained(tmp_path / "plain"), trained(tmp_path / "altered", *AUGMENTATIONS)
    assert any((plain.arrays[key] != model.arrays[key]).any() for key in plain.arrays)
    validation = problem(["image"], 2, 60, seed=2)
    again = scores(model.predict(validation), validation, positive=1)
    assert again == {key: model.facts[key] for key in again}


def test_a_killed_training_on_altered_rows_resumes_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models import loop

    monkeypatch.setattr(loop, "STEPS_AT_ONCE", 2)
    whole = trained(tmp_path / "whole", *AUGMENTATIONS)
    with killed_at(9, monkeypatch):
        trained(tmp_path / "cut", *AUGMENTATIONS, save_every=0)
    resumed = trained(tmp_path / "cut", *AUGMENTATIONS)
    assert dataclasses.asdict(resumed)["facts"] == whole.facts
    assert all((resumed.arrays[key] == whole.arrays[key]).all() for key in whole.arrays)

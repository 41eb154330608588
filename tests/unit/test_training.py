"""Training's promises beside learning: faults, thresholds, checkpoints, what is saved."""

import dataclasses
import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.errors import MedloopError
from contracts.examples import Examples, Inputs
from models import store, threshold
from models.checkpoint import Checkpoint, newest, write
from models.params import Progress, TrainParams
from models.scores import scores
from models.training import fit

INPUTS = Inputs(columns=["age", "bmi", "glucose"], classes=["no", "yes"], positive=1)
SMALL: dict[str, Any] = {"width": 16, "dropout": 0.1}


def examples(rows: int, seed: int) -> Examples:
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(rows, 3)).astype(np.float32)
    target = (table[:, 0] + rng.normal(size=rows) > 0.5).astype(np.int64)
    return Examples(table=table, target=target)


def run(folder: Path, family: str = "mlp", params: TrainParams | None = None, **changes: Any) -> store.Trained:
    settings: dict[str, Any] = {
        "inputs": INPUTS,
        "train": examples(160, seed=0),
        "validation": examples(80, seed=1),
        "checkpoints": folder,
        "history": lambda row: None,
    }
    config = SMALL if family == "mlp" else {}
    return fit(family, config, params or TrainParams(epochs=4, batch_size=32), **settings | changes)


# -- what is refused before training ------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["mlp", "logistic"])
@pytest.mark.parametrize("part", ["train", "validation"])
def test_one_class_is_an_error_before_training(family: str, part: str, tmp_path: Path) -> None:
    rows = examples(80, seed=3)
    assert rows.target is not None
    lone = dataclasses.replace(rows, target=np.zeros_like(rows.target))
    changes: dict[str, Any] = {part: lone, "history": lambda row: pytest.fail("it trained")}
    with pytest.raises(MedloopError, match="rows of class yes"):
        run(tmp_path, family, **changes)


def test_unusable_cells_are_named_by_column(tmp_path: Path) -> None:
    rows = examples(80, seed=3)
    rows.table[5, 1] = np.nan
    with pytest.raises(MedloopError) as error:
        run(tmp_path, train=rows)
    assert "columns bmi" in error.value.where


def test_columns_that_do_not_fit_are_an_error(tmp_path: Path) -> None:
    model = run(tmp_path, "logistic")
    with pytest.raises(MedloopError, match="3 table columns"):
        model.predict(Examples(table=np.zeros((4, 2), dtype=np.float32)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("learning_rate", -1.0),
        ("threshold", 1.5),
        ("label_smoothing", 1.0),
        ("accumulate", 0),
        ("momentum", 1.0),
        ("average_decay", 1.0),
        ("clip_norm", -1.0),
        ("l1", -0.1),
        ("warmup", 101.0),
        ("average_start", -1.0),
    ],
)
def test_impossible_parameters_are_refused(key: str, value: float) -> None:
    with pytest.raises(ValueError, match=key):
        TrainParams(**{key: value})  # type: ignore[arg-type]


# -- the best epoch, the threshold --------------------------------------------------------------------------------


def test_the_best_epochs_weights_are_kept_and_patience_stops(tmp_path: Path) -> None:
    rows: list[dict[str, float]] = []
    told: list[Progress] = []
    params = TrainParams(epochs=60, batch_size=16, learning_rate=0.02, patience=3, monitor="loss")
    model = run(tmp_path, params=params, history=rows.append, progress=told.append)
    losses = [row["validation_loss"] for row in rows]
    best = int(np.argmin(losses))
    assert len(rows) == best + 1 + 3 < 60
    assert model.facts["epoch"] == best + 1
    left = told[-1].seconds_left
    assert left is not None and 0 < left < 600
    assert told[-1] == Progress(
        epoch=len(rows),
        epochs=60,
        metric="loss",
        value=losses[-1],
        best=losses[best],
        best_epoch=best + 1,
        seconds_left=left,
    )
    validation = examples(80, seed=1)
    again = scores(model.predict(validation), validation, positive=1)
    assert again == {key: model.facts[key] for key in again}


@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1"])
def test_the_threshold_is_the_best_there_is(metric: threshold.ThresholdMetric) -> None:
    from sklearn.metrics import balanced_accuracy_score, f1_score

    measure = {"balanced_accuracy": balanced_accuracy_score, "f1": f1_score}[metric]
    rng = np.random.default_rng(0)
    for _ in range(20):
        target = np.append(rng.random(30) < 0.3, [True, False])
        probability = rng.integers(0, 8, 32) / 8
        chosen = threshold.choose(target, probability, metric)
        best = max(measure(target, probability >= cut) for cut in np.append(np.unique(probability), 2))
        assert measure(target, probability >= chosen) == pytest.approx(best)


def test_two_classes_are_decided_by_the_threshold_and_more_by_the_likeliest() -> None:
    probabilities = np.array([[0.8, 0.2], [0.6, 0.4]])
    assert threshold.decide(probabilities, 0.3, positive=1).tolist() == [0, 1]
    assert threshold.decide(probabilities, 0.7, positive=0).tolist() == [0, 1]
    assert threshold.decide(probabilities, None, positive=1).tolist() == [0, 0]


def test_a_fixed_threshold_is_kept(tmp_path: Path) -> None:
    assert run(tmp_path, "logistic", TrainParams(threshold=0.25)).threshold == 0.25


# -- a training that goes wrong, or is cut off --------------------------------------------------------------------


def test_a_loss_that_is_not_finite_names_the_step_and_keeps_good_weights(tmp_path: Path) -> None:
    with pytest.raises(MedloopError, match=r"at step [1-9]"):
        run(tmp_path, params=TrainParams(epochs=4, batch_size=32, learning_rate=1e38))
    kept = [newest(tmp_path, recipe) for recipe in recipes(tmp_path)]
    assert kept and kept[0]
    assert all(tensor.isfinite().all() for tensor in kept[0].tensors.values())


def recipes(folder: Path) -> list[str]:
    """The recipe that each checkpoint's header names."""
    found = []
    for path in sorted(folder.rglob("*.safetensors")):
        content = path.read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        found.append(json.loads(header["__metadata__"]["medloop"])["recipe"])
    return found


def checkpoint(step: int) -> Checkpoint:
    import torch

    tensors = {"network/w": torch.full((3,), step)}
    return Checkpoint(step=step, loss_sum=0.1, rate=0.1, rows_at_once=8, history=[{"epoch": 1.0}], tensors=tensors)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(damage: str, tmp_path: Path) -> None:
    for step in (1, 2, 3):
        write(tmp_path, "r", checkpoint(step))
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2
    last = max(tmp_path.rglob("*.safetensors"))
    content = bytearray(last.read_bytes())
    content[-1] ^= 1
    last.write_bytes({"truncated": bytes(content[:-3]), "flipped": bytes(content), "empty": b""}[damage])
    found = newest(tmp_path, "r")
    assert found is not None
    assert (found.step, found.tensors["network/w"].tolist()) == (2, [2, 2, 2])


def test_an_older_recipes_later_steps_push_out_no_checkpoint(tmp_path: Path) -> None:
    for step in (8, 9):
        write(tmp_path, "old", checkpoint(step))
    write(tmp_path, "new", checkpoint(1))
    found = [newest(tmp_path, recipe) for recipe in ("new", "old")]
    assert [kept.step for kept in found if kept] == [1, 9]


def test_another_recipe_is_not_resumed(tmp_path: Path) -> None:
    run(tmp_path, save_every=0)
    other = TrainParams(epochs=4, batch_size=32, learning_rate=1e-3)
    fresh = run(tmp_path / "elsewhere", params=other)
    beside = run(tmp_path, params=other)
    assert all((beside.arrays[key] == fresh.arrays[key]).all() for key in fresh.arrays)


def test_a_training_cut_off_after_its_last_epoch_is_not_run_again(tmp_path: Path) -> None:
    first = run(tmp_path, save_every=0)
    rows: list[dict[str, float]] = []
    second = run(tmp_path, history=rows.append)
    assert second.ran_on == {"device": "from the checkpoint"}
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert second.facts == first.facts


def test_training_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    import torch

    torch.manual_seed(7)
    before = (torch.get_rng_state(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    run(tmp_path, params=TrainParams(epochs=1, threads=before[1] + 1))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before[1:]


# -- what is saved ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    store.save(run(folder / "checkpoints", "logistic"), folder / "model")
    return folder / "model"


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    folder = tmp_path / "model"
    folder.mkdir()
    for path in saved.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize("name", ["weights.safetensors", "model.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["absent", "truncated", "flipped"])
def test_a_damaged_model_is_refused(name: str, damage: str, model: Path) -> None:
    content = bytearray((model / name).read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "absent":
        (model / name).unlink()
    else:
        (model / name).write_bytes(content if damage == "flipped" else content[:-5])
    with pytest.raises(MedloopError):
        store.load(model)


def test_a_pickle_is_refused_even_when_the_manifest_vouches_for_it(model: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (model / "exploded",))

    content = pickle.dumps(Bomb())
    (model / "weights.safetensors").write_bytes(content)
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["weights.safetensors"] = hashlib.sha256(content).hexdigest()
    (model / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(MedloopError, match="pickle"):
        store.load(model)
    assert not (model / "exploded").exists()


def test_a_half_written_model_is_no_model(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = store.load(model)

    def full(path: Path, content: bytes) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(store, "write_whole", full)
    with pytest.raises(OSError, match="no space"):
        store.save(loaded, model)
    with pytest.raises(MedloopError, match=r"manifest.json is absent"):
        store.load(model)


def test_weights_whose_first_byte_is_that_of_a_pickle_are_loaded(model: Path, tmp_path: Path) -> None:
    """The file begins with its header's length, which may be any number; 128 is a pickle's first byte."""
    loaded = store.load(model)
    for padding in range(1, 300):
        arrays = {**loaded.arrays, "x" * padding: np.zeros(1, dtype=np.float32)}
        store.save(dataclasses.replace(loaded, arrays=arrays), tmp_path / "other")
        if (tmp_path / "other" / "weights.safetensors").read_bytes()[0] == 0x80:
            assert set(store.load(tmp_path / "other").arrays) == set(arrays)
            return
    pytest.fail("no header had that length")

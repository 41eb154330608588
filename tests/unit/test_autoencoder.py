"""Training without labels first: what is learnt of it, what it says of new rows, and that it repeats exactly."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from contracts.examples import Examples, Inputs
from models import pretraining, store
from models.batches import laid_out
from models.families.autoencoder import Autoencoder, Config
from models.layers.decoding import Code, ImageDecoder, SequenceDecoder
from models.layers.hiding import without_cells, without_patches, without_steps
from models.params import Progress, TrainParams
from models.reconstruction import encoder_of, errors, named, percentiles, unusual
from models.training import fit
from tests.unit.killing import killed_at
from tests.unit.problems import FORMS, SMALL, inputs, problem

READS = ("table", "image", "sequence")
COLUMNS = 12
TABLE = Inputs(columns=[f"c{i}" for i in range(COLUMNS)], classes=["no", "yes"], positive=1)
PLAIN: dict[str, Any] = {"pretraining": 15, "pretraining_rate": 1e-2, "hidden": 0.0, "width": 32, "dropout": 0.0}


def low_rank(rows: int, seed: int) -> Examples:
    """Twelve columns that follow from two numbers and a little noise; the label is the first number's sign."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(rows, 2))
    mixing = np.random.default_rng(99).normal(size=(2, COLUMNS)) / np.sqrt(2)
    table = factors @ mixing + 0.1 * rng.normal(size=(rows, COLUMNS))
    return Examples(table=table.astype(np.float32), target=(factors[:, 0] > 0).astype(np.int64))


def run(folder: Path, settings: dict[str, Any], **changes: Any) -> store.Trained:
    common: dict[str, Any] = {
        "inputs": TABLE,
        "train": low_rank(240, seed=1),
        "validation": low_rank(120, seed=2),
        "checkpoints": folder,
        "history": lambda row: None,
        "params": TrainParams(epochs=1, batch_size=32),
    }
    return fit("autoencoder", settings, **common | changes)


def restored(model: store.Trained, table: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """The cells that the model's autoencoder gives back, and the mean divergence of the rows' codes."""
    network = Autoencoder(model.inputs, Config(**model.config)).eval()
    own = {name.removeprefix("autoencoder/"): array for name, array in model.arrays.items()}
    network.load_state_dict({name: torch.from_numpy(own[name]) for name in network.state_dict()})
    assert network.table is not None
    with torch.no_grad():
        code, divergence = network.code(network.encoder({"table": torch.from_numpy(table)}))
        return network.table.body(code).numpy(), divergence.mean().item()


# -- what is learnt ----------------------------------------------------------------------------------------------


def test_hiding_cells_in_training_teaches_to_restore_them(tmp_path: Path) -> None:
    new = low_rank(400, seed=3).table
    hidden = np.random.default_rng(0).random(new.shape) < 0.3
    error = {}
    for share in (0.0, 0.3):
        model = run(tmp_path / str(share), PLAIN | {"hidden": share})
        cells, _ = restored(model, np.where(hidden, 0, new))
        error[share] = np.square(cells - new)[hidden].mean()
    assert error[0.3] < 0.8 * error[0.0]
    assert error[0.3] < 0.5 * np.square(new[hidden]).mean()


def test_the_encoder_begins_where_pretraining_ended(tmp_path: Path) -> None:
    frozen = TrainParams(epochs=1, batch_size=32, optimizer="sgd", learning_rate=1e-30, weight_decay=0.0)
    model = run(tmp_path, PLAIN, params=frozen)
    learnt = encoder_of(model.arrays)
    assert learnt
    for name, tensor in learnt.items():
        assert (model.arrays[f"encoder.{name}"] == tensor.numpy()).all(), name


def test_the_divergence_is_that_from_a_standard_normal_and_holds_the_code_near_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    code, x = Code(5, width=3, variational=True).eval(), torch.randn(7, 5)
    mean, divergence = code(x)
    assert code.log_variance is not None
    own = torch.distributions.Normal(mean, (code.log_variance(x) / 2).exp())
    expected = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0)).mean(dim=1)
    torch.testing.assert_close(divergence, expected)
    assert (code(x)[0] == mean).all() and (code.train()(x)[0] != mean).any()
    found = [
        restored(run(tmp_path / str(beta), PLAIN | {"variational": beta}), low_rank(100, seed=3).table)[1]
        for beta in (0.001, 1.0)
    ]
    assert found[1] < 0.5 * found[0]


# -- how unusual a row is ----------------------------------------------------------------------------------------


def test_rows_unlike_those_of_training_are_more_unusual(tmp_path: Path) -> None:
    model = run(tmp_path, PLAIN)
    new = low_rank(400, seed=3)
    usual = model.unusual(new)
    assert ((usual >= 0) & (usual <= 1)).all()
    assert 0.4 < usual.mean() < 0.6
    shuffled = np.random.default_rng(0).permuted(new.table, axis=0)  # each cell as ever, together as never
    assert model.unusual(dataclasses.replace(new, table=shuffled)).mean() > 0.9
    store.save(model, tmp_path / "model")
    np.testing.assert_array_equal(store.load(tmp_path / "model").unusual(new), usual)


def test_a_model_that_was_not_pretrained_says_so(tmp_path: Path) -> None:
    model = run(tmp_path, PLAIN | {"pretraining": 0})
    assert not model.pretrained
    assert not any(name.startswith("autoencoder/") for name in model.arrays)


@pytest.fixture(scope="module")
def of_all_kinds(tmp_path_factory: pytest.TempPathFactory) -> store.Trained:
    return run(
        tmp_path_factory.mktemp("all"),
        {**SMALL["autoencoder"], "signal_filters": [8], "pretraining": 4},
        inputs=inputs(READS, 2),
        train=problem(READS, 2, 240, seed=1),
        validation=problem(READS, 2, 120, seed=2),
        params=TrainParams(epochs=1, batch_size=32, learning_rate=5e-3),
    )


@pytest.mark.parametrize("kind", READS)
def test_each_kind_of_column_tells(of_all_kinds: store.Trained, kind: str) -> None:
    rng, new = np.random.default_rng(0), problem(READS, 2, 60, seed=3)
    if kind == "table":
        odd = dataclasses.replace(new, table=new.table + 5 * rng.normal(size=new.table.shape).astype(np.float32))
    else:
        of = new.payloads[kind]
        noise = rng.integers(0, 256, of.values.shape) if kind == "image" else 5 * rng.normal(size=of.values.shape)
        values = noise.astype(of.values.dtype)
        odd = dataclasses.replace(new, payloads={**new.payloads, kind: dataclasses.replace(of, values=values)})
    assert of_all_kinds.unusual(odd).mean() > of_all_kinds.unusual(new).mean() + 0.2


def test_a_row_is_scored_by_what_it_has_and_by_itself(of_all_kinds: store.Trained) -> None:
    new = problem(READS, 2, 20, seed=3)
    bare = {name: of.take(np.full(len(new), -1)) for name, of in new.payloads.items()}
    lacking = dataclasses.replace(new, payloads=bare)
    assert np.isfinite(of_all_kinds.unusual(lacking)).all()
    assert np.isfinite(of_all_kinds.predict(lacking)).all()
    one = dataclasses.replace(
        new, table=new.table[3:4], payloads={name: of.take(np.array([3])) for name, of in new.payloads.items()}
    )
    np.testing.assert_allclose(of_all_kinds.unusual(one), of_all_kinds.unusual(new)[3:4], atol=1e-5)


def test_a_row_without_anything_to_restore_has_no_score() -> None:
    config, told = Config(**SMALL["autoencoder"], variational=0.1), inputs(("image",), 2)  # type: ignore[arg-type]
    told = dataclasses.replace(told, columns=[])
    rows = problem(("image",), 2, 12, seed=1)
    pixels = rows.payloads["image"].take(np.array([-1, *range(1, 12)]))
    laid = laid_out(
        dataclasses.replace(rows, table=rows.table[:, :0], payloads={"image": pixels}), told, ("table", "image")
    )
    from models.families import autoencoder

    weights = {name: tensor.numpy() for name, tensor in Autoencoder(told, config).state_dict().items()}
    found = errors(autoencoder, told, config, weights, laid)
    shares = unusual(autoencoder, told, config, named(weights, percentiles(found)), laid)
    assert found[0] == 0 and (found[1:] > 0).all()
    assert np.isnan(shares).tolist() == [True, *[False] * 11]
    assert sorted(shares[1:])[0] == 0 and sorted(shares[1:])[-1] == 1


# -- exactly ------------------------------------------------------------------------------------------------------


def test_a_training_killed_in_either_part_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight steps an epoch, two epochs without labels and three with."""
    from models import loop

    monkeypatch.setattr(loop, "STEPS_AT_ONCE", 2)
    settings = PLAIN | {"pretraining": 2, "hidden": 0.2, "variational": 0.1, "dropout": 0.1}
    common: dict[str, Any] = {"params": TrainParams(epochs=3, batch_size=32), "save_every": 0}
    rows: list[dict[str, float]] = []
    told: list[Progress] = []
    whole = run(tmp_path / "whole", settings, **common, history=rows.append, progress=told.append)
    with killed_at(3, monkeypatch):
        run(tmp_path / "cut", settings, **common)
    with killed_at(21, monkeypatch):
        run(tmp_path / "cut", settings, **common)
    monkeypatch.setattr(pretraining.Pretraining, "_backward", lambda *_: pytest.fail("it was pre-trained again"))
    again: list[dict[str, float]] = []
    resumed = run(tmp_path / "cut", settings, **common, history=again.append)
    assert again == rows
    assert resumed.facts == whole.facts
    assert resumed.arrays.keys() == whole.arrays.keys()
    assert all((resumed.arrays[name] == whole.arrays[name]).all() for name in whole.arrays)
    assert [row["epoch"] for row in rows] == [1, 2, 1, 2, 3]
    assert ["validation_reconstruction" in row for row in rows] == [True, True, False, False, False]
    assert [(p.phase, p.epoch, p.epochs) for p in told][1:3] == [("pre-training", 2, 2), ("", 1, 3)]


# -- the layers ---------------------------------------------------------------------------------------------------


def test_a_share_of_cells_patches_and_steps_is_hidden() -> None:
    torch.manual_seed(0)
    assert (without_cells(torch.ones(200, 50), 0.3) == 0).float().mean().item() == pytest.approx(0.3, abs=0.03)
    pixels = without_patches(torch.ones(50, 2, 20, 12), 0.3)
    assert (pixels == 0).float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert (pixels[:, 0] == pixels[:, 1]).all()
    steps = without_steps(torch.ones(50, 40, 3), 0.3)
    assert (steps.sum(dim=2) % 3 == 0).all()
    assert (steps == 0).float().mean().item() == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("size", [(12, 10), (5, 64), (130, 70)])
def test_pictures_of_any_size_are_restored(size: tuple[int, int]) -> None:
    form = dataclasses.replace(FORMS["image"], size=list(size))
    decoder = ImageDecoder(form, code=4, filters=(8, 16))
    present = torch.tensor([True, False])
    error = decoder(torch.randn(2, 4), torch.randn(2, 1, *size), present)
    assert error.shape == (2,) and error[0] > 0 and error[1] == 0


def test_steps_that_pad_a_row_count_for_nothing() -> None:
    torch.manual_seed(0)
    form = dataclasses.replace(FORMS["sequence"], longest=256)
    decoder, code, steps = SequenceDecoder(form, code=4, width=8), torch.randn(3, 4), torch.randn(3, 90, 3)
    length = torch.tensor([90, 7, 0])
    error = decoder(code, steps, length)
    torch.testing.assert_close(decoder(code[1:2], steps[1:2, :7], length[1:2]), error[1:2])
    assert error[2] == 0

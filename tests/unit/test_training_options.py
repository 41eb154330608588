"""Training's options together: exact under kills, equal where they must be, and faults that are told."""

import dataclasses
import signal
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from contracts.errors import MedloopError
from contracts.examples import Examples, Inputs
from models import checkpoint, loop
from models.network import Network
from models.params import TrainParams
from models.store import Trained
from models.training import fit
from tests.unit.killing import killed_at

INPUTS = Inputs(columns=["age", "bmi", "glucose"], classes=["no", "yes"], positive=1)
PLAIN = {"width": 8, "dropout": 0.0, "input_dropout": 0.0}
OPTIMIZERS = ["adamw", "adam", "sgd", "momentum", "nesterov", "rmsprop", "full_batch"]


def examples(rows: int, seed: int) -> Examples:
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(rows, 3)).astype(np.float32)
    target = (table[:, 0] + rng.normal(size=rows) > 0.5).astype(np.int64)
    return Examples(table=table, target=target)


def trained(folder: Path, config: dict[str, Any] | None = None, /, **settings: Any) -> Trained:
    """Of 150 rows: five batches an epoch, the last of 22."""
    common: dict[str, Any] = {"inputs": INPUTS, "train": examples(150, seed=0), "validation": examples(60, seed=1)}
    watch = {name: settings.pop(name) for name in ("save_every", "progress") if name in settings}
    params = TrainParams(**{"epochs": 4, "batch_size": 32, "learning_rate": 0.02, **settings})
    config = {"width": 8, "dropout": 0.2} if config is None else config
    return fit("mlp", config, params, **common, **watch, checkpoints=folder, history=lambda row: None)


def assert_same(one: Trained, other: Trained) -> None:
    assert one.facts == other.facts
    assert all((one.arrays[key] == other.arrays[key]).all() for key in one.arrays)


def furthest(one: Trained, other: Trained) -> float:
    return max(float(np.abs(one.arrays[key] - other.arrays[key]).max()) for key in one.arrays)


# -- exact ----------------------------------------------------------------------------------------------------------

OTHERS = list(product(["none", "ema", "swa"], [1, 2], ["cosine", "one_cycle"]))
MATRIX = [(name, *OTHERS[5 * number % len(OTHERS)]) for number, name in enumerate(OPTIMIZERS)]


@pytest.mark.parametrize(("name", "average", "accumulate", "schedule"), MATRIX)
def test_killed_and_resumed_to_the_same_bits(
    name: str, average: str, accumulate: int, schedule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "STEPS_AT_ONCE", 2 * accumulate)
    settings: dict[str, Any] = {
        "optimizer": name,
        "average": average,
        "accumulate": 1 if name == "full_batch" else accumulate,
        "schedule": schedule,
        "warmup": 1,
        "average_start": 1,
        "l1": 1e-3,
        "clip_norm": 0.5,
        "learning_rate": "auto" if name == "sgd" else 0.02,
        "epochs": 3,
        "save_every": 0,
    }
    whole = trained(tmp_path / "whole", **settings)
    for at in (1, 2) if name == "full_batch" else (3, 7):
        with killed_at(at, monkeypatch):
            trained(tmp_path / "cut", **settings)
    assert_same(trained(tmp_path / "cut", **settings), whole)


def test_bf16_is_resumed_to_the_same_bits_and_is_not_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained(tmp_path / "whole", precision="bf16", save_every=0)
    if whole.ran_on["precision"] != "bf16":
        pytest.skip(whole.ran_on["precision"])
    monkeypatch.setattr(loop, "STEPS_AT_ONCE", 32)
    with killed_at(12, monkeypatch):
        trained(tmp_path / "cut", precision="bf16", save_every=0)
    assert_same(trained(tmp_path / "cut", precision="bf16", save_every=0), whole)
    assert {array.dtype for array in whole.arrays.values()} == {np.dtype(np.float32)}
    assert 0 < furthest(whole, trained(tmp_path / "plain")) < 0.1


def test_bf16_without_the_instructions_is_float32_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.acceleration._has_bf16", lambda: False)
    without = trained(tmp_path / "bf16", precision="bf16")
    assert without.ran_on["precision"].startswith("float32: this processor")
    assert_same(without, trained(tmp_path / "plain"))


# -- the same by another way ----------------------------------------------------------------------------------------


def test_accumulated_batches_are_one_larger_batch(tmp_path: Path) -> None:
    large = trained(tmp_path / "large", PLAIN, batch_size=64)
    parts = trained(tmp_path / "parts", PLAIN, batch_size=16, accumulate=4)
    assert furthest(large, parts) < 1e-5
    assert furthest(large, trained(tmp_path / "other", PLAIN, batch_size=16)) > 1e-3


def test_full_batch_is_a_step_an_epoch_over_all_rows_in_any_slices(tmp_path: Path) -> None:
    some = trained(tmp_path / "some", PLAIN, optimizer="full_batch", batch_size=7)
    every = trained(tmp_path / "every", PLAIN, optimizer="sgd", batch_size=150)
    assert furthest(some, every) < 1e-6


def test_gradients_are_cut_to_their_length(tmp_path: Path) -> None:
    """Plain gradient descent of one epoch: a step no longer than rate times length."""
    start = trained(tmp_path / "start", PLAIN, optimizer="full_batch", epochs=1, learning_rate=1e-30, weight_decay=0)
    cut = trained(
        tmp_path / "cut", PLAIN, optimizer="full_batch", epochs=1, learning_rate=1.0, weight_decay=0, clip_norm=0.01
    )
    moved = np.sqrt(sum(np.square(start.arrays[key] - cut.arrays[key]).sum() for key in start.arrays))
    assert moved == pytest.approx(0.01, rel=1e-3)


def test_a_penalty_makes_weights_small(tmp_path: Path) -> None:
    size = [
        sum(
            np.abs(array).sum()
            for array in trained(tmp_path / str(l1), epochs=12, l1=l1, monitor="loss").arrays.values()
        )
        for l1 in (0.0, 0.1)
    ]
    assert size[1] < 0.8 * size[0]


def test_what_is_averaged_is_what_is_scored_and_kept(tmp_path: Path) -> None:
    plain, ema = (trained(tmp_path / name, average=name, epochs=8) for name in ("none", "ema"))
    assert furthest(plain, ema) > 1e-4
    from models.scores import scores

    validation = examples(60, seed=1)
    again = scores(ema.predict(validation), validation, positive=1)
    assert again == {key: ema.facts[key] for key in again}


# -- the rate that is found -----------------------------------------------------------------------------------------


def test_a_rate_is_found_the_same_each_time_and_trains(tmp_path: Path) -> None:
    one, other = (trained(tmp_path / run, learning_rate="auto", epochs=12) for run in ("a", "b"))
    assert_same(one, other)
    assert 1e-4 < one.facts["learning_rate"] < 0.5
    assert one.params["learning_rate"] == "auto"
    assert one.facts["validation_auroc"] > 0.7


def test_the_rate_is_found_without_validation_rows(tmp_path: Path) -> None:
    one, other = (
        fit(
            "mlp",
            PLAIN,
            TrainParams(epochs=1, learning_rate="auto"),
            inputs=INPUTS,
            train=examples(150, seed=0),
            validation=examples(60, seed=seed),
            checkpoints=tmp_path / str(seed),
            history=lambda row: None,
        )
        for seed in (1, 2)
    )
    assert one.facts["learning_rate"] == other.facts["learning_rate"]
    assert furthest(one, other) == 0


# -- faults ---------------------------------------------------------------------------------------------------------


def test_33_spoilt_weights_are_never_saved(tmp_path: Path) -> None:
    """A step too long makes the next loss infinite; the checkpoint after it must not be the newest."""
    settings: dict[str, Any] = {"learning_rate": 1e38, "optimizer": "full_batch", "epochs": 9, "save_every": 0}
    with pytest.raises(MedloopError, match=r"at step [0-9]"):
        trained(tmp_path, **settings)
    kept = [content for path in tmp_path.rglob("*.safetensors") for content in [_tensors(path)]]
    assert kept
    assert all(tensor.isfinite().all() for tensors in kept for tensor in tensors.values())


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load

    return load(path.read_bytes())


def _holding(rows: int, monkeypatch: pytest.MonkeyPatch, message: str | None = None) -> None:
    """A memory that holds the network on so many rows and no more."""
    forward = Network.forward

    def limited(self: Network, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        if self.training and len(batch["table"]) > rows:
            raise RuntimeError(message) if message else torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, batch)

    monkeypatch.setattr(Network, "forward", limited)


@pytest.mark.parametrize("message", [None, "[enforce fail] DefaultCPUAllocator: can't allocate memory: 99 bytes"])
def test_34_a_batch_beyond_memory_is_halved_and_accumulated(
    message: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = trained(tmp_path / "parts", PLAIN, batch_size=16, accumulate=4)
    with monkeypatch.context() as patch:
        _holding(20, patch, message)
        halved = trained(tmp_path / "halved", PLAIN, batch_size=64)
    assert_same(halved, parts)
    assert halved.ran_on["rows at once"].startswith("16")


def test_34_a_halved_training_is_resumed_with_the_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        _holding(20, patch)
        whole = trained(tmp_path / "whole", save_every=0)
        with killed_at(7, monkeypatch):
            trained(tmp_path / "cut", save_every=0)
    assert_same(trained(tmp_path / "cut", save_every=0), whole)


def test_34_a_memory_that_holds_no_row_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _holding(0, monkeypatch)
    with pytest.raises(MedloopError, match=r"memory of cpu does not hold the network and one row \(step 0\)"):
        trained(tmp_path)


def test_34_other_errors_are_no_lack_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _holding(0, monkeypatch, "shapes cannot be multiplied")
    with pytest.raises(RuntimeError, match="shapes"):
        trained(tmp_path)


@pytest.mark.parametrize("damage", ["truncated", "all of them"])
def test_35_a_damaged_checkpoint_is_resumed_around(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "STEPS_AT_ONCE", 2)
    whole = trained(tmp_path / "whole", average="ema", save_every=0)
    with killed_at(13, monkeypatch):
        trained(tmp_path / "cut", average="ema", save_every=0)
    files = sorted((tmp_path / "cut").rglob("*.safetensors"))
    assert len(files) == 2
    for path in files if damage == "all of them" else files[-1:]:
        path.write_bytes(path.read_bytes()[:-7])
    assert_same(trained(tmp_path / "cut", average="ema", save_every=0), whole)


def test_39_sigterm_leaves_a_checkpoint_and_ends_the_process_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(tmp_path / "whole")
    ended: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))
    try:
        step = loop.Loop._step

        def terminated(self: loop.Loop, rows: torch.Tensor) -> torch.Tensor:
            if self.step == 7:
                signal.raise_signal(signal.SIGTERM)
            return step(self, rows)

        with monkeypatch.context() as patch, pytest.raises(BaseException) as error:
            patch.setattr(loop.Loop, "_step", terminated)
            trained(tmp_path / "cut")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert type(error.value).__name__ == "SIGTERMException"
    assert ended[-1:] == [signal.SIGTERM]
    (kept,) = (tmp_path / "cut").rglob("*.safetensors")
    assert int(kept.name.partition("-")[0]) == 10  # the end of its piece of work, here the epoch
    assert_same(trained(tmp_path / "cut"), whole)


def test_41_a_full_disk_is_an_error_and_the_checkpoints_before_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "STEPS_AT_ONCE", 2)
    whole = trained(tmp_path / "whole", save_every=0)
    written = checkpoint.write_whole

    def full(path: Path, content: bytes) -> None:
        if path.name.startswith("000000000009"):
            raise OSError(28, "No space left on device")
        written(path, content)

    with monkeypatch.context() as patch, pytest.raises(MedloopError, match="No space left on device") as error:
        patch.setattr(checkpoint, "write_whole", full)
        trained(tmp_path / "cut", save_every=0)
    assert str(tmp_path / "cut") in error.value.where
    assert len(list((tmp_path / "cut").rglob("*"))) == 3  # a folder, two checkpoints
    assert_same(trained(tmp_path / "cut", save_every=0), whole)


# -- compiled -------------------------------------------------------------------------------------------------------


def test_what_cannot_be_compiled_runs_as_it_is_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(function: Any, **options: Any) -> Any:
        def fail(batch: object) -> None:
            raise RuntimeError("no working C++ compiler\nand a page more")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    model = trained(tmp_path / "compiled", compile=True)
    assert model.ran_on["compiled"] == "no: RuntimeError: no working C++ compiler"
    assert_same(model, trained(tmp_path / "plain"))


def test_a_compiled_network_is_trained_to_the_same_weights_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a compiler that only looks on: what is compiled is used, and saved under the network's own names."""
    calls: list[int] = []

    def looking_on(function: Any, **options: Any) -> Any:
        return lambda batch: (calls.append(1), function(batch))[1]

    monkeypatch.setattr(torch, "compile", looking_on)
    model = trained(tmp_path / "compiled", compile=True)
    assert len(calls) == 1 + 4 * 5
    assert_same(model, trained(tmp_path / "plain"))
    assert dataclasses.asdict(model)["ran_on"]["compiled"] == "yes"

"""Two processes on this machine train one network: as one alone does, exactly again, and ending together."""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.errors import MedloopError
from flows import workers
from models.params import TrainParams
from models.ranks import STORE, PartnerLostError, Place, place
from models.store import Trained
from models.training import fit
from tests.unit.training_ranks import INPUTS, examples, in_turn, train, train_and_measure

STRATEGIES = ("ddp", "fsdp", "tensor")
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"learning_rate": 1e-3},
    # Much at once: an average, gradients of two pieces, cut and penalised, at rates that no rounding error grows at.
    "options": {"average": "ema", "accumulate": 2, "clip_norm": 0.1, "optimizer": "momentum", "l1": 1e-4},
    "found": {"learning_rate": "auto", "optimizer": "sgd"},
}
DROPOUT: dict[str, Any] = {"config": {"width": 256}, "average": "ema", "epochs": 3}


@dataclass(frozen=True)
class Done:
    """What two processes and one came to; starting processes takes most of the time, so all train in the same."""

    two: dict[str, Any]
    one: dict[str, Any]
    held: dict[str, list[int]]
    faults: dict[str, str]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    root = tmp_path_factory.mktemp("ranks")
    faults = {}
    for ends, strategy in (("no memory", "ddp"), ("terminated", "fsdp")):
        with pytest.raises(MedloopError) as error:
            train(2, {"it": {"folder": root / ends, "ends": ends, "strategy": strategy, **DROPOUT}})
        faults[ends] = str(error.value)
    jobs: dict[str, Any] = {
        "no memory": {"folder": root / "no memory", "strategy": "ddp", **DROPOUT},
        "terminated": {"folder": root / "terminated", "strategy": "fsdp", **DROPOUT},
        "not finite": {"folder": root / "not finite", "ends": "not finite"},
        "not divided": {"folder": root / "not divided", "config": {"width": 9}, "strategy": "tensor"},
    }
    for strategy in STRATEGIES:
        common = {"strategy": strategy, "folder": root / strategy}
        jobs |= {f"{name} {strategy}": {**common, **settings} for name, settings in SETTINGS.items()}
        jobs[f"cut {strategy}"] = {**common, **DROPOUT, "ends": "cut"}
        jobs[f"resumed {strategy}"] = {**common, **DROPOUT}
        jobs[f"whole {strategy}"] = {**common, **DROPOUT, "folder": root / f"whole {strategy}"}
    alone = {name: {"folder": root / f"one {name}", **settings} for name, settings in SETTINGS.items()}
    two, held = train_and_measure(jobs)
    yield Done(two=two, one=in_turn(1, alone), held=held, faults=faults)
    workers.end_all()


def furthest(one: Trained, other: Trained) -> float:
    return max(float(np.abs(one.arrays[key] - other.arrays[key]).max()) for key in one.arrays)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_train_as_one_does(strategy: str, settings: str, done: Done) -> None:
    """Within 1e-4 of weights near 1, after six steps, of which two have an odd number of rows."""
    two, one = done.two[f"{settings} {strategy}"], done.one[settings]
    assert furthest(two, one) < 1e-4
    assert two.facts == pytest.approx(one.facts, abs=1e-4)
    assert two.ran_on["device"] == f"2 × cpu ({strategy})"
    assert furthest(done.one["plain"], one) > 1e-3 or settings == "plain"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_resume_to_the_same_bits(strategy: str, done: Done) -> None:
    """With dropout, cut in mid-epoch; two whole trainings are the same by that too."""
    resumed, whole = done.two[f"resumed {strategy}"], done.two[f"whole {strategy}"]
    assert done.two[f"cut {strategy}"] == "cut"
    assert resumed.facts == whole.facts
    assert furthest(resumed, whole) == 0


@pytest.mark.parametrize(
    ("ends", "strategy", "told"),
    [("no memory", "ddp", "its share of a batch (step 4)"), ("terminated", "fsdp", "outside (exit code -15)")],
)
def test_34_38_39_what_ends_one_ends_both_and_they_go_on_to_the_same_bits(
    ends: str, strategy: str, told: str, done: Done
) -> None:
    assert told in done.faults[ends]
    assert furthest(done.two[ends], done.two[f"whole {strategy}"]) == 0


def test_33_a_loss_of_one_that_is_no_number_ends_both(done: Done) -> None:
    assert "finite number at step 4 (epoch 2)" in done.two["not finite"]


def test_what_is_told_is_the_cause_and_not_what_it_meant_to_the_others() -> None:
    work: list[Future[str]] = [Future() for _ in range(3)]
    work[0].set_exception(PartnerLostError("another is gone"))
    work[1].set_exception(MedloopError("no memory"))
    work[2].set_result("done")
    with pytest.raises(MedloopError, match="no memory"):
        workers._of_all(work)
    assert workers._of_all(work[2:]) == "done"


def test_a_divided_network_is_held_by_halves(done: Done) -> None:
    width = 256
    divided = width * width + width + width * width  # two layers' weights, and the first one's bias
    first, second, every = done.held["tensor"]
    assert first == second == every - divided // 2
    first, second, every = done.held["fsdp"]
    assert first + second == every and abs(first - second) <= 0.01 * every


def test_what_tensor_cannot_divide_is_an_error(done: Done) -> None:
    assert "none here divides by 2" in done.two["not divided"]


# -- the place among others --------------------------------------------------------------------------------------------


def test_the_place_is_torchruns_or_sruns() -> None:
    at = {"MASTER_ADDR": "node-1", "MASTER_PORT": "29500"}
    assert place({}) == place({"SLURM_NTASKS": "4", "SLURM_PROCID": "0", **at}) == Place()
    assert place({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}) == Place()
    torchrun = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    assert place(torchrun | at) == place(torchrun | {STORE: "/tmp/x"}) == Place(rank=5, size=8, local=1)
    srun = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "1"}
    assert place(srun | at) == Place(rank=3, size=4, local=1)
    with pytest.raises(MedloopError, match="where they meet"):
        place(srun)
    with pytest.raises(MedloopError, match="RANK, WORLD_SIZE, LOCAL_RANK"):
        place({"WORLD_SIZE": "2", "RANK": "0"} | at)


def test_another_number_of_processes_than_the_settings_is_an_error(tmp_path: Path) -> None:
    rows, params = examples(77, 0), TrainParams(devices=2)
    with pytest.raises(MedloopError, match="devices is 2; 1 process trains"):
        fit("mlp", {}, params, inputs=INPUTS, train=rows, validation=rows, checkpoints=tmp_path, history=print)

"""Trainings by several processes on this machine, as `medloop run` starts them, and ways for them to end early."""

import os
import signal
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from contracts.errors import MedloopError
from contracts.examples import Examples, Inputs
from flows import workers
from models.params import TrainParams
from models.ranks import place
from models.store import Trained
from models.training import fit

INPUTS = Inputs(columns=["age", "bmi", "glucose"], classes=["no", "yes"], positive=1)
PLAIN = {"width": 256, "dropout": 0.0, "input_dropout": 0.0}
Jobs = Mapping[str, Mapping[str, Any]]


def examples(rows: int, seed: int) -> Examples:
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(rows, 3)).astype(np.float32)
    target = (table[:, 0] + rng.normal(size=rows) > 0.5).astype(np.int64)
    weight = rng.uniform(0.2, 3, rows).astype(np.float32)
    return Examples(table=table, target=target, weight=weight)


def train(devices: int, jobs: Jobs) -> dict[str, Trained | str]:
    """What comes of trainings, one after another in the same processes: the model, or the error that all of them tell.

    A job is `folder`, of its checkpoints, `config` where it is not PLAIN, `ends`, how it goes wrong at the fourth step
    (see `_ending`), and settings.
    """
    done: dict[str, Trained | str] = workers.call_together(devices, "trainings", _train, devices, jobs, say=_unheard)
    return done


def _unheard(text: str) -> None:
    pass


def _train(devices: int, jobs: Jobs, say: workers.Say) -> dict[str, Trained | str]:
    return in_turn(devices, jobs)


def in_turn(devices: int, jobs: Jobs) -> dict[str, Trained | str]:
    """The same, in this process, which may be one of several."""
    return {name: _one(devices, **job) for name, job in jobs.items()}


def _one(devices: int, folder: Path, config: object = PLAIN, ends: str = "", **settings: Any) -> Trained | str:
    """Of 77 rows: three batches an epoch, the last of 13."""
    from models import loop

    params = TrainParams(**{"epochs": 2, "batch_size": 32, "learning_rate": 0.02, "devices": devices, **settings})
    common: dict[str, Any] = {"train": examples(77, 0), "validation": examples(41, 1), "history": lambda row: None}
    with ExitStack() as stack:
        if ends:
            stack.enter_context(patch.object(loop.Loop, "_step", _ending(ends, loop.Loop._step)))
        stack.enter_context(patch.object(loop, "STEPS_AT_ONCE", 1))
        try:
            return fit("mlp", config, params, inputs=INPUTS, checkpoints=folder, save_every=0, **common)
        except MedloopError as error:
            if ends == "no memory":
                raise
            return str(error)
        except SystemExit:
            return "cut"


def _ending(how: str, step: Any) -> Any:
    """A step that goes wrong in one process: its loss is no number, its memory is full, or it is told to end.

    `cut` ends both.
    """

    def stepped(self: Any, rows: Any) -> Any:
        if self.step == 4 and how == "cut":
            raise SystemExit
        if self.step == 4 and place(os.environ).rank == 1:
            if how == "not finite":
                return step(self, rows) * float("nan")
            if how == "no memory":
                self._halve()
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, rows)

    return stepped


def held(devices: int, say: workers.Say) -> dict[str, list[int]]:
    """By strategy, how many of a network's weights each process holds, and how many there are. Run by all."""
    import torch
    import torch.distributed as dist

    from models.devices import together
    from models.family import load
    from models.network import Network
    from models.shards import own

    found = {}
    for strategy in ("fsdp", "tensor"):
        with together(TrainParams(devices=devices, strategy=strategy)) as group:
            network = Network(load("mlp"), INPUTS, load("mlp").Config(**PLAIN))
            every = sum(tensor.numel() for tensor in network.parameters())
            group.spread(network)
            mine = torch.tensor([sum(own(tensor).numel() for tensor in network.parameters())])
            each = [torch.zeros_like(mine) for _ in range(devices)]
            dist.all_gather(each, mine)
        found[strategy] = [*map(int, each), every]
    return found


def train_and_measure(jobs: Jobs) -> tuple[dict[str, Trained | str], dict[str, list[int]]]:
    """Both, by the same two processes."""
    done: tuple[dict[str, Trained | str], dict[str, list[int]]] = workers.call_together(
        2, "trainings", _train_and_measure, jobs, say=_unheard
    )
    return done


def _train_and_measure(jobs: Jobs, say: workers.Say) -> tuple[dict[str, Trained | str], dict[str, list[int]]]:
    found = held(2, say)
    return in_turn(2, jobs), found

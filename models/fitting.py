"""Fitting a network: a Lightning trainer around the loop, and the process left as it was found."""

import hashlib
import logging
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.utilities.exceptions import SIGTERMException

from contracts.examples import Examples, Inputs
from models.batches import Rows, laid_out
from models.checkpoint import Checkpoint, newest, write
from models.devices import Devices, together
from models.family import reads
from models.loop import Loop, best_epoch
from models.losses import GivenLoss
from models.network import Network
from models.params import Progress, TrainParams, Watch
from models.pretraining import Pretraining, unweighted
from models.reconstruction import encoder_of, errors, named, percentiles
from models.tasks import task_of

ONE_AT_A_TIME = threading.Lock()  # torch's random numbers and algorithms are the whole process's


def fit_network(
    family: ModuleType,
    config: object,
    params: TrainParams,
    *,
    inputs: Inputs,
    train: Examples,
    validation: Examples,
    watch: Watch,
    start: Mapping[str, NDArray[Any]],
) -> tuple[dict[str, NDArray[Any]], dict[str, float], dict[str, str]]:
    """The best epoch's weights, its row of the history, and what it ran on. Resumes if it can.

    start: weights to begin with, where there are any by that name
    """
    with ONE_AT_A_TIME, _process(params), together(params) as devices:
        rows, held = (laid_out(part, inputs, reads(family, inputs.task)) for part in (train, validation))
        learnt, found = _pretrained(family, config, params, inputs, rows, held, watch, devices)
        torch.manual_seed(params.seed)
        network = Network(family, inputs, config)
        if learnt:
            network.encoder.load_state_dict(encoder_of(learnt))
        known = network.load_state_dict({name: torch.from_numpy(array) for name, array in start.items()}, strict=False)
        assert not known.unexpected_keys
        task, reports = task_of(inputs), Reports(params, watch)
        loop = Loop(
            network,
            params,
            train=rows,
            validation=held,
            loss=task.loss(inputs, params, rows.target, rows.weight),
            scores=lambda outputs: task.scores(task.predicted(outputs, inputs), validation, inputs),
            save=lambda checkpoint: _write(checkpoint, watch, devices),
            report=reports,
            save_every=watch.save_every,
            devices=devices,
        )
        _resume(loop, reports, watch)
        device = "from the checkpoint" if loop.finished() else _run(loop, params)
    arrays = {name: tensor.numpy() for name, tensor in loop.best.items()} | learnt
    facts = {**loop.history[best_epoch(loop.history, params) - 1], "epochs": float(len(loop.history))}
    facts |= {"learning_rate": loop.rate} if params.learning_rate == "auto" else {}
    return arrays, facts | found, {"device": device, **loop.ran_on}


def _pretrained(
    family: ModuleType,
    config: object,
    params: TrainParams,
    inputs: Inputs,
    train: Rows,
    validation: Rows,
    watch: Watch,
    devices: Devices,
) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
    """What the family's autoencoder learnt, and facts on it; nothing of a family without one. Resumes if it can.

    A training of its own with checkpoints of its own, the last of which is where the training on labels begins.
    """
    own = family.pretraining(config, params) if hasattr(family, "pretraining") else None
    if own is None:
        return {}, {}
    torch.manual_seed(params.seed)
    watch = _of_pretraining(watch)
    reports = Reports(own, watch)
    loop = Pretraining(
        family.Autoencoder(inputs, config),
        own,
        train=unweighted(train),
        validation=validation,
        loss=GivenLoss(),
        scores=lambda outputs: {},
        save=lambda checkpoint: _write(checkpoint, watch, devices),
        report=reports,
        save_every=watch.save_every,
        devices=devices,
    )
    _resume(loop, reports, watch)
    if not loop.finished():
        _run(loop, own)
    weights = {name: tensor.numpy() for name, tensor in loop.best.items()}
    best = loop.history[best_epoch(loop.history, own) - 1]
    facts = {"pretraining_epochs": float(len(loop.history)), "validation_reconstruction": best["validation_loss"]}
    return named(weights, percentiles(errors(family, inputs, config, weights, validation))), facts


def _of_pretraining(watch: Watch) -> Watch:
    """The same, with other checkpoints, and told by names that are not those of the training on labels."""

    def history(row: dict[str, float]) -> None:
        told = {"pretraining_loss": row["train_loss"], "validation_reconstruction": row["validation_loss"]}
        watch.history({"epoch": row["epoch"], **told})

    tell = watch.progress
    recipe = hashlib.sha256(f"{watch.recipe}/pretraining".encode()).hexdigest()
    progress = tell and (lambda of: tell(replace(of, phase="pre-training", metric="reconstruction error")))
    return replace(watch, recipe=recipe, history=history, progress=progress)


def _resume(loop: Loop, reports: "Reports", watch: Watch) -> None:
    """Where the newest whole checkpoint left it; at its first step if there is none."""
    checkpoint = newest(watch.checkpoints, watch.recipe)
    loop.devices.check_same(f"{watch.recipe} {checkpoint and checkpoint.step}")
    if checkpoint:
        loop.resume(checkpoint)
        reports.again(loop.history)


def _write(checkpoint: Checkpoint, watch: Watch, devices: Devices) -> None:
    if devices.rank == 0:
        write(watch.checkpoints, watch.recipe, checkpoint)


def _run(loop: Loop, params: TrainParams) -> str:
    """Let Lightning drive the loop to its end; the device's name.

    A SIGTERM ends the training, and with it the process, as ever, but after a checkpoint.
    """
    devices = loop.devices
    trainer = pl.Trainer(
        max_epochs=params.epochs - len(loop.history),
        accelerator=params.accelerator,
        devices=[devices.local] if devices.device.type == "cuda" else 1,
        plugins=[LightningEnvironment()],  # the loop knows of other processes, the trainer of none
        deterministic=params.deterministic,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    try:
        trainer.fit(loop)
    except SIGTERMException:
        loop.save_now()
        signal.raise_signal(signal.SIGTERM)
        raise
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    return name if devices.size == 1 else f"{devices.size} × {name} ({params.strategy})"


@contextmanager
def _process(params: TrainParams) -> Iterator[None]:
    """Threads, determinism and quiet for a training; given back afterwards, random numbers too."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    talk = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    level = talk.level
    torch.set_num_threads(params.threads)
    memory.fill_uninitialized_memory = False  # nothing here reads such memory, and it takes time
    talk.setLevel(logging.WARNING)
    try:
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        memory.fill_uninitialized_memory = filled
        talk.setLevel(level)


class Reports:
    """Hands on each finished epoch, with how long the rest will take."""

    def __init__(self, params: TrainParams, watch: Watch) -> None:
        self.params, self.watch = params, watch
        self.since, self.told_before = time.monotonic(), 0

    def again(self, history: list[dict[str, float]]) -> None:
        """The epochs of before a resumption, whose time nobody took."""
        for epochs in range(1, len(history) + 1):
            self._tell(history[:epochs], None)
        self.since, self.told_before = time.monotonic(), len(history)

    def __call__(self, history: list[dict[str, float]]) -> None:
        """The newest epoch."""
        an_epoch = (time.monotonic() - self.since) / (len(history) - self.told_before)
        self._tell(history, an_epoch * (self.params.epochs - len(history)))

    def _tell(self, history: list[dict[str, float]], seconds_left: float | None) -> None:
        row, best = history[-1], best_epoch(history, self.params)
        metric = f"validation_{self.params.monitor}"
        self.watch.history(row)
        if self.watch.progress:
            self.watch.progress(
                Progress(
                    epoch=len(history),
                    epochs=self.params.epochs,
                    metric=self.params.monitor,
                    value=row[metric],
                    best=history[best - 1][metric],
                    best_epoch=best,
                    seconds_left=seconds_left,
                )
            )

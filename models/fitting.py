"""Fitting a network: a Lightning trainer around the loop, and the process left as it was found."""

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from contracts.examples import Examples, Inputs
from models.batches import laid_out
from models.checkpoint import newest, write
from models.loop import Loop, best_epoch
from models.network import Network
from models.params import Progress, TrainParams
from models.scores import scores

ONE_AT_A_TIME = threading.Lock()  # torch's random numbers and algorithms are the whole process's


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Where a training leaves its traces: checkpoints of this recipe, and who is told of each epoch."""

    checkpoints: Path
    recipe: str
    save_every: float
    history: Callable[[dict[str, float]], None]
    progress: Callable[[Progress], None] | None


def fit_network(
    family: ModuleType,
    config: object,
    params: TrainParams,
    *,
    inputs: Inputs,
    train: Examples,
    validation: Examples,
    watch: Watch,
) -> tuple[dict[str, NDArray[Any]], dict[str, float], dict[str, str]]:
    """The best epoch's weights, its row of the history, and what it ran on. Resumes if it can."""
    with ONE_AT_A_TIME, _process(params):
        torch.manual_seed(params.seed)
        loop = Loop(
            Network(family, inputs, config),
            params,
            train=laid_out(train, inputs, family.READS),
            validation=laid_out(validation, inputs, family.READS),
            scores=lambda probabilities: scores(probabilities, validation, inputs.positive),
            save=lambda checkpoint: write(watch.checkpoints, watch.recipe, checkpoint),
            report=lambda history: _tell(history, params, watch),
            save_every=watch.save_every,
        )
        _resume(loop, params, watch)
        device = "from the checkpoint" if loop.finished() else _run(loop, params)
    arrays = {name: tensor.numpy() for name, tensor in loop.best.items()}
    best = best_epoch(loop.history, params)
    return arrays, {**loop.history[best - 1], "epochs": float(len(loop.history))}, {"device": device}


def _resume(loop: Loop, params: TrainParams, watch: Watch) -> None:
    """Where the newest whole checkpoint left it; at its first step if there is none."""
    checkpoint = newest(watch.checkpoints, watch.recipe)
    if checkpoint:
        loop.resume(checkpoint)
        for epochs in range(1, len(loop.history) + 1):
            _tell(loop.history[:epochs], params, watch)


def _run(loop: Loop, params: TrainParams) -> str:
    """Let Lightning drive the loop to its end; the device's name."""
    trainer = pl.Trainer(
        max_epochs=params.epochs - len(loop.history),
        accelerator=params.accelerator,
        devices=1,
        deterministic=params.deterministic,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(loop)
    device = trainer.strategy.root_device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


@contextmanager
def _process(params: TrainParams) -> Iterator[None]:
    """Threads, determinism and quiet for a training; given back afterwards, random numbers too."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    talk = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    level = talk.level
    torch.set_num_threads(params.threads)
    talk.setLevel(logging.WARNING)
    try:
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        talk.setLevel(level)


def _tell(history: list[dict[str, float]], params: TrainParams, watch: Watch) -> None:
    """Hand on the newest row."""
    row, best = history[-1], history[best_epoch(history, params) - 1]
    watch.history(row)
    if watch.progress:
        metric = f"validation_{params.monitor}"
        watch.progress(
            Progress(
                epoch=len(history), epochs=params.epochs, metric=params.monitor, value=row[metric], best=best[metric]
            )
        )

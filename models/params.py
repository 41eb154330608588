"""How to train: settings that every family shares."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from contracts.names import nearest
from models.calibration import Method
from models.threshold import ThresholdMetric

AUGMENTATIONS = ("flip", "shift", "affine", "intensity", "noise")
LOWER_IS_BETTER = ("loss", "mae", "rmse")


@dataclass(frozen=True, kw_only=True)
class TrainParams:
    """How to train. A baseline heeds `seed`, `threads`, `threshold` and `calibration` alone.

    epochs: most passes over the training rows
    batch_size: rows a batch
    accumulate: batches a step, whose gradients are averaged: as one batch of so many rows, in the memory of one
    optimizer: adamw, adam, sgd, momentum, nesterov, rmsprop, or full_batch: plain gradient descent, a step an epoch
        over all rows, `batch_size` of them at a time (`models/optimizers.py` explains each)
    learning_rate: or auto, found by a range test on training rows (`models/rate_finder.py`)
    momentum: of momentum and nesterov
    schedule: how the rate goes from step to step: constant, linear or cosine (falling to 0), one_cycle (rising first);
        by `epochs`, though patience may end a training sooner
    warmup: over how much the rate rises first; below 1 a share of `epochs`, else a number of them
    weight_decay: how much a step shrinks the weights; spares biases and normalisations, as l1 does
    l1: strength of the penalty on the weights' absolute values; train_loss leaves it out
    clip_norm: the length that a longer gradient is cut to (Pascanu et al., ICML 2013); 0 cuts none
    average: the weights that are validated and kept: none, each epoch's own; ema, an average that forgets; swa, the
        mean over epochs (`models/averages.py`)
    average_decay: of ema: what a step leaves of the average
    average_start: of swa: after how much the mean begins; below 1 a share of `epochs`, else a number of them
    precision: bf16 trains about twice as fast where the processor or GPU has it; weights, validation and scoring stay
        float32
    compile: compile the network (torch.compile); pays for long trainings of large ones
    label_smoothing: share of the label spread over all classes (Szegedy et al., CVPR 2016)
    loss: cross_entropy; focal or logit_adjusted where a class is rare (`models/losses.py` explains each). Class weights
        still count; with `class_weight` the classes' shares are equal and logit_adjusted has nothing to adjust.
        Of classes in order: conditional. Of numbers: squared, or huber, which large errors pull less at. Of
        survival: hazard. Of several labels: binary, cross entropy of each, or binary_balanced, the same where every
        label's yes weighs as much in all as its no
    huber_delta: of huber: the error, in standard deviations of the label, from which it grows no faster than that
    coverage: of numbers: the share of new rows whose label the interval is to hold (`models/conformal.py`)
    focusing: of the focal loss: how little an easy row counts; 0 is cross entropy
    adjustment: of logit_adjusted: how much of the classes' log shares is added
    sampler: shuffled, every row once an epoch; or balanced, as many draws, with replacement, classes equally often;
        with class weights beside it a rare class counts twice over
    augment: how images and sequences of training rows are altered at random each time they are shown, any of: flip,
        where left and right mean the same, shift, affine (images); intensity, noise (both); `models/augment.py` says
        by how much. It changes nothing for a model that reads neither
    calibration: how probabilities are mended after training (`models/calibration.py`): none; prior, in closed form
        what balancing, sampler and logit_adjusted shifted; temperature, platt or isotonic, learnt on validation rows;
        auto, prior of two classes, whose threshold is chosen after it, none of more, where another may then be called
    monitor: the validation metric by which the best epoch is chosen; of numbers mae, rmse or
        loss, of classes in order qwk, mae (steps) or loss, of survival concordance or loss, of tagging f1 or loss
    patience: epochs without a better one after which training stops
    min_delta: by how much an epoch must be better to count
    threshold: of two classes, and of several labels each, the metric that the decision's threshold maximises on
        validation rows, or the threshold itself; it is of calibrated probabilities
    seed: of the initial weights, the order of rows and dropout
    threads: CPU threads; another number gives other last bits
    deterministic: let torch use only algorithms that give the same bits each time
    accelerator: Lightning's: auto takes a GPU when there is one
    devices: how many train one network together, each in a process of its own: GPUs, or processes on a CPU, each with
        its `threads`; on one machine `medloop run` starts them, on several torchrun or srun
    strategy: what several devices divide (`models/devices.py` explains each): ddp, the rows; fsdp, the rows, weights
        and moments; tensor, the units between linear layers
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    epochs: int = 100
    batch_size: int = 64
    accumulate: int = 1
    optimizer: Literal["adamw", "adam", "sgd", "momentum", "nesterov", "rmsprop", "full_batch"] = "adamw"
    learning_rate: float | Literal["auto"] = 5e-4
    momentum: float = 0.9
    schedule: Literal["constant", "linear", "cosine", "one_cycle"] = "constant"
    warmup: float = 0.0
    weight_decay: float = 0.1
    l1: float = 0.0
    clip_norm: float = 0.0
    average: Literal["none", "ema", "swa"] = "none"
    average_decay: float = 0.99
    average_start: float = 0.5
    precision: Literal["float32", "bf16"] = "float32"
    compile: bool = False
    label_smoothing: float = 0.0
    loss: Literal[
        "cross_entropy",
        "focal",
        "logit_adjusted",
        "conditional",
        "squared",
        "huber",
        "hazard",
        "binary",
        "binary_balanced",
    ] = "cross_entropy"
    focusing: float = 2.0
    adjustment: float = 1.0
    huber_delta: float = 1.0
    coverage: float = 0.9
    sampler: Literal["shuffled", "balanced"] = "shuffled"
    augment: tuple[str, ...] = ()
    calibration: Literal["auto", "none", Method] = "auto"
    monitor: Literal["auroc", "average_precision", "loss", "qwk", "mae", "rmse", "concordance", "f1"] = "auroc"
    patience: int = 15
    min_delta: float = 0.0
    threshold: ThresholdMetric | float = "balanced_accuracy"
    seed: int = 0
    threads: int = 1
    deterministic: bool = True
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = 1
    strategy: Literal["ddp", "fsdp", "tensor"] = "ddp"

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size, self.accumulate, self.patience, self.threads, self.devices) < 1:
            raise ValueError("epochs, batch_size, accumulate, patience, threads and devices are 1 or more")
        if self.learning_rate != "auto" and not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate is above 0, or auto; got {self.learning_rate}")
        if self.weight_decay < 0 or self.min_delta < 0 or self.seed < 0:
            raise ValueError("weight_decay, min_delta and seed are 0 or more")
        self._check_steps()
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing lies in [0, 1); got {self.label_smoothing}")
        if not (0 <= self.focusing < math.inf and 0 <= self.adjustment < math.inf):
            raise ValueError(f"focusing and adjustment are 0 or more; got {self.focusing} and {self.adjustment}")
        if not (0 < self.huber_delta < math.inf and 0 < self.coverage < 1):
            raise ValueError(
                f"huber_delta is above 0, coverage between 0 and 1; got {self.huber_delta} and {self.coverage}"
            )
        for name in self.augment:
            if name not in AUGMENTATIONS:
                known = ", ".join(AUGMENTATIONS)
                raise ValueError(
                    f"unknown augmentation {name}{nearest(name, AUGMENTATIONS)}; augment is any of: {known}"
                )
        if isinstance(self.threshold, float | int) and not 0 < self.threshold < 1:
            raise ValueError(f"a fixed threshold lies between 0 and 1; got {self.threshold}")

    def _check_steps(self) -> None:
        if self.optimizer == "full_batch" and self.accumulate > 1:
            raise ValueError("full_batch takes one step an epoch already; leave accumulate at 1")
        if not (0 <= self.l1 < math.inf and 0 <= self.clip_norm < math.inf):
            raise ValueError(f"l1 and clip_norm are 0 or more; got {self.l1} and {self.clip_norm}")
        if not (0 < self.momentum < 1 and 0 <= self.average_decay < 1):
            raise ValueError(
                f"momentum lies between 0 and 1, average_decay in [0, 1); got {self.momentum} and {self.average_decay}"
            )
        for name in ("warmup", "average_start"):
            if not 0 <= of_epochs(getattr(self, name), self.epochs) <= self.epochs:
                raise ValueError(f"{name} is a number of epochs, at most {self.epochs}, or a share of them below 1")


def of_epochs(much: float, epochs: int) -> float:
    """A setting in epochs: below 1 it is a share of all."""
    return much if much >= 1 else much * epochs


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a training is: `value` and `best` are of `metric`, on validation rows.

    best_epoch: the one whose weights would be kept
    seconds_left: if no patience ends it; None while no epoch has been timed
    phase: what is trained before the whole; `epoch` and `epochs` are then of it
    """

    epoch: int
    epochs: int
    metric: str
    value: float
    best: float
    best_epoch: int
    seconds_left: float | None
    phase: str = ""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Where a training leaves its traces: checkpoints of this recipe, and who is told of each epoch."""

    checkpoints: Path
    recipe: str = ""
    save_every: float
    history: Callable[[dict[str, float]], None]
    progress: Callable[[Progress], None] | None

"""How to train: settings that every family shares."""

import math
from dataclasses import dataclass
from typing import Literal

from contracts.names import nearest
from models.calibration import Method
from models.threshold import ThresholdMetric

AUGMENTATIONS = ("flip", "shift", "affine", "intensity", "noise")


@dataclass(frozen=True, kw_only=True)
class TrainParams:
    """How to train. A baseline heeds `seed`, `threads`, `threshold` and `calibration` alone.

    epochs: most passes over the training rows
    batch_size: rows a step
    learning_rate, weight_decay: AdamW's; the decay spares biases and normalisations
    label_smoothing: share of the label spread over all classes (Szegedy et al., CVPR 2016)
    loss: cross_entropy; focal or logit_adjusted where a class is rare (`models/losses.py` explains each). Class weights
        still count; with `class_weight` the classes' shares are equal and logit_adjusted has nothing to adjust
    focusing: of the focal loss: how little an easy row counts; 0 is cross entropy
    adjustment: of logit_adjusted: how much of the classes' log shares is added
    sampler: shuffled, every row once an epoch; or balanced, as many draws, with replacement, classes equally often;
        with class weights beside it a rare class counts twice over
    augment: how images and sequences of training rows are altered at random each time they are shown, any of: flip,
        where left and right mean the same, shift, affine (images); intensity, noise (both); `models/augment.py` says
        by how much. It changes nothing for a model that reads neither
    calibration: how probabilities are mended after training (`models/calibration.py`): none; prior, in closed form
        what balancing, sampler and logit_adjusted shifted; temperature, platt or isotonic, learnt on validation rows
    monitor: the validation metric by which the best epoch is chosen
    patience: epochs without a better one after which training stops
    min_delta: by how much an epoch must be better to count
    threshold: the metric that the decision's threshold maximises on validation rows, or the threshold itself; it is
        of calibrated probabilities
    seed: of the initial weights, the order of rows and dropout
    threads: CPU threads; another number gives other last bits
    deterministic: let torch use only algorithms that give the same bits each time
    accelerator: Lightning's: auto takes a GPU when there is one
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 5e-4
    weight_decay: float = 0.1
    label_smoothing: float = 0.0
    loss: Literal["cross_entropy", "focal", "logit_adjusted"] = "cross_entropy"
    focusing: float = 2.0
    adjustment: float = 1.0
    sampler: Literal["shuffled", "balanced"] = "shuffled"
    augment: tuple[str, ...] = ()
    calibration: Literal["none", Method] = "none"
    monitor: Literal["auroc", "average_precision", "loss"] = "auroc"
    patience: int = 15
    min_delta: float = 0.0
    threshold: ThresholdMetric | float = "balanced_accuracy"
    seed: int = 0
    threads: int = 1
    deterministic: bool = True
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size, self.patience, self.threads) < 1:
            raise ValueError("epochs, batch_size, patience and threads are 1 or more")
        if self.learning_rate <= 0 or self.weight_decay < 0 or self.min_delta < 0 or self.seed < 0:
            raise ValueError("learning_rate is above 0, weight_decay, min_delta and seed 0 or more")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing lies in [0, 1); got {self.label_smoothing}")
        if not (0 <= self.focusing < math.inf and 0 <= self.adjustment < math.inf):
            raise ValueError(f"focusing and adjustment are 0 or more; got {self.focusing} and {self.adjustment}")
        for name in self.augment:
            if name not in AUGMENTATIONS:
                known = ", ".join(AUGMENTATIONS)
                raise ValueError(
                    f"unknown augmentation {name}{nearest(name, AUGMENTATIONS)}; augment is any of: {known}"
                )
        if isinstance(self.threshold, float | int) and not 0 < self.threshold < 1:
            raise ValueError(f"a fixed threshold lies between 0 and 1; got {self.threshold}")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a training is: `value` and `best` are of `metric`, on validation rows."""

    epoch: int
    epochs: int
    metric: str
    value: float
    best: float

"""Which of several classes in order a row is of: a probability each, that knows which classes are neighbours.

Output k is the log-odds of going beyond class k for a row that has come as far (Shi, Cao & Raschka, "Deep neural
networks for rank-consistent ordinal regression based on conditional probabilities", Pattern Analysis and Applications
26, 2023), so that the chance to exceed a class falls from class to class, whatever the network says.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contracts.examples import Examples, Inputs
from contracts.ordinal import median_class
from contracts.tasks import Asked
from models.calibration import Calibration
from models.held_out import HeldOut
from models.params import TrainParams
from models.tasks import classes
from models.threshold import Threshold

if TYPE_CHECKING:
    from torch import Tensor, nn

Floats = NDArray[np.float64]
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "loss": ("conditional",),
    "monitor": ("qwk", "mae", "loss"),
    "sampler": ("shuffled", "balanced"),
    "calibration": classes.SETTINGS["calibration"],
}
HEADLINE = ("quadratic kappa", "validation_qwk")


def outputs(inputs: Inputs) -> int:
    """A step between two classes each; a baseline that knows no order may give a logit a class."""
    return len(inputs.classes) - 1


def informed(inputs: Inputs, train: Examples) -> Inputs:
    """Nothing is learnt of the labels beforehand."""
    return inputs


def check(train: Examples, validation: Examples, inputs: Inputs, params: TrainParams) -> None:
    """Raises MedloopError as of classes without an order."""
    classes.check(train, validation, inputs, params)


def loss(inputs: Inputs, params: TrainParams, target: "Tensor", weight: "Tensor") -> "nn.Module":
    """See `models.losses.StepLoss`."""
    from models.losses import StepLoss

    return StepLoss()


def predicted(outputs: Floats, inputs: Inputs) -> Floats:
    """The probability of each class. Shape: (N, C - 1) steps, or (N, C) logits of a baseline -> (N, C)."""
    if outputs.shape[1] == len(inputs.classes):
        return classes.predicted(outputs, inputs)
    beyond = np.cumprod(np.exp(-np.logaddexp(0, -outputs)), axis=1)
    return np.asarray(-np.diff(beyond, axis=1, prepend=1.0, append=0.0), dtype=np.float64)


def scores(predicted: Floats, examples: Examples, inputs: Inputs) -> dict[str, float]:
    """`validation_` qwk (Cohen's weighted kappa, 1968, of squared steps), mae (steps) and loss (nats a row)."""
    assert examples.target is not None
    called, target, weight = median_class(predicted), examples.target, examples.weight
    size = np.ones(len(target)) if weight is None else weight.astype(np.float64)
    mean = [np.average(values, weights=size) for values in (called, target, called**2, target**2, called * target)]
    chance = mean[2] + mean[3] - 2 * mean[0] * mean[1]
    own = predicted[np.arange(len(target)), target]
    return {
        "validation_qwk": float(1 - (mean[2] + mean[3] - 2 * mean[4]) / chance) if chance > 0 else 0.0,
        "validation_mae": float(np.average(np.abs(called - target), weights=size)),
        "validation_loss": float(np.average(-np.log(np.maximum(own, 1e-15)), weights=size)),
    }


def finished(held: HeldOut) -> tuple[Calibration | None, float | None]:
    """The calibration, as of classes without an order; there is no threshold."""
    return classes.calibrated(held), None


def columns(target: Asked) -> dict[str, str]:
    """The class that is called, and each class's probability."""
    return {"predicted": "string", **{f"probability={label}": "double" for label in target.classes}}


def answers(predicted: Floats, inputs: Inputs, threshold: Threshold) -> list[NDArray[Any]]:
    """These columns, each (N,). Shape: predicted (N, C)."""
    return [np.array(inputs.classes, dtype=object)[median_class(predicted)], *predicted.T]

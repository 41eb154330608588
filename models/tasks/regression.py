"""A number: its expected value, and an interval that holds it for a stated share of new patients' rows.

Models work on the label less its mean, divided by its standard deviation, both of the training rows.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError
from contracts.examples import Examples, Inputs
from contracts.tasks import Asked
from models import conformal
from models.calibration import Calibration
from models.held_out import HeldOut
from models.params import TrainParams
from models.threshold import Threshold

if TYPE_CHECKING:
    from torch import Tensor, nn

Floats = NDArray[np.float64]
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "loss": ("squared", "huber"),
    "monitor": ("mae", "rmse", "loss"),
    "sampler": ("shuffled",),
    "calibration": ("auto", "none"),
}
HEADLINE = ("MAE", "validation_mae")


def outputs(inputs: Inputs) -> int:
    """The scaled number."""
    return 1


def informed(inputs: Inputs, train: Examples) -> Inputs:
    """With the mean and the standard deviation of the training rows' labels."""
    assert train.target is not None
    return replace(inputs, centre=float(train.target.mean()), spread=float(train.target.std()))


def check(train: Examples, validation: Examples, inputs: Inputs, params: TrainParams) -> None:
    """Raises MedloopError for labels that are absent, no finite numbers or all alike, and too few patients."""
    for name, part in (("training", train), ("validation", validation)):
        if part.target is None or len(part.target) != len(part) or not np.isfinite(part.target).all():
            raise MedloopError(f"expected a finite number as the label of each of the {len(part)} {name} rows")
        if np.ptp(part.target) == 0:
            raise MedloopError(f"the label is the same number in all {name} rows", mend="widen the cohort")
    conformal.check_patients(len(np.unique(patients(validation))), params.coverage)


def loss(inputs: Inputs, params: TrainParams, target: "Tensor", weight: "Tensor") -> "nn.Module":
    """See `models.losses.NumberLoss`."""
    from models.losses import NumberLoss

    return NumberLoss(params, inputs.centre, inputs.spread)


def predicted(outputs: Floats, inputs: Inputs) -> Floats:
    """The numbers in the label's own unit. Shape: (N, K) -> (N, K)."""
    return np.asarray(inputs.centre + inputs.spread * outputs, dtype=np.float64)


def scores(predicted: Floats, examples: Examples, inputs: Inputs) -> dict[str, float]:
    """`validation_` mae and rmse, in the label's unit, and loss: the mean square of the scaled error."""
    assert examples.target is not None
    error = predicted - examples.target.reshape(predicted.shape)
    square = float(np.average((error**2).mean(axis=1), weights=examples.weight))
    return {
        "validation_mae": float(np.average(np.abs(error).mean(axis=1), weights=examples.weight)),
        "validation_rmse": square**0.5,
        "validation_loss": square / inputs.spread**2,
    }


def finished(held: HeldOut) -> tuple[Calibration | None, float | None]:
    """The margin of the interval; there is no threshold."""
    assert held.validation.target is not None
    error = np.abs(held.validation.target - held.predicted[:, 0])
    return conformal.fit(error, patients(held.validation), held.params.coverage), None


def columns(target: Asked) -> dict[str, str]:
    """The number, and the ends of its interval."""
    return dict.fromkeys(("predicted", "low", "high"), "double")


def answers(predicted: Floats, inputs: Inputs, threshold: Threshold) -> list[NDArray[Any]]:
    """These columns, each (N,). Shape: predicted (N, 3)."""
    return list(predicted.T)


def patients(examples: Examples) -> NDArray[np.int64]:
    """(N,) the number of each row's patient."""
    return np.arange(len(examples)) if examples.patient is None else examples.patient

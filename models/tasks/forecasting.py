"""The next values of a sequence's channel, each with an interval: direct forecasts, all of them by one head.

What is learnt is by how much each value differs from the last known one, so that a model that says 0 repeats that one,
which is the naive forecast. Everything else is as of a regression, whose numbers these are, several a row.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.examples import Inputs
from contracts.tasks import Asked
from models import conformal
from models.calibration import Calibration
from models.held_out import HeldOut
from models.tasks import regression
from models.tasks.regression import HEADLINE, check, informed, loss, patients, predicted, scores
from models.threshold import Threshold

__all__ = [
    "HEADLINE",
    "SETTINGS",
    "answers",
    "check",
    "columns",
    "finished",
    "informed",
    "loss",
    "outputs",
    "predicted",
    "scores",
]

Floats = NDArray[np.float64]
SETTINGS: Mapping[str, tuple[str, ...]] = regression.SETTINGS


def outputs(inputs: Inputs) -> int:
    """The scaled change of each value."""
    return int(inputs.horizon)


def finished(held: HeldOut) -> tuple[Calibration | None, Threshold]:
    """The margin of each value's interval, which holds that value for its share of the rows; there is no threshold."""
    assert held.validation.target is not None
    errors = np.abs(held.validation.target.reshape(held.predicted.shape) - held.predicted)
    patient, coverage = patients(held.validation), held.params.coverage
    margins = [conformal.fit(error, patient, coverage).state["margin"] for error in errors.T]
    return Calibration(method="conformal", state={"coverage": coverage, "margin": margins}), None


def columns(target: Asked) -> dict[str, str]:
    """Each value and the ends of its interval: predicted, low, high, then predicted_2, low_2, high_2 …"""
    names = ("predicted", "low", "high")
    later = [f"{name}_{step}" for step in range(2, int(target.horizon or 0) + 1) for name in names]
    return dict.fromkeys((*names, *later), "double")


def answers(predicted: Floats, inputs: Inputs, threshold: Threshold) -> list[NDArray[Any]]:
    """These columns, each (N,). Shape: predicted (N, 3 H)."""
    return list(predicted.T)

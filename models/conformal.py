"""Predictive intervals by split conformal prediction: they hold whatever the model, if new patients are like the old.

Vovk, Gammerman & Shafer, "Algorithmic learning in a random world", 2005; with several rows a patient as in Lee, Barber
& Willett, "Distribution-free inference with hierarchical data", 2023: each patient counts once, so that the interval
holds for a row of a new patient.
"""

import math

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError
from models.calibration import Calibration

Floats = NDArray[np.float64]


def fit(error: Floats, patient: NDArray[np.int64], coverage: float) -> Calibration:
    """The interval's half width: the error that `coverage` of the patients' rows stay below, one patient more assumed
    to exceed all.

    Shape: error (N,) absolute errors of rows that the model was not trained on, patient (N,).
    Raises MedloopError where patients are too few for any finite one.
    """
    _, number, rows = np.unique(patient, return_inverse=True, return_counts=True)
    check_patients(len(rows), coverage)
    order = np.argsort(error, kind="stable")
    below = np.cumsum(1 / rows[number[order]]) / (len(rows) + 1)
    place = int(np.searchsorted(below, coverage - 1e-9))
    margin = error[order[min(place, len(order) - 1)]]
    return Calibration(method="conformal", state={"coverage": coverage, "margin": float(margin)})


def check_patients(patients: int, coverage: float) -> None:
    """Raises MedloopError where so few patients give no interval of this coverage."""
    needed = math.ceil(coverage / (1 - coverage) - 1e-9)
    if patients < needed:
        raise MedloopError(
            f"an interval that holds {coverage:.0%} of rows needs {needed} validation patients; there are {patients}",
            where="train.coverage",
            mend="lower it, or take a larger split.validation",
        )

"""Weights by which a rare class counts as much as a common one in training."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.nominal import Rows

Weighting = Literal["class_weight", "effective_number", "patient_weight"]


def class_weights(method: Weighting, count: dict[int, int], *, beta: float) -> dict[int, float]:
    """The mean weight of a class's rows, by its index; 1 on average over all rows, 0 for a class without rows.

    effective_number: the inverse of (1 - beta^n) / (1 - beta), the volume that n rows cover (Cui et al.,
    "Class-balanced loss based on effective number of samples", CVPR 2019); the others: of n.
    """
    size = {i: (1 - beta**n) / (1 - beta) if method == "effective_number" else n for i, n in count.items() if n}
    total = sum(count.values())
    scale = sum(count[index] / size[index] for index in size)
    return {index: total / (scale * size[index]) if count[index] else 0.0 for index in count}


def patient_shares(target: Rows, patients: NDArray[Any]) -> NDArray[np.float64]:
    """What each row's weight is times that of its class, so that each patient counts alike in it, by however many rows.

    Shape: target (N,), patients (N,) -> (N,), 1 on average over each class
    """
    share = np.ones(len(target))
    for index in np.unique(target):
        rows = np.flatnonzero(target == index)
        _, patient, count = np.unique(patients[rows], return_inverse=True, return_counts=True)
        share[rows] = len(rows) / (len(count) * count[patient])
    return share

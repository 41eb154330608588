"""What calibration and threshold of a model follow from, once it is trained."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.examples import Examples, Inputs
from models.params import TrainParams


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The rows of a training, and what the trained model says of those that it was not trained on.

    predicted: (N, …) of the rows of `validation`, as the task's `predicted` gives them
    correction: what a class's probability is multiplied by to undo the balancing of the training rows, a number a
        class; None for ones
    network: whether the model was trained by the loss and with the sampler of `params`; an ensemble's members are
        put right before their mean
    """

    params: TrainParams
    inputs: Inputs
    train: Examples
    validation: Examples
    predicted: NDArray[np.float64]
    correction: Sequence[float] | None
    network: bool

"""How long until an event: the chance to be spared up to any time, learnt from those who were followed until the event
and those who were not.

Models give the log-odds of the hazard of each interval that ends at `cuts` (`models.hazards`).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contracts import follow_up
from contracts.errors import MedloopError
from contracts.examples import Examples, Inputs
from contracts.tasks import Asked
from models import hazards
from models.calibration import Calibration
from models.held_out import HeldOut
from models.params import TrainParams
from models.threshold import Threshold

if TYPE_CHECKING:
    from torch import Tensor, nn

Floats = NDArray[np.float64]
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "loss": ("hazard",),
    "monitor": ("loss", "concordance"),
    "sampler": ("shuffled",),
    "calibration": ("auto", "none"),
}
HEADLINE = ("concordance", "validation_concordance")


def outputs(inputs: Inputs) -> int:
    """The log-odds of the hazard of each interval."""
    return len(inputs.cuts)


def informed(inputs: Inputs, train: Examples) -> Inputs:
    """With the intervals that the training rows' events ask for."""
    assert train.target is not None
    return replace(inputs, cuts=hazards.cuts(train.target, inputs.horizon))


def check(train: Examples, validation: Examples, inputs: Inputs, params: TrainParams) -> None:
    """Raises MedloopError for labels that are absent, too few events, and a horizon that nobody was followed up to."""
    for name, part in (("training", train), ("validation", validation)):
        if part.target is None or len(part.target) != len(part) or not np.isfinite(part.target).all():
            raise MedloopError(f"expected a time of follow-up for each of the {len(part)} {name} rows")
        follow_up.refuse_few_events(part.target, inputs.horizon, inputs.unit, name)


def loss(inputs: Inputs, params: TrainParams, target: "Tensor", weight: "Tensor") -> "nn.Module":
    """See `models.losses.HazardLoss`."""
    from models.losses import HazardLoss

    return HazardLoss(inputs.cuts)


def predicted(outputs: Floats, inputs: Inputs) -> Floats:
    """The chance to be spared up to each cut. Shape: (N, K) -> (N, K)."""
    return hazards.survival(outputs)


def scores(predicted: Floats, examples: Examples, inputs: Inputs) -> dict[str, float]:
    """`validation_` concordance, by the risk at the horizon, and loss (nats a row)."""
    assert examples.target is not None
    risk = 1 - predicted[:, inputs.cuts.index(inputs.horizon)]
    found = hazards.concordance(risk, examples.target)
    losses = hazards.losses(predicted, examples.target, inputs.cuts)
    return {
        "validation_concordance": 0.5 if np.isnan(found) else found,
        "validation_loss": float(np.average(losses, weights=examples.weight)),
    }


def finished(held: HeldOut) -> tuple[Calibration | None, float | None]:
    """How the chances at the cuts are told at the same moments by every model; there is no threshold."""
    state = {"cuts": held.inputs.cuts, "times": follow_up.times(held.inputs.horizon).tolist()}
    return Calibration(method="moments", state=state), None


def columns(target: Asked) -> dict[str, str]:
    """The risk of the event by the horizon, the median time to it, and the chance to be spared at moments up to it."""
    assert target.horizon
    times = follow_up.times(target.horizon).tolist()
    return dict.fromkeys(("predicted", "median", *(f"survival={time:g}" for time in times)), "double")


def answers(predicted: Floats, inputs: Inputs, threshold: Threshold) -> list[NDArray[Any]]:
    """These columns, each (N,). Shape: predicted (N, 2 + T)."""
    return list(predicted.T)

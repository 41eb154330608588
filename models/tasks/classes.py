"""Which of several classes a row is of: a probability each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError, listed
from contracts.examples import Examples, Inputs
from contracts.tasks import Asked
from models import calibration
from models.calibration import Calibration
from models.held_out import HeldOut
from models.params import TrainParams
from models.sampling import class_shares
from models.scores import scores as class_scores
from models.threshold import Threshold, choose, decide

if TYPE_CHECKING:
    from torch import Tensor, nn

Floats = NDArray[np.float64]
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "loss": ("cross_entropy", "focal", "logit_adjusted"),
    "monitor": ("auroc", "average_precision", "loss"),
    "sampler": ("shuffled", "balanced"),
    "calibration": ("auto", "none", "prior", "temperature", "platt", "isotonic"),
}
HEADLINE = ("AUROC", "validation_auroc")


def outputs(inputs: Inputs) -> int:
    """A logit a class, for two classes too; a baseline may give two classes one, the second's."""
    return len(inputs.classes)


def informed(inputs: Inputs, train: Examples) -> Inputs:
    """Nothing is learnt of the labels beforehand."""
    return inputs


def check(train: Examples, validation: Examples, inputs: Inputs, params: TrainParams) -> None:
    """Raises MedloopError for labels that cannot be trained on, or are too few for the calibration asked for."""
    check_classes(train, validation, inputs)
    if params.calibration == "isotonic":
        assert validation.target is not None
        calibration.check_rows(validation.target, len(inputs.classes))


def check_classes(train: Examples, validation: Examples, inputs: Inputs) -> None:
    """Raises MedloopError for a label beyond `classes`, a class without training rows, one class in validation."""
    for name, part in (("training", train), ("validation", validation)):
        if part.target is None or len(part.target) != len(part):
            raise MedloopError(f"expected a label for each of the {len(part)} {name} rows")
        found = set(np.unique(part.target).tolist())
        if not found <= set(range(len(inputs.classes))):
            raise MedloopError(f"a label is none of the {len(inputs.classes)} classes", where=f"{name} rows")
        absent = [label for index, label in enumerate(inputs.classes) if index not in found]
        if len(found) < 2 or (absent and part is train):
            raise MedloopError(
                f"no {name} rows of class {listed(absent)}",
                where=f"{name} rows",
                mend="gather more rows, split by class (stratified) or leave the class out of the study",
            )


def loss(inputs: Inputs, params: TrainParams, target: "Tensor", weight: "Tensor") -> "nn.Module":
    """See `models.losses.row_losses`."""
    from torch import from_numpy

    from models.losses import ClassLoss

    shares = class_shares(target.numpy(), weight.numpy(), balanced=params.sampler == "balanced")
    return ClassLoss(params, from_numpy(shares).float().log())


def predicted(outputs: Floats, inputs: Inputs) -> Floats:
    """The probability of each class: softmax of the logits. Shape: (N, C), or (N, 1) of two classes -> (N, C)."""
    logits = np.pad(outputs, ((0, 0), (1, 0))) if outputs.shape[1] == 1 else outputs
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float64)


def scores(predicted: Floats, examples: Examples, inputs: Inputs) -> dict[str, float]:
    """`validation_` auroc, average_precision and loss; see `models.scores`."""
    return class_scores(predicted, examples, inputs.positive)


def finished(held: HeldOut) -> tuple[Calibration | None, float | None]:
    """The calibration, and for two classes the threshold on calibrated probabilities."""
    mend = calibrated(held)
    mended = calibration.apply(mend, held.predicted) if mend else held.predicted
    return mend, _threshold(held.params, held.inputs, held.validation, mended)


def columns(target: Asked) -> dict[str, str]:
    """The class that is called, and each class's probability."""
    return {"predicted": "string", **{f"probability={label}": "double" for label in target.classes}}


def answers(predicted: Floats, inputs: Inputs, threshold: Threshold) -> list[NDArray[Any]]:
    """These columns, each (N,). Shape: predicted (N, C)."""
    assert not isinstance(threshold, list)
    called = np.array(inputs.classes, dtype=object)[decide(predicted, threshold, inputs.positive)]
    return [called, *predicted.T]


def calibrated(held: HeldOut) -> Calibration | None:
    """How probabilities are mended; None where nothing was asked for, or `auto` finds nothing to mend."""
    asked, probabilities = held.params.calibration, held.predicted
    if in_closed_form(held.params, held.inputs):
        factor = np.ones(probabilities.shape[1]) if held.correction is None else np.array(held.correction, np.float64)
        shift = factor * own_shift(held.params, held.train) if held.network else factor
        return None if asked == "auto" and np.allclose(shift, shift[0]) else calibration.prior(shift)
    if asked == "none" or asked == "auto":
        return None
    assert held.validation.target is not None
    return calibration.fit(probabilities, held.validation.target, asked)


def in_closed_form(params: TrainParams, inputs: Inputs) -> bool:
    """Whether what balancing, sampler and loss shifted is to be taken back."""
    return params.calibration == "prior" or (params.calibration == "auto" and len(inputs.classes) == 2)


def own_shift(params: TrainParams, train: Examples) -> Floats:
    """What a network's probability of a class is multiplied by to undo what it owes to sampler and loss. Shape: (C,).

    The training rows' own balance comes beside it. The balanced sampler shows other shares than the rows have; logit
    adjustment divides by the shares shown.
    """
    assert train.target is not None
    rows = class_shares(train.target, train.weight)
    shown = class_shares(train.target, train.weight, balanced=params.sampler == "balanced")
    adjusted = params.adjustment if params.loss == "logit_adjusted" else 0.0
    return np.asarray(rows / shown * shown**adjusted, dtype=np.float64)


def _threshold(params: TrainParams, inputs: Inputs, validation: Examples, probabilities: Floats) -> float | None:
    if len(inputs.classes) > 2:
        return None
    if not isinstance(params.threshold, str):
        return float(params.threshold)
    assert validation.target is not None
    return choose(validation.target == inputs.positive, probabilities[:, inputs.positive], params.threshold)

"""Several yes or no answers of a row, not all of which need be known: a probability of each."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contracts.answers import NO, UNKNOWN, YES, refuse_one_answer, unpacked
from contracts.errors import MedloopError
from contracts.examples import Examples, Inputs
from contracts.tasks import Asked
from models.calibration import Calibration
from models.held_out import HeldOut
from models.params import TrainParams
from models.scores import scores as class_scores
from models.threshold import Threshold, choose

if TYPE_CHECKING:
    from torch import Tensor, nn

Floats = NDArray[np.float64]
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "loss": ("binary", "binary_balanced"),
    "monitor": ("auroc", "average_precision", "loss"),
    "sampler": ("shuffled",),
    "calibration": ("auto", "none"),
}
HEADLINE = ("AUROC", "validation_auroc")
NONE = "none"


def outputs(inputs: Inputs) -> int:
    """The log-odds of each label."""
    return len(inputs.labels)


def informed(inputs: Inputs, train: Examples) -> Inputs:
    """Nothing is learnt of the labels beforehand."""
    return inputs


def check(train: Examples, validation: Examples, inputs: Inputs, params: TrainParams) -> None:
    """Raises MedloopError for rows without labels, and a label that is the same in all rows where it is known."""
    for name, part in (("training", train), ("validation", validation)):
        if part.target is None or len(part.target) != len(part):
            raise MedloopError(f"expected labels for each of the {len(part)} {name} rows")
        refuse_one_answer(part.target, inputs.labels, name)


def loss(inputs: Inputs, params: TrainParams, target: "Tensor", weight: "Tensor") -> "nn.Module":
    """See `models.losses.LabelLoss`."""
    import torch

    from models.losses import LabelLoss

    if params.loss == "binary":
        return LabelLoss(torch.ones(len(inputs.labels)))
    answers = unpacked(target.numpy(), len(inputs.labels))
    size = weight.numpy().astype(np.float64)
    return LabelLoss(torch.from_numpy(size @ (answers == NO) / (size @ (answers == YES))).float())


def predicted(outputs: Floats, inputs: Inputs) -> Floats:
    """The probability of each label. Shape: (N, L) -> (N, L)."""
    return np.asarray(np.exp(-np.logaddexp(0, -outputs)), dtype=np.float64)


def scores(predicted: Floats, examples: Examples, inputs: Inputs) -> dict[str, float]:
    """`validation_` auroc, average_precision and loss, each the mean over the labels of the rows where one is known."""
    found = []
    for k, part in enumerate(apart(examples, inputs)):
        assert part.at is not None
        yes = predicted[part.at, k]
        found.append(class_scores(np.column_stack([1 - yes, yes]), replace(part, at=None), positive=1))
    return {name: float(np.mean([of[name] for of in found])) for name in found[0]}


def losses(predicted: Floats, examples: Examples, inputs: Inputs) -> Floats:
    """The cross entropy of each row, the mean over the labels that are known of it. Shape: (N, L) -> (N,)."""
    assert examples.target is not None
    answers = unpacked(examples.target, len(inputs.labels))
    own = np.where(answers == YES, predicted, 1 - predicted)
    nats = np.where(answers == UNKNOWN, 0, -np.log(np.maximum(own, 1e-15)))
    return np.asarray(nats.sum(axis=1) / np.maximum((answers != UNKNOWN).sum(axis=1), 1), dtype=np.float64)


def finished(held: HeldOut) -> tuple[Calibration | None, Threshold]:
    """Nothing is mended; the threshold of each label."""
    threshold = held.params.threshold
    if not isinstance(threshold, str):
        return None, [float(threshold)] * len(held.inputs.labels)
    found = []
    for k, part in enumerate(apart(held.validation, held.inputs)):
        assert part.target is not None
        found.append(choose(part.target == YES, held.predicted[part.at, k], threshold))
    return None, found


def columns(target: Asked) -> dict[str, str]:
    """The labels that are called so, and each label's probability."""
    return {"predicted": "string", **{f"probability={label}": "double" for label in target.columns}}


def answers(predicted: Floats, inputs: Inputs, threshold: Threshold) -> list[NDArray[Any]]:
    """These columns, each (N,). Shape: predicted (N, L)."""
    assert isinstance(threshold, list)
    called = [
        ", ".join(label for label, so in zip(inputs.labels, row, strict=True) if so) or NONE
        for row in predicted >= np.array(threshold)
    ]
    return [np.array(called, dtype=object), *predicted.T]


def apart(examples: Examples, inputs: Inputs) -> list[Examples]:
    """By label the rows in which it is known, `at` their places, and 0 or 1 as their target."""
    assert examples.target is not None
    found = []
    for of in unpacked(examples.target, len(inputs.labels)).T:
        at = np.flatnonzero(of != UNKNOWN)
        weight = None if examples.weight is None else examples.weight[at]
        found.append(Examples(table=examples.table[at], at=at, target=of[at], weight=weight))
    return found

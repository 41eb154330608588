"""Where in a text something is named, and what: a tag for each word, and the entities that tags make up."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError, listed
from contracts.examples import Examples, Inputs
from contracts.tags import NO_WORD, counted, entities, tags_of
from contracts.tasks import Asked
from models import calibration
from models.calibration import Calibration
from models.held_out import HeldOut
from models.params import TrainParams
from models.threshold import Threshold

if TYPE_CHECKING:
    from torch import Tensor, nn

Floats = NDArray[np.float64]
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "loss": ("cross_entropy",),
    "monitor": ("f1", "loss"),
    "sampler": ("shuffled",),
    "calibration": ("auto", "none", "temperature"),
}
HEADLINE = ("F1", "validation_f1")


def outputs(inputs: Inputs) -> int:
    """A logit for each tag that a word can have."""
    return tags_of(len(inputs.labels))


def informed(inputs: Inputs, train: Examples) -> Inputs:
    """Nothing is learnt of the labels beforehand."""
    return inputs


def check(train: Examples, validation: Examples, inputs: Inputs, params: TrainParams) -> None:
    """Raises MedloopError for rows without tags, a label of no training entity, and validation texts without any."""
    if params.devices > 1:
        raise MedloopError("tagging is trained on one device", where="train.devices", mend="devices: 1")
    for name, part in (("training", train), ("validation", validation)):
        if part.target is None or part.target.ndim != 2 or len(part.target) != len(part):
            raise MedloopError(f"expected the tags of the words of each of the {len(part)} {name} rows")
        named = set(entities(part.target)[:, 3].tolist())
        absent = [label for place, label in enumerate(inputs.labels) if place not in named]
        if absent and (part is train or not named):
            raise MedloopError(
                f"no {name} text has an entity of {listed(absent)}",
                where=f"{name} rows",
                mend="label more texts, or leave it out of target.classes and of the spans",
            )


def loss(inputs: Inputs, params: TrainParams, target: "Tensor", weight: "Tensor") -> "nn.Module":
    """See `models.losses.TagLoss`."""
    from models.losses import TagLoss

    return TagLoss(_words(target.numpy()), params.label_smoothing)


def predicted(outputs: Floats, inputs: Inputs) -> Floats:
    """The probability of each word's tags: softmax of the logits. Shape: (N, T, C) -> (N, T, C)."""
    odds = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True), dtype=np.float64)


def scores(predicted: Floats, examples: Examples, inputs: Inputs) -> dict[str, float]:
    """`validation_` f1, of whole entities, of all labels together, and loss: nats a word."""
    assert examples.target is not None
    found = counted(
        entities(examples.target), entities(predicted.argmax(axis=2)), len(examples), len(inputs.labels)
    ).sum(axis=(0, 1))
    return {
        "validation_f1": float(2 * found[2] / max(found[0] + found[1], 1)),
        "validation_loss": float(np.average(losses(predicted, examples), weights=examples.weight)),
    }


def losses(predicted: Floats, examples: Examples) -> Floats:
    """What `models.losses.TagLoss` gives of each row, of the words that are read. Shape: (N, T, C) -> (N,)."""
    assert examples.target is not None
    tags = examples.target[:, : predicted.shape[1]].astype(np.int64)
    own = np.take_along_axis(predicted[:, : tags.shape[1]], np.maximum(tags, 0)[..., None], axis=2)[..., 0]
    nats = np.where(tags == NO_WORD, 0.0, -np.log(np.maximum(own, 1e-15)))
    return np.asarray(nats.sum(axis=1) / _words(examples.target), dtype=np.float64)


def finished(held: HeldOut) -> tuple[Calibration | None, Threshold]:
    """The temperature of words' tags, where it is asked for: each word keeps its most probable tag."""
    if held.params.calibration != "temperature":
        return None, None
    assert held.validation.target is not None
    tags = held.validation.target[:, : held.predicted.shape[1]]
    own = tags != NO_WORD
    told = held.predicted[:, : tags.shape[1]][own]
    return calibration.fit(told, tags[own].astype(np.int64), "temperature"), None


def columns(target: Asked) -> dict[str, str]:
    """The entities of a text, as `answers` gives them."""
    return {"predicted": "string"}


def answers(predicted: Floats, inputs: Inputs, threshold: Threshold) -> list[NDArray[Any]]:
    """Of each text a list [[first word, the one after the last, label, probability], …] as JSON, (N,).

    The probability is that of all its words' tags, as if they were independent. Shape: predicted (N, T, C).
    """
    found: list[list[tuple[int, int, str, float]]] = [[] for _ in predicted]
    tags = predicted.argmax(axis=2)
    best = np.take_along_axis(predicted, tags[..., None], axis=2)[..., 0]
    for row, begin, end, label in entities(tags).tolist():
        found[row].append((begin, end, inputs.labels[label], round(float(best[row, begin:end].prod()), 6)))
    return [np.array([json.dumps(of, ensure_ascii=False) for of in found], dtype=object)]


def _words(tags: NDArray[Any]) -> float:
    """How many words a text has on average."""
    return float(max((tags != NO_WORD).sum() / max(len(tags), 1), 1.0))

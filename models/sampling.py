"""Which training rows an epoch takes, in which order, and what shares of the classes a network thus sees."""

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from contracts.examples import Examples
from models.params import TrainParams


def epoch_rows(target: NDArray[np.int64], params: TrainParams, epoch: int) -> NDArray[np.int64]:
    """The row numbers of an epoch, as many as there are rows, from (seed, epoch) alone. Shape: target (N,) -> (N,).

    Balanced: classes come equally often, give or take a row, each row of a class drawn with equal chance and put back.
    """
    random = np.random.default_rng([params.seed, epoch])
    if params.sampler == "shuffled":
        return random.permutation(len(target))
    classes = np.unique(target)
    turns = random.permutation(np.resize(classes, len(target)))
    rows = np.empty(len(target), dtype=np.int64)
    for index in classes:
        places = turns == index
        rows[places] = random.choice(np.flatnonzero(target == index), size=int(places.sum()))
    return rows


def class_shares(
    target: NDArray[np.int64], weight: NDArray[np.float32] | None, *, balanced: bool = False, classes: int = 0
) -> NDArray[np.float64]:
    """Each class's share in what a sampler shows a network, by weight. Shape: target (N,), weight (N,) -> (C,).

    balanced: by the balanced sampler; every class then occurs
    classes: how many there are at least, beside those that occur
    """
    total = np.bincount(target, weight, minlength=classes).astype(np.float64)
    if balanced:
        total /= np.bincount(target)
    return np.asarray(total / total.sum(), dtype=np.float64)


def weighed_as(train: Examples, validation: Examples, classes: int) -> Examples:
    """The validation rows, each class of which has the share of the weight that it has in training.

    As they come, where a class is rare and training is balanced, their loss falls on and on while a model learns its
    rows by heart: that brings its probabilities, which are too high for the rare class, down again.
    """
    assert train.target is not None
    assert validation.target is not None
    then = class_shares(train.target, train.weight, classes=classes)
    now = class_shares(validation.target, validation.weight, classes=classes)
    factor = np.divide(then, now, out=np.ones(classes), where=now > 0)[validation.target]
    own = 1 if validation.weight is None else validation.weight
    return replace(validation, weight=(own * factor).astype(np.float32))


def mixed(*numbers: int) -> int:
    """A seed of these numbers: neighbouring steps and seeds share nothing."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, numbers)).encode()).digest()[:7], "big")

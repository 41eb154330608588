"""Logistic regression on the words around each word: what `logistic` is of classes, this is of tags.

A word's tag is told by which words stand where in its window, itself included, with an L2 penalty (scikit-learn). A
word that is rare in training is known as such alone, and by those around it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.examples import Examples, Inputs, Kind
from contracts.tags import tags_of
from contracts.tasks import Task
from models import linear
from models.linear import best, check_candidates
from models.tasks.tagging import losses, predicted

READS: tuple[Kind, ...] = ("text",)
TASKS: tuple[Task, ...] = ("tagging",)
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Config:
    """The penalty is the one of `strengths` with the smallest log loss on validation rows.

    around: how many words on either side are looked at
    strengths: candidates for C, the inverse of the penalty; one alone is taken as it is
    max_iter: most iterations of the solver (L-BFGS)
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    around: int = 3
    strengths: tuple[float, ...] = (0.3, 1.0, 3.0)
    max_iter: int = 200

    def __post_init__(self) -> None:
        if self.around < 0 or self.max_iter < 1:
            raise ValueError(f"around is 0 or more, max_iter 1 or more; got {self.around} and {self.max_iter}")
        check_candidates("strengths", self.strengths)


def fit(
    train: Examples, validation: Examples, *, config: Config, inputs: Inputs, seed: int, threads: int
) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
    """The arrays `coefficient` (W, V, C), of W places of a window and V words, and `intercept` (C,), in float64.

    Deterministic by nature: `seed` is not used. Raises MedloopError when the solver finds no finite answer.
    """
    from threadpoolctl import threadpool_limits

    ((_, form),) = inputs.of_kind("text").items()
    with threadpool_limits(threads):
        candidates = [(c, _fitted(train, c, config, form.vocabulary, inputs)) for c in config.strengths]
    found = [
        float(losses(predicted(outputs(arrays, validation), inputs), validation).mean()) for _, arrays in candidates
    ]
    arrays, strength = best(candidates, found, "the regression on windows", "lower `strengths`")
    return arrays, {"strength": strength}


def _fitted(
    train: Examples, strength: float, config: Config, vocabulary: int, inputs: Inputs
) -> dict[str, NDArray[Any]]:
    from scipy.sparse import csr_array

    assert train.target is not None
    words = _words(train)
    own = words >= 0
    windows = _windows(words, config.around)[own] + np.arange(2 * config.around + 1) * (vocabulary + 1) + 1
    wide = (2 * config.around + 1) * (vocabulary + 1)
    places = np.arange(0, windows.size + 1, windows.shape[1])
    seen = csr_array((np.ones(windows.size), windows.ravel(), places), shape=(len(windows), wide))
    tags = train.target[:, : words.shape[1]][own]
    weight = None if train.weight is None else np.broadcast_to(train.weight[:, None], words.shape)[own]
    model = linear.logistic(seen, tags, weight, strength=strength, max_iter=config.max_iter)
    return _arrays(model, 2 * config.around + 1, tags_of(len(inputs.labels)))


def _arrays(model: Any, places: int, tags: int) -> dict[str, NDArray[Any]]:
    """What was learnt, with a tag that no word had as unlikely as can be; of two tags scikit-learn tells one."""
    given, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        given, bias = np.concatenate([-given / 2, given / 2]), np.concatenate([-bias / 2, bias / 2])
    coefficient, intercept = np.zeros((tags, given.shape[1])), np.full(tags, -30.0)
    coefficient[model.classes_], intercept[model.classes_] = given, bias
    return {"coefficient": coefficient.T.reshape(places, -1, tags), "intercept": intercept}


def outputs(arrays: dict[str, NDArray[Any]], examples: Examples) -> NDArray[np.float64]:
    """The linear scores of each word, zeros beyond a text's own. Shape: N rows -> (N, T, C)."""
    words, coefficient = _words(examples), arrays["coefficient"]
    windows = _windows(words, len(coefficient) // 2) + 1
    found = np.zeros((*words.shape, coefficient.shape[2])) + arrays["intercept"]
    for place, by_word in enumerate(coefficient):
        found += by_word[windows[..., place]]
    return np.where((words >= 0)[..., None], found, 0.0)


def _words(examples: Examples) -> Ints:
    """The words of each text by number, -1 beyond. Shape: N rows -> (N, T)."""
    ((_, of),) = (
        (name, of) for name, of in examples.payloads.items() if of.offsets is not None and of.values.ndim == 1
    )
    at = np.arange(len(examples)) if examples.at is None else examples.at
    pieces = [of[place] for place in at.tolist()]
    found = np.full((len(pieces), max([1, *map(len, pieces)])), -1, dtype=np.int64)
    for row, piece in zip(found, pieces, strict=True):
        row[: len(piece)] = piece
    return found


def _windows(words: Ints, around: int) -> Ints:
    """The words around each, itself in the middle; -1 beyond the text. Shape: (N, T) -> (N, T, 2 around + 1)."""
    wide = np.pad(words, ((0, 0), (around, around)), constant_values=-1)
    return np.lib.stride_tricks.sliding_window_view(wide, 2 * around + 1, axis=1)

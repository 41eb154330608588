"""Logistic regression with an L2 penalty (scikit-learn), the baseline every network must beat.

Of several labels one regression each, of the rows of which the label is known.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.examples import Examples, Inputs, Kind
from contracts.tasks import Task
from models import linear
from models.linear import best, check_candidates
from models.sampling import weighed_as
from models.tasks import multilabel
from models.tasks.classes import predicted

READS: tuple[Kind, ...] = ("table",)
TASKS: tuple[Task, ...] = ("classes", "ordinal", "multilabel")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The penalty is the one of `strengths` with the smallest log loss on validation rows, weighed as in training.

    strengths: candidates for C, the inverse of the penalty; one alone is taken as it is
    max_iter: most iterations of the solver (L-BFGS)
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    strengths: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0)
    max_iter: int = 1000

    def __post_init__(self) -> None:
        check_candidates("strengths", self.strengths)
        if self.max_iter < 1:
            raise ValueError(f"max_iter is 1 or more; got {self.max_iter}")


def fit(
    train: Examples, validation: Examples, *, config: Config, inputs: Inputs, seed: int, threads: int
) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
    """The arrays `coefficient` (F, C or L) and `intercept` (C or L,) in float64, and the strength that won.

    Deterministic by nature: `seed` is not used. Raises MedloopError when the solver finds no finite answer.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads):
        candidates = [(c, _fitted(train, c, config, inputs)) for c in config.strengths]
    if inputs.task != "multilabel":
        validation = weighed_as(train, validation, len(inputs.classes))
    losses = [_log_loss(arrays, validation, inputs) for _, arrays in candidates]
    arrays, strength = best(candidates, losses, "logistic regression", "normalise the columns, or lower `strengths`")
    return arrays, {"strength": strength}


def _fitted(train: Examples, strength: float, config: Config, inputs: Inputs) -> dict[str, NDArray[Any]]:
    if inputs.task != "multilabel":
        coefficient, intercept = _regressed(train, strength, config)
        if len(inputs.classes) == 2:  # one logit becomes two, so that softmax serves any number of classes
            coefficient, intercept = np.pad(coefficient, ((0, 0), (1, 0))), np.pad(intercept, (1, 0))
        return {"coefficient": coefficient, "intercept": intercept}
    each = [_regressed(of, strength, config) for of in multilabel.apart(train, inputs)]
    coefficients, intercepts = zip(*each, strict=True)
    return {"coefficient": np.concatenate(coefficients, axis=1), "intercept": np.concatenate(intercepts)}


def _regressed(train: Examples, strength: float, config: Config) -> tuple[NDArray[Any], NDArray[Any]]:
    """Coefficients and intercepts, of two classes those of the second alone. Shape: (F, K), (K,)."""
    assert train.target is not None
    table = train.table.astype(np.float64)
    model = linear.logistic(table, train.target, train.weight, strength=strength, max_iter=config.max_iter)
    return model.coef_.T, model.intercept_


def _log_loss(arrays: dict[str, NDArray[Any]], examples: Examples, inputs: Inputs) -> float:
    given = outputs(arrays, examples.table)
    if inputs.task == "multilabel":
        losses = multilabel.losses(multilabel.predicted(given, inputs), examples, inputs)
        return float(np.average(losses, weights=examples.weight))
    assert examples.target is not None
    probability = predicted(given, inputs)
    own = probability[np.arange(len(examples)), examples.target]
    return float(np.average(-np.log(np.maximum(own, 1e-15)), weights=examples.weight))


def outputs(arrays: dict[str, NDArray[Any]], table: NDArray[np.float32]) -> NDArray[np.float64]:
    """The linear scores. Shape: (N, F) -> (N, C)."""
    return np.asarray(table.astype(np.float64) @ arrays["coefficient"] + arrays["intercept"], dtype=np.float64)

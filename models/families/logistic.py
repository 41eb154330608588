"""Logistic regression with an L2 penalty (scikit-learn), the baseline every network must beat."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError
from contracts.examples import Examples, Inputs, Kind
from contracts.tasks import Task
from models.tasks.classes import predicted

READS: tuple[Kind, ...] = ("table",)
TASKS: tuple[Task, ...] = ("classes", "ordinal")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The penalty is the one of `strengths` with the smallest log loss on validation rows.

    strengths: candidates for C, the inverse of the penalty; one alone is taken as it is
    max_iter: most iterations of the solver (L-BFGS)
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    strengths: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0)
    max_iter: int = 1000

    def __post_init__(self) -> None:
        if not self.strengths or min(self.strengths) <= 0:
            raise ValueError(f"strengths are numbers above 0, one at least; got {list(self.strengths)}")
        if self.max_iter < 1:
            raise ValueError(f"max_iter is 1 or more; got {self.max_iter}")


def fit(
    train: Examples, validation: Examples, *, config: Config, inputs: Inputs, seed: int, threads: int
) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
    """The arrays `coefficient` (F, C) and `intercept` (C,) in float64, and the strength that won.

    Deterministic by nature: `seed` is not used. Raises MedloopError when the solver finds no finite answer.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads):
        candidates = [(c, _fitted(train, c, config, len(inputs.classes))) for c in config.strengths]
    losses = [_log_loss(arrays, validation, inputs) for _, arrays in candidates]
    if not np.isfinite(losses).all():
        raise MedloopError("logistic regression diverged", mend="normalise the columns, or lower `strengths`")
    strength, arrays = candidates[int(np.argmin(losses))]
    return arrays, {"strength": strength}


def _fitted(train: Examples, strength: float, config: Config, classes: int) -> dict[str, NDArray[Any]]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=config.max_iter)
    with warnings.catch_warnings():  # stopping early only regularises a little more
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(train.table.astype(np.float64), train.target, sample_weight=train.weight)
    coefficient, intercept = model.coef_.T, model.intercept_
    if classes == 2:  # one logit becomes two, so that softmax serves any number of classes
        coefficient, intercept = np.pad(coefficient, ((0, 0), (1, 0))), np.pad(intercept, (1, 0))
    return {"coefficient": coefficient, "intercept": intercept}


def _log_loss(arrays: dict[str, NDArray[Any]], examples: Examples, inputs: Inputs) -> float:
    assert examples.target is not None
    probability = predicted(outputs(arrays, examples.table), inputs)
    own = probability[np.arange(len(examples)), examples.target]
    return float(np.average(-np.log(np.maximum(own, 1e-15)), weights=examples.weight))


def outputs(arrays: dict[str, NDArray[Any]], table: NDArray[np.float32]) -> NDArray[np.float64]:
    """The linear scores. Shape: (N, F) -> (N, C)."""
    return np.asarray(table.astype(np.float64) @ arrays["coefficient"] + arrays["intercept"], dtype=np.float64)

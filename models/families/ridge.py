"""Linear regression with an L2 penalty (scikit-learn's Ridge): of numbers what `logistic` is of classes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.examples import Examples, Inputs, Kind
from contracts.tasks import Task
from models.linear import Penalties, best

READS: tuple[Kind, ...] = ("table",)
TASKS: tuple[Task, ...] = ("regression", "forecasting")


@dataclass(frozen=True, kw_only=True)
class Config(Penalties):
    """The penalty is the one of `penalties` with the smallest squared error on validation rows.

    penalties: candidates for the weight of the squared coefficients beside the sum of squared errors; one alone is
        taken as it is
    """


def fit(
    train: Examples, validation: Examples, *, config: Config, inputs: Inputs, seed: int, threads: int
) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
    """The arrays `coefficient` (F, K) and `intercept` (K,) of the scaled label, in float64, and the penalty that won.

    Deterministic by nature: `seed` is not used.
    """
    from threadpoolctl import threadpool_limits

    assert validation.target is not None
    goal = (validation.target - inputs.centre) / inputs.spread
    with threadpool_limits(threads):
        candidates = [(penalty, _fitted(train, penalty, inputs)) for penalty in config.penalties]
    errors = [
        np.average(_squares(outputs(arrays, validation.table), goal), weights=validation.weight)
        for _, arrays in candidates
    ]
    arrays, penalty = best(candidates, errors, "linear regression", "normalise the columns, or raise `penalties`")
    return arrays, {"penalty": penalty}


def _fitted(train: Examples, penalty: float, inputs: Inputs) -> dict[str, NDArray[Any]]:
    from sklearn.linear_model import Ridge

    assert train.target is not None
    goal = (train.target - inputs.centre) / inputs.spread
    model = Ridge(alpha=penalty, solver="cholesky")
    model.fit(train.table.astype(np.float64), goal, sample_weight=train.weight)
    coefficient = np.ascontiguousarray(np.atleast_2d(model.coef_).T)
    return {"coefficient": coefficient, "intercept": np.atleast_1d(model.intercept_)}


def _squares(given: NDArray[np.float64], goal: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) the mean squared error of each row."""
    return np.asarray(((given - goal.reshape(given.shape)) ** 2).mean(axis=1))


def outputs(arrays: dict[str, NDArray[Any]], table: NDArray[np.float32]) -> NDArray[np.float64]:
    """The scaled numbers. Shape: (N, F) -> (N, K)."""
    return np.asarray(table.astype(np.float64) @ arrays["coefficient"] + arrays["intercept"], dtype=np.float64)

"""What the linear baselines share: a penalty chosen on validation rows, and logistic regression itself."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Penalties:
    """Candidates of a penalty, of which that with the smallest loss on validation rows is taken; see its families."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    penalties: tuple[float, ...] = (1.0, 10.0, 100.0, 1000.0)

    def __post_init__(self) -> None:
        check_candidates("penalties", self.penalties)


def check_candidates(name: str, values: Sequence[float]) -> None:
    """Raises ValueError where there is none, or one that is not above 0."""
    if not values or min(values) <= 0:
        raise ValueError(f"{name} are numbers above 0, one at least; got {list(values)}")


def best(
    candidates: Sequence[tuple[float, Arrays]], losses: Sequence[float], what: str, mend: str
) -> tuple[Arrays, float]:
    """The arrays of the smallest loss, and their penalty. Raises MedloopError where a loss is not finite."""
    if not np.isfinite(losses).all():
        raise MedloopError(f"{what} diverged", mend=mend)
    penalty, arrays = candidates[int(np.argmin(losses))]
    return arrays, penalty


def logistic(table: Any, target: NDArray[Any], weight: NDArray[Any] | None, *, strength: float, max_iter: int) -> Any:
    """scikit-learn's logistic regression, fitted; `strength` is its C, the inverse of the penalty."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=max_iter)
    with warnings.catch_warnings():  # stopping early only regularises a little more
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(table, target, sample_weight=weight)

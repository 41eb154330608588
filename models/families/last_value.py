"""The naive forecast: the last known value goes on (Hyndman & Koehler, Int. J. Forecasting 22, 2006, "random walk").

Every forecast must beat it, and many do not. Nothing is learnt.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.examples import Examples, Inputs, Kind
from contracts.tasks import Task

READS: tuple[Kind, ...] = ("table",)
TASKS: tuple[Task, ...] = ("forecasting",)


@dataclass(frozen=True, kw_only=True)
class Config:
    """There is nothing to set."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)


def fit(
    train: Examples, validation: Examples, *, config: Config, inputs: Inputs, seed: int, threads: int
) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
    """The array `unchanged` (H,), what no change is on the scale of the label; `seed` and rows are not used."""
    return {"unchanged": np.full(int(inputs.horizon), -inputs.centre / inputs.spread)}, {}


def outputs(arrays: dict[str, NDArray[Any]], table: NDArray[np.float32]) -> NDArray[np.float64]:
    """The same for every row. Shape: (N, F) -> (N, H)."""
    return np.tile(arrays["unchanged"], (len(table), 1))

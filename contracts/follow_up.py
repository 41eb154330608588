"""How long somebody was followed and how it ended, in one number, so that a label of survival is one column.

The time itself where the event happened then, less than zero where it had not happened until then (right censoring), as
XGBoost's `survival:cox` has it. The sign counts at time 0 too.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

TIMES = 10  # the moments up to the horizon at which survival is told and judged


def signed(time: NDArray[np.float64], happened: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The label. Shape: time (N,) of 0 or more, happened (N,) whether the event did then -> (N,)."""
    return np.copysign(time, np.where(happened, 1.0, -1.0))


def followed(target: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Time, and whether the event happened then. Shape: (N,) -> (N,), (N,)."""
    values = np.asarray(target, dtype=np.float64)
    return np.abs(values), ~np.signbit(values)


def times(horizon: float) -> NDArray[np.float64]:
    """The moments, equally far apart, the horizon last. Shape: (TIMES,)."""
    return np.asarray(horizon * np.arange(1, TIMES + 1) / TIMES, dtype=np.float64)

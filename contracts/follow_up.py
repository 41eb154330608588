"""How long somebody was followed and how it ended, in one number, so that a label of survival is one column.

The time itself where the event happened then, less than zero where it had not happened until then (right censoring), as
XGBoost's `survival:cox` has it. The sign counts at time 0 too.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError

FEWEST = 20  # events by the horizon that training takes
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


def refuse_few_events(target: NDArray[Any], horizon: float, unit: str, part: str) -> None:
    """Raises MedloopError where too few of these rows had the event by the horizon, or none was followed beyond it."""
    time, happened = followed(target)
    events, fewest = int((happened & (time <= horizon)).sum()), FEWEST if part == "training" else 1
    by = f"the horizon of {horizon:g} {unit}".rstrip()
    if events < fewest:
        raise MedloopError(
            f"by {by} the event happened in {events} {part} rows; {fewest} are needed",
            where=f"{part} rows",
            mend="take a later target.horizon, in the unit of target.column, or gather more rows; "
            "target.positive is the level that means that it happened",
        )
    if time.max() <= horizon:
        raise MedloopError(
            f"no {part} row was followed beyond {by}",
            where="target.horizon",
            mend="take an earlier one, in the unit of target.column",
        )

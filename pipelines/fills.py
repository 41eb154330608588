"""What goes into a gap when one value suits all rows: an average, a frequent value, a constant."""

from typing import Any

import numpy as np
import pandas as pd

from contracts.errors import MedloopError
from contracts.study import Column
from pipelines.neighbours import FEWEST
from pipelines.table import places_among

MISSING = "‹missing›"


def simple_fill(values: "pd.Series[Any]", column: Column, method: str) -> float | str:
    """What goes into a gap by a simple method; what a learnt one starts from, or falls back on."""
    if column.type == "numeric":
        if method == "most_frequent" and values.value_counts().iloc[0] >= FEWEST:
            return float(values.mode().iloc[0])
        started = method in ("mean", "regression", "mice", "forest", "autoencoder")
        return float(values.mean() if started else values.median())
    if column.type == "categorical":
        return MISSING if method == "missing_level" else min(map(str, values.mode()))
    ordered = values.dropna()
    if column.type == "ordinal":
        ordered = pd.Series(places_among(column.levels, ordered))
    middle = ordered.sort_values().iloc[(len(ordered) - 1) // 2]
    if method == "most_frequent":
        middle = ordered.mode().iloc[0]
    return column.levels[middle] if column.type == "ordinal" else str(middle.isoformat())


def constant_fill(name: str, column: Column, text: str | None, constant: float) -> float | str:
    """The value that the settings name for a column: its own `text`, for numbers else `constant`.

    Raises MedloopError when there is none that suits the column.
    """
    try:
        if column.type == "numeric":
            number = constant if text is None else float(text)
            if np.isfinite(number):
                return number
        elif column.type == "datetime" and text:
            return str(pd.Timestamp(text).isoformat())
        elif text and (text in column.levels or not column.levels):
            return text
    except ValueError:
        pass
    known = f", one of {list(column.levels)}" if column.levels else ""
    raise MedloopError(
        f"impute fills {name} with a constant, and impute.constants has none that suits a {column.type} column",
        mend=f"name its value{known}: constants: {{{name}: …}}",
    )

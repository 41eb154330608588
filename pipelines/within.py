"""Gaps filled from the same patient's other moments: carried on, carried back, or a line between two."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

Within = Literal["forward", "backward", "interpolate"]


def fill_within(methods: Mapping[str, Within], samples: pd.DataFrame) -> dict[str, "pd.Series[Any]"]:
    """The columns of `methods`, filled where the patient (`@group`) has a value at another moment (`@time`).

    "forward" takes the last value before, and so nothing that lies ahead. "backward" takes the next one after, and
    "interpolate" draws a line between both (numeric columns; before the first value and after the last, that one):
    both look ahead, which only retrospective data allow. What stays missing has no value to take.
    A patient is in one part only, so nothing crosses from part to part. Rows without a patient or a time stand alone.
    """
    if "@group" not in samples or "@time" not in samples:
        return {name: samples[name] for name in methods}
    placed = samples[samples["@group"].notna() & samples["@time"].notna()]
    order = placed.sort_values(["@group", "@time", "@id"])
    return {name: _filled(order, name, method).reindex(samples.index).fillna(samples[name])
            for name, method in methods.items()}  # fmt: skip


def _filled(order: pd.DataFrame, name: str, method: Within) -> "pd.Series[Any]":
    by_patient = order[name].groupby(order["@group"])
    if method == "forward":
        return by_patient.ffill()
    return by_patient.bfill() if method == "backward" else _line(order, name)


def _line(order: pd.DataFrame, name: str) -> "pd.Series[Any]":
    known = order["@time"].where(order[name].notna())
    moments = known.groupby(order["@group"])
    values = order[name].groupby(order["@group"])
    before, after = moments.ffill(), moments.bfill()
    last, following = values.ffill(), values.bfill()
    span = (after - before).dt.total_seconds()
    share = ((order["@time"] - before).dt.total_seconds() / span.where(span > 0)).fillna(0.0)
    line = last + share * (following - last)
    return order[name].fillna(line).fillna(last).fillna(following).astype(np.float64)

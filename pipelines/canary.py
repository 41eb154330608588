"""The canary: what was fitted must not notice that every row outside training is another one."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.frames import with_columns
from contracts.study import Column, Frozen
from contracts.tables import Schema, label_names

Refit = Callable[[pd.DataFrame], Mapping[str, str]]

FAR = pd.Timedelta(days=10_000)
NEW_LEVEL = "‹canary›"


class Canary(Frozen):
    """What became of the fitted artefacts, by name, when `changed` rows were.

    noticed: those that differ from a fit without the change. otherwise: those that do not, but differ from
    the stored ones all the same: fitted on another machine, or not what the settings give.
    """

    changed: int
    fits: tuple[str, ...]
    noticed: tuple[str, ...]
    otherwise: tuple[str, ...]


def canary(samples: pd.DataFrame, train: set[str], schema: Schema, stored: Mapping[str, str], refit: Refit) -> Canary:
    """Fits again with all rows outside `train` changed, and compares byte for byte.

    Args:
        train: the ids of the training rows.
        stored: the artefacts of the run, as text, by name.
        refit: fits on such samples and gives the artefacts anew, in the same text. Called once, and a second time only
            when an artefact differs from the stored one.
    """
    after = refit(changed_outside(samples, train, schema))
    differ = [name for name in stored if stored[name] != after.get(name)]
    before = refit(samples) if differ else after
    noticed = tuple(name for name in differ if before.get(name) != after.get(name))
    return Canary(
        changed=int((~samples["@id"].isin(train)).sum()),
        fits=tuple(stored),
        noticed=noticed,
        otherwise=tuple(name for name in differ if name not in noticed),
    )


def changed_outside(samples: pd.DataFrame, train: set[str], schema: Schema) -> pd.DataFrame:
    """The samples with the rows outside `train` changed.

    Every other such row loses all its features; in the rest every value is a new one: numbers far off, a level that
    nobody has, the other end of a scale, dates decades later, the picture or sequence of another such row. All get the
    next class, and another time.
    """
    away = ~samples["@id"].isin(train).to_numpy()
    gone = away & (np.cumsum(away) % 2 == 0)
    columns = {
        name: samples[name].mask(away, _other(samples[name], column, away)).mask(gone)
        for name, column in schema.features.items()
    }
    columns |= {name: samples[name].mask(away, _other_label(samples[name], schema)) for name in label_names(samples)}
    if "@time" in samples:
        columns["@time"] = samples["@time"].mask(away, samples["@time"] + FAR)
    return with_columns(samples, columns)


def _other_label(target: "pd.Series[Any]", schema: Schema) -> "pd.Series[Any]":
    if schema.task == "tagging":
        return "1 " + target
    return (target + 1) % len(schema.classes) if schema.classes else -1e6 - 3 * target


def _other(values: "pd.Series[Any]", column: Column, away: "NDArray[np.bool_]") -> Any:
    match column.type:
        case "numeric":
            return -1e6 - 3 * values.fillna(0.0)
        case "datetime":
            return values + FAR
        case "ordinal":
            return values.eq(column.levels[-1]).map({True: column.levels[0], False: column.levels[-1]})
        case "categorical" | "text":
            return NEW_LEVEL
    moved = values.copy()
    moved[away] = np.roll(values[away], 1)
    return moved

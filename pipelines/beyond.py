"""Which numbers of new rows lie so far beyond the training rows' that normalisation cut them."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipelines.normalizer import Normalizer
from pipelines.scaling import Log, Power, Scale, Scaler

SHOWN = 3  # figures of a picture or sequence that are named


class _Clipped(NamedTuple):
    """A feature of a column, and the number that it is cut to."""

    column: str
    name: str
    clip: float


def cut_off(normalizer: Normalizer, features: pd.DataFrame) -> "pd.Series[str]":
    """(N,) the columns of each row that were cut, such as a recording in other units; "" where none was.

    features: as `apply_normalize` gave them.
    """
    told: defaultdict[int, list[str]] = defaultdict(list)
    for column, found in groupby(_clipped(normalizer), key=lambda one: one.column):
        _, names, clips = zip(*found, strict=True)
        beyond = np.abs(features[list(names)].to_numpy()) >= np.array(clips, dtype=np.float32)
        for row in np.flatnonzero(beyond.any(axis=1)).tolist():
            told[row].append(_said(column, [name for name, cut in zip(names, beyond[row], strict=True) if cut]))
    return pd.Series(["; ".join(told.get(row, ())) for row in range(len(features))], index=features.index, dtype="str")


def _clipped(normalizer: Normalizer) -> Iterator[_Clipped]:
    column_of = dict(zip(normalizer.names, normalizer.sources, strict=True))
    for name, scaler in normalizer.numbers.items():
        if (clip := _clip(scaler)) is not None:
            yield _Clipped(column_of[name], name, clip)
    if payloads := normalizer.payloads:
        for column, figures in payloads.figures.items():
            yield from (_Clipped(column, f"{column} {name}", payloads.clip) for name in figures.names)


def _clip(scaler: Scaler) -> float | None:
    if isinstance(scaler, Log | Power):
        return scaler.after.clip
    return scaler.clip if isinstance(scaler, Scale) else None


def _said(column: str, names: list[str]) -> str:
    figures = [name.removeprefix(f"{column} ") for name in names if name != column]
    more = f" and {len(figures) - SHOWN} more" if len(figures) > SHOWN else ""
    by = f" by its {', '.join(figures[:SHOWN])}{more}" if figures else ""
    return f"{column}: far beyond the training rows{by}, and cut"

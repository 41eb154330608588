"""Typed samples to the float32 matrix of a model: scaled numbers, encoded levels, dates in days."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from contracts.errors import MedloopError, listed
from contracts.study import Column, Frozen
from contracts.tables import RowsSeen, Schema, rows_seen

OTHER = "‹other›"
Array = NDArray[np.float64]
_FINITE = float(np.finfo(np.float32).max)


class NormalizeParams(Frozen):
    """How columns become numbers of alike size.

    numeric: "standard" (mean 0, deviation 1), "robust" (median 0, the middle half 1 wide), "minmax" (0 to 1 between
        the 0.5 and 99.5 % quantiles of the training rows, so that no one patient's value is stored),
        "quantile" (normal scores of the training ranks, for skewed values), or "none". A column of training
        values 0 and 1 only is left as it is.
    clip: scaled values end at ± this; a rare outlier cannot drown the rest.
    categorical: "onehot", a column a level, or "ordinal", one column of ranks by frequency, 0 the most frequent.
    min_count: levels of fewer training rows, which might tell of a person, share the bucket "‹other›", and so does
        every level unseen in training.
    Ordinal columns become ranks from 0 to 1; datetime columns days before the sample's time (where the study
    has one, else since 1970) and the season as sine and cosine.
    """

    numeric: Literal["standard", "robust", "minmax", "quantile", "none"] = "standard"
    clip: float = Field(default=10.0, gt=0)
    categorical: Literal["onehot", "ordinal"] = "onehot"
    min_count: int = Field(default=10, ge=5)


class Scale(Frozen):
    """(x - center) / scale, kept within ± clip."""

    center: float
    scale: float
    clip: float


class Scores(Frozen):
    """`scores` at `knots`, linear between, constant beyond."""

    knots: tuple[float, ...]
    scores: tuple[float, ...]


class Normalizer(Frozen):
    """What normalisation learnt from the training rows.

    numbers: by numeric part of a column, its scaling.
    levels: by categorical column, the levels that stand for themselves, most frequent first.
    onehot: whether levels become a column each.
    relative: whether dates count from the sample's own time.
    before: the schema of the samples it takes; names: the features it gives, in order.
    """

    numbers: dict[str, Scale | Scores]
    levels: dict[str, tuple[str, ...]]
    onehot: bool
    relative: bool
    before: Schema
    names: tuple[str, ...]
    seen: RowsSeen


def fit_normalize(train: pd.DataFrame, schema: Schema, params: NormalizeParams) -> Normalizer:
    """Learn scalings and levels from training rows without gaps.

    Raises MedloopError on a text, image or sequence column, on values too large to scale, and when two features
    would have one name.
    """
    _refuse_payloads(schema)
    relative = "@time" in train
    numbers = {
        name: _scaling(values, name, params)
        for name, column in schema.features.items()
        for name, values in _parts(train, name, column, relative)
    }
    levels = {name: _levels(train[name], params) for name in schema.of_type("categorical")}
    onehot = params.categorical == "onehot"
    names = tuple(
        name for column in schema.features for name in _names(column, schema.features[column], levels, onehot)
    )
    _refuse_twins(names)
    return Normalizer(
        numbers=numbers,
        levels=levels,
        onehot=onehot,
        relative=relative,
        before=schema,
        names=names,
        seen=rows_seen(train["@id"]),
    )


def apply_normalize(normalizer: Normalizer, samples: pd.DataFrame) -> pd.DataFrame:
    """`@id`, `@group` and `@target` where present, then (N, F) float32 in the order of `normalizer.names`.

    Raises MedloopError when a gap is left in a numeric, ordinal or datetime column: impute first.
    """
    matrix = np.zeros((len(samples), len(normalizer.names)), dtype=np.float32, order="F")
    place = 0
    for name, column in normalizer.before.features.items():
        place += _write(matrix[:, place:], samples, name, column, normalizer)
    bad = [normalizer.names[place] for place in np.flatnonzero(~np.isfinite(matrix).all(axis=0))]
    if bad:
        raise MedloopError(
            f"{len(bad)} features hold gaps after imputation: {listed(bad)}", mend="impute these columns"
        )
    own = samples[[name for name in ("@id", "@group", "@target") if name in samples]]
    features = pd.DataFrame(matrix, columns=list(normalizer.names), index=samples.index, copy=False)
    return pd.concat([own, features], axis=1)


def _refuse_payloads(schema: Schema) -> None:
    payloads = schema.of_type("text", "image", "sequence")
    if payloads:
        raise MedloopError(
            f"columns of type text, image and sequence cannot enter a table yet: {listed(payloads)}",
            mend="declare them categorical where they hold few texts, else name them under `drop`",
        )


def _refuse_twins(names: tuple[str, ...]) -> None:
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise MedloopError(f"several columns would give a feature named {twins[0]}", mend="rename one of them")


def _parts(samples: pd.DataFrame, name: str, column: Column, relative: bool) -> Iterator[tuple[str, Array]]:
    """The numbers of a numeric or datetime column, by the feature's name."""
    if column.type == "numeric":
        yield name, samples[name].to_numpy(dtype=np.float64)
    if column.type == "datetime":
        day = _days(samples[name])
        angle = 2 * np.pi * day / 365.2425
        yield f"{name} days", _days(samples["@time"]) - day if relative else day
        yield f"{name} season sine", np.sin(angle)
        yield f"{name} season cosine", np.cos(angle)


def _days(moments: "pd.Series[Any]") -> Array:
    return np.asarray((moments - pd.Timestamp(0)) / pd.Timedelta(days=1), dtype=np.float64)


def _scaling(values: Array, name: str, params: NormalizeParams) -> Scale | Scores:
    if np.isin(values, (0, 1)).all() or params.numeric == "none":
        return Scale(center=0, scale=1, clip=_FINITE)
    if params.numeric == "quantile":
        return _scores(values)
    low, first, median, third, high = np.quantile(values, (0.005, 0.25, 0.5, 0.75, 0.995))
    center, scale = {
        "standard": (values.mean(), values.std()),
        "robust": (median, third - first or values.std()),
        "minmax": (low, high - low or values.std()),
    }[params.numeric]
    if not np.isfinite([center, scale]).all():
        raise MedloopError(f"column {name}: values missing or too large to scale", mend="impute it, declare its range")
    return Scale(center=float(center), scale=float(scale) or 1.0, clip=params.clip)


def _scores(values: Array, steps: int = 200) -> Scores:
    """Normal scores at the training quantiles; equal values share their mean rank."""
    from scipy.special import ndtri

    share = (np.arange(steps) + 0.5) / steps
    knots, at = np.unique(np.quantile(values, share), return_inverse=True)
    mean_share = np.bincount(at, weights=share) / np.bincount(at)
    return Scores(knots=tuple(knots.tolist()), scores=tuple(ndtri(mean_share).tolist()))


def _levels(values: "pd.Series[Any]", params: NormalizeParams) -> tuple[str, ...]:
    counts = values.value_counts()
    often = counts[counts >= params.min_count]
    return tuple(sorted(often.index, key=lambda level: (-often[level], level)))


def _names(name: str, column: Column, levels: dict[str, tuple[str, ...]], onehot: bool) -> list[str]:
    if column.type == "datetime":
        return [f"{name} {part}" for part in ("days", "season sine", "season cosine")]
    if column.type == "categorical" and onehot:
        return [f"{name}={level}" for level in (*levels[name], OTHER)]
    return [name]


def _write(
    matrix: NDArray[np.float32], samples: pd.DataFrame, name: str, column: Column, normalizer: Normalizer
) -> int:
    """Fill the first columns of `matrix` from one column of `samples`, and say how many."""
    if column.type == "categorical":
        levels = normalizer.levels[name]
        codes = pd.Index(levels).get_indexer(pd.Index(samples[name]))
        codes = np.where(codes < 0, len(levels), codes)
        if normalizer.onehot:
            matrix[np.arange(len(samples)), codes] = 1
            return len(levels) + 1
        matrix[:, 0] = codes
        return 1
    if column.type == "ordinal":
        ranks = pd.Index(column.levels).get_indexer(pd.Index(samples[name]))
        matrix[:, 0] = np.where(ranks < 0, np.nan, ranks / max(len(column.levels) - 1, 1))
        return 1
    parts = dict(_parts(samples, name, column, normalizer.relative))
    for place, (part, values) in enumerate(parts.items()):
        matrix[:, place] = _scaled(values, normalizer.numbers[part])
    return len(parts)


def _scaled(values: Array, by: Scale | Scores) -> Array:
    if isinstance(by, Scores):
        return np.interp(values, by.knots, by.scores)
    return np.clip((values - by.center) / by.scale, -by.clip, by.clip)

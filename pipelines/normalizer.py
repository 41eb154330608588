"""Typed samples to the float32 matrix of a model: scaled numbers, encoded levels, dates in days."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import model_validator

from contracts.errors import MedloopError, listed
from contracts.payloads import Payloads
from contracts.study import Column, Frozen
from contracts.tables import RowsSeen, Schema, label_names, rows_seen
from pipelines.encode_payloads import PayloadEncoding, payload_features
from pipelines.encoding import Encoding, Numbers, encoded_names, patient_folds, write_encoded
from pipelines.scaling import Array, Scaler, row_lengths, scaled, scaled_within_patient
from pipelines.table import Table, places_among


class Normalizer(Frozen):
    """What normalisation learnt from the training rows.

    numbers: by numeric part of a column, its scaling.
    patient: those of them that are then scaled within the patient; unit: those whose row is brought to length 1.
    encodings: by column, how its levels become numbers; an ordinal column without becomes ranks.
    relative: whether dates count from the sample's own time.
    payloads: of pictures, sequences and texts, where there are any.
    before: the schema of the samples it takes; names: the features it gives, in order.
    """

    numbers: dict[str, Scaler]
    patient: tuple[str, ...]
    unit: tuple[str, ...]
    encodings: dict[str, Encoding]
    payloads: PayloadEncoding | None
    relative: bool
    before: Schema
    names: tuple[str, ...]
    seen: RowsSeen

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        """JSON sorts the columns of `before`: names in another order would be given to each other's numbers."""
        told = tuple(name for names in self._tabular.values() for name in names)
        if self.names[: len(told)] != told:
            raise ValueError("the features are not in the order of the columns that they are made of")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """The column of `before` that each of `names` tells of."""
        own = [column for column, names in self._tabular.items() for _ in names]
        return (*own, *(self.payloads.sources if self.payloads else ()))

    @property
    def _tabular(self) -> dict[str, list[str]]:
        """The features that each column of the table becomes."""
        tabular = self.before.tabular.items()
        return {name: feature_names(name, column, self.encodings, self.before) for name, column in tabular}


def apply_normalize(
    normalizer: Normalizer,
    samples: pd.DataFrame,
    payloads: Mapping[str, Payloads] = MappingProxyType({}),
    *,
    training: bool = False,
) -> pd.DataFrame:
    """`@id`, `@group` and `@target` where present, then (N, F) float32 in the order of `normalizer.names`.

    `training` says that `samples` are the rows that were fitted, all of them: the encoding "target" then keeps each
    row's own label from its feature. All other rows are read against the whole training table.

    Raises MedloopError when a gap is left in a numeric, ordinal or datetime column: impute first; when `training` is
    said of other rows; and when a column is scaled within the patient and the samples do not name the patients.
    """
    crossed = training and any(encoding.target for encoding in normalizer.encodings.values())
    _refuse_strangers(normalizer, samples, crossed)
    fold = patient_folds(samples["@group"]) if crossed else None
    matrix = np.zeros((len(samples), len(normalizer.names)), dtype=np.float32, order="F")
    place = 0
    for name, column in normalizer.before.tabular.items():
        place += _write(matrix[:, place:], samples, name, column, normalizer, fold)
    if normalizer.payloads:
        matrix[:, place:] = payload_features(normalizer.payloads, samples, normalizer.before, payloads)
    bad = [normalizer.names[place] for place in np.flatnonzero(~np.isfinite(matrix).all(axis=0))]
    if bad:
        raise MedloopError(
            f"{len(bad)} features hold gaps after imputation: {listed(bad)}", mend="impute these columns"
        )
    if normalizer.unit:
        block = samples[list(normalizer.unit)].to_numpy(dtype=np.float64)
        matrix[:, [normalizer.names.index(name) for name in normalizer.unit]] = block / row_lengths(block)
    own = samples[[*(name for name in ("@id", "@group") if name in samples), *label_names(samples)]]
    features = pd.DataFrame(matrix, columns=list(normalizer.names), index=samples.index, copy=False)
    return pd.concat([own, features], axis=1)


def _refuse_strangers(normalizer: Normalizer, samples: pd.DataFrame, crossed: bool) -> None:
    if crossed and rows_seen(samples["@id"]) != normalizer.seen:
        raise MedloopError("these are not the training rows that normalisation was fitted on")
    if normalizer.patient and "@group" not in samples:
        raise MedloopError(
            f"{listed(normalizer.patient)}: scaled within the patient, and these rows do not name their patient",
            mend="add the patient's column, or train with another normalize.numeric",
        )


def numeric_parts(
    samples: pd.DataFrame | Table, name: str, column: Column, relative: bool
) -> Iterator[tuple[str, Array]]:
    """The numbers of a numeric or datetime column, by the feature's name. Each of shape (N,)."""
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


def feature_names(name: str, column: Column, encodings: dict[str, Encoding], schema: Schema) -> list[str]:
    """The features that a column becomes."""
    if column.type == "datetime":
        return [f"{name} {part}" for part in ("days", "season sine", "season cosine")]
    return encoded_names(encodings[name], name, schema.classes) if name in encodings else [name]


def _write(
    matrix: NDArray[np.float32],
    samples: pd.DataFrame,
    name: str,
    column: Column,
    normalizer: Normalizer,
    fold: Numbers | None,
) -> int:
    """Fill the first columns of `matrix` from one column of `samples`, and say how many."""
    if name in normalizer.encodings:
        return write_encoded(matrix, normalizer.encodings[name], samples, name, fold)
    if column.type == "ordinal":
        ranks = places_among(column.levels, samples[name])
        matrix[:, 0] = np.where(ranks < 0, np.nan, ranks / max(len(column.levels) - 1, 1))
        return 1
    parts = dict(numeric_parts(samples, name, column, normalizer.relative))
    for place, (part, values) in enumerate(parts.items()):
        by = normalizer.numbers[part]
        own = part in normalizer.patient
        matrix[:, place] = scaled_within_patient(values, by, samples) if own else scaled(values, by)
    return len(parts)

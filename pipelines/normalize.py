"""How columns become numbers of alike size, learnt from the training rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import cast

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from contracts.errors import MedloopError, listed
from contracts.names import nearest
from contracts.payloads import Payloads
from contracts.study import Column
from contracts.tables import Schema, rows_seen
from pipelines.encode_payloads import PayloadParams, fit_payloads
from pipelines.encoding import Encoder, Encoding, Numbers, fit_encoding
from pipelines.normalizer import Normalizer, feature_names, numeric_parts
from pipelines.scaling import Scaler, Scaling, fit_scaling
from pipelines.signal.fill import Filling
from pipelines.suitable import ACROSS, ENCODERS, SCALINGS, refuse_twins, refuse_unfitting
from pipelines.table import LOOKED_AT, Each, Table, as_table, patient_numbers


class NormalizeParams(PayloadParams):
    """How columns become numbers of alike size; `PayloadParams` says how pictures, sequences and texts do.

    numeric: how numbers are scaled, by what the training rows tell:
        "standard" to mean 0, deviation 1; "robust" to median 0, the middle half 1 wide;
        "minmax" to 0 … 1 between the 0.5 and 99.5 % quantiles, so that no one patient's value is stored;
        "maxabs" to -1 … 1 by the 99.5 % quantile of the sizes, 0 staying 0;
        "quantile" to normal scores of the ranks, for skewed values;
        "power" by Yeo and Johnson's transformation (2000), its exponent of greatest likelihood, then as "standard";
        "log" to sign(x) · log(1 + |x|), then as "standard": the logarithm of 1 + x, and values below 0 mirror it;
        "patient" within the patient: mean and deviation of their own rows at or before the row's time (all their rows
        where the study has no time); a row that is the patient's first or only one takes the training rows';
        "unit" divides a row's numbers by their Euclidean length, all columns so scaled together: for columns in one
        unit, as the parts of a spectrum, only; "none".
        A column of training values 0 and 1 only is left as it is, unless `columns` names it.
    clip: scaled values end at ± this; a rare outlier cannot drown the rest.
    categorical: "onehot", a column a level; "ordinal", one column of ranks by frequency, 0 the most frequent;
        "target", the share of each class but one among the level's training rows (a training row's from other
        patients' rows only, so that its label never reaches its feature); "index", whole numbers to look up in a
        table of embeddings, 0 for the bucket and 1 the most frequent, in a feature named `sex#index`.
    columns: the method by column, where it differs: {glucose: log, sex: ordinal}.
    min_count: levels of fewer training patients, which might tell of a person, share the bucket "‹other›", and so does
        every level unseen in training.
    smoothing: as many rows of the overall share are added to each level's own for "target".
    Ordinal columns become ranks from 0 to 1 in their declared order, or are encoded as `columns` says; datetime columns
    days before the sample's time (where the study has one, else since 1970), scaled as numbers are ("standard" in
    place of "unit" and "patient"), and the season as sine and cosine.
    """

    numeric: Scaling = "standard"
    clip: float = Field(default=10.0, gt=0)
    categorical: Encoder = "onehot"
    columns: dict[str, str] = Field(default={})
    min_count: int = Field(default=10, ge=5)
    smoothing: float = Field(default=20.0, gt=0)

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: dict[str, str]) -> dict[str, str]:
        known = [*SCALINGS, *ENCODERS]
        for name, method in columns.items():
            if method not in known:
                raise ValueError(f"{name}: there is no method {method}{nearest(method, known)}; one of {known}")
        return columns


def fit_normalize(
    train: pd.DataFrame | Table,
    schema: Schema,
    params: NormalizeParams,
    payloads: Mapping[str, Payloads] = MappingProxyType({}),
    gaps: Filling = "interpolate",
    each: Each = map,
) -> Normalizer:
    """Learn scalings and levels from training rows without gaps; "target" alone looks at `@target`.

    `gaps` says how those inside sequences are filled; `each` maps work over columns, which are read one at a time.
    Raises MedloopError on values missing or infinite, when `params.columns` names no feature or a method that does not
    fit its type, when a method has nothing to work on ("patient" where each has one row, "unit" on one column), and
    when two features would have one name.
    """
    refuse_unfitting(schema, params.columns)
    table, relative = as_table(train), "@time" in as_table(train)
    leveled = any(_is_leveled(column, _method(name, column, params)) for name, column in schema.tabular.items())
    learn = partial(_learn, table, schema, params, patient_numbers(table) if leveled else None)
    learnt = dict(zip(schema.tabular, each(learn, schema.tabular), strict=True))
    scalings = {part: scaling for one in learnt.values() for part, (scaling, _) in one.parts.items()}
    numbers = {part: scaler for one in learnt.values() for part, (_, scaler) in one.parts.items()}
    encodings = {name: one.encoding for name, one in learnt.items() if one.encoding}
    encoding = (
        fit_payloads(table.read(), schema, params, payloads, gaps=gaps, min_count=params.min_count, clip=params.clip)
        if len(schema.tabular) < len(schema.features)
        else None
    )
    tabular = [n for name, column in schema.tabular.items() for n in feature_names(name, column, encodings, schema)]
    normalizer = Normalizer(
        numbers=numbers,
        patient=tuple(part for part, method in scalings.items() if method == "patient"),
        unit=tuple(part for part, method in scalings.items() if method == "unit"),
        encodings=encodings,
        payloads=encoding,
        relative=relative,
        before=schema,
        names=(*tabular, *(encoding.names if encoding else ())),
        seen=rows_seen(table["@id"]),
    )
    refuse_twins(normalizer.names)
    _refuse_idle(normalizer, table)
    return normalizer


def at_once(schema: Schema, params: NormalizeParams) -> list[str]:
    """The methods asked for that look at all of a patient's or of the training rows at once, when they are applied."""
    return sorted({_method(name, column, params) for name, column in schema.tabular.items()} & {"patient", "target"})


def _method(name: str, column: Column, params: NormalizeParams) -> str:
    """A scaling or an encoding; "" for the ranks of an ordinal column."""
    defaults: dict[str, str] = {
        "numeric": params.numeric,
        "datetime": "standard" if params.numeric in ACROSS else params.numeric,
        "categorical": params.categorical,
        "ordinal": "",
    }
    method = params.columns.get(name, defaults[column.type])
    return "" if (column.type, method) == ("ordinal", "ordinal") else method


@dataclass(frozen=True)
class Learnt:
    """What is learnt of a column: of each of its numeric parts how it is scaled, or how its levels are encoded."""

    parts: dict[str, tuple[Scaling, Scaler]]
    encoding: Encoding | None


def _is_leveled(column: Column, method: str) -> bool:
    """Whether levels are learnt of a column."""
    return bool(method) and column.type in ("categorical", "ordinal")


def _learn(train: Table, schema: Schema, params: NormalizeParams, patients: Numbers | None, name: str) -> Learnt:
    column, method = schema.features[name], _method(name, schema.features[name], params)
    parts: dict[str, tuple[Scaling, Scaler]] = {}
    for part, values in numeric_parts(train, name, column, "@time" in train):
        flag = name not in params.columns and all(np.isin(some, (0, 1)).all() for some in (values[:LOOKED_AT], values))
        scaling = "none" if flag else cast(Scaling, method)
        parts[part] = scaling, fit_scaling(values, scaling, clip=params.clip, name=part)
    if patients is None or not _is_leveled(column, method):
        return Learnt(parts, None)
    return Learnt(parts, _encoding(train, schema, name, cast(Encoder, method), patients, params))


def _encoding(
    train: Table, schema: Schema, name: str, method: Encoder, patients: Numbers, params: NormalizeParams
) -> Encoding:
    if method == "target" and not schema.classes:
        raise MedloopError(
            f"{name}: the encoding target takes the shares of classes, and the label is a number",
            where="normalize.categorical",
            mend="choose onehot, ordinal or index",
        )
    last = len(schema.classes) - 1
    classes = [schema.positive_index] if last == 1 else range(last)
    return fit_encoding(
        train,
        name,
        method,
        patients=patients,
        classes=classes,
        min_count=params.min_count,
        smoothing=params.smoothing,
    )


def _refuse_idle(normalizer: Normalizer, train: Table) -> None:
    """Methods that would wipe out or not change what they are given."""
    if normalizer.patient and not train["@group"].duplicated().any():
        raise MedloopError(
            f"{listed(normalizer.patient)}: nothing to scale within a patient, since each has one training row",
            mend="name the patient's column under `group`, or choose standard",
        )
    if len(normalizer.unit) == 1:
        raise MedloopError(
            f"{normalizer.unit[0]}: a row of one number has no direction; unit needs two columns",
            mend="choose another method, or set unit for the columns that belong together",
        )

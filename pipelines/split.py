"""Every sample into one part, whole patients at a time: train, validation or test."""

import hashlib
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from contracts.errors import MedloopError
from contracts.study import Frozen
from contracts.tables import PARTS, Schema, rows_seen


class SplitParams(Frozen):
    """How samples are split. All rows of a patient (`@group`) land in one part, whatever the method.

    method: "stratified" draws patients within each class, so that the parts hold alike shares of it (a patient
        with rows of several classes counts for the rarest); "patient" draws them regardless of the label;
        "time" tests on the patients whose last sample is latest and trains on the earliest.
    validation, test: the shares of patients; the rest trains.
    seed: another seed, another draw. Patients are ordered by a hash of seed and name, so the draw depends neither on
        the order of rows nor, but for a few at the edges, on patients that come later.
    """

    method: Literal["stratified", "patient", "time"] = "stratified"
    validation: float = Field(default=0.15, gt=0, lt=1)
    test: float = Field(default=0.2, gt=0, lt=1)
    seed: int = 0

    @model_validator(mode="after")
    def _leaves_rows_to_train(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together leave nothing to train on")
        return self


def split(samples: pd.DataFrame, schema: Schema, params: SplitParams) -> pd.DataFrame:
    """`@id` and `@part` of every sample, in the samples' order.

    Raises MedloopError when the method is "time" and a sample has none, when there are fewer than 3 patients,
    when training lacks a class, or when a part holds one class only.
    """
    patients = _patients(samples, params)
    if len(patients) < len(PARTS):
        raise MedloopError(f"{len(patients)} patients cannot fill {len(PARTS)} parts", mend="gather more data")
    ordered = patients.sort_values(["stratum", "rank", "hash"])
    strata = ordered.groupby("stratum")["stratum"]
    part = pd.Series(_part(strata.cumcount(), strata.transform("size"), params), index=ordered.index, dtype="str")
    parts = pd.DataFrame({"@id": samples["@id"], "@part": samples["@group"].map(part)})
    _refuse_one_class(samples["@target"], parts["@part"], schema)
    return parts


def test_hash(parts: pd.DataFrame) -> str:
    """SHA-256 of the sorted ids of the test part: runs compare only where these agree."""
    return rows_seen(parts.loc[parts["@part"] == "test", "@id"]).sha256


def _patients(samples: pd.DataFrame, params: SplitParams) -> pd.DataFrame:
    """By patient: the stratum it is drawn from, and the order in it; the first are tested."""
    groups = samples.groupby("@group")
    patients = pd.DataFrame({"stratum": 0, "rank": 0}, index=groups.size().index)
    patients["hash"] = [hashlib.sha256(f"{params.seed}\0{name}".encode()).hexdigest() for name in patients.index]
    if params.method == "stratified":
        rows_of_class = samples["@target"].map(samples["@target"].value_counts())
        rarest = samples.assign(rows=rows_of_class).sort_values(["rows", "@target"]).drop_duplicates("@group")
        patients["stratum"] = rarest.set_index("@group")["@target"]
    if params.method == "time":
        patients["rank"] = -_last_moment(samples).astype(np.int64)
    return patients


def _last_moment(samples: pd.DataFrame) -> "pd.Series[pd.Timestamp]":
    missing = len(samples) if "@time" not in samples else int(samples["@time"].isna().sum())
    if missing:
        raise MedloopError(
            f"a split by time needs the time of every sample; {missing} have none",
            mend="name the column under `time`, set clean.missing to leave no gaps, or choose another split.method",
        )
    return samples.groupby("@group")["@time"].max()


def _part(place: "pd.Series[int]", size: "pd.Series[int]", params: SplitParams) -> NDArray[np.str_]:
    """The part of the patient at `place` of a stratum of `size`; a stratum of 3 or more reaches every part."""
    test = np.minimum(size - 1, np.maximum(1, np.rint(size * params.test)))
    validation = np.minimum(size - 1 - test, np.maximum(1, np.rint(size * params.validation)))
    return np.where(place < test, "test", np.where(place < test + validation, "validation", "train"))


def _refuse_one_class(target: "pd.Series[int]", part: "pd.Series[str]", schema: Schema) -> None:
    counts = {name: np.bincount(target[part == name], minlength=len(schema.classes)) for name in PARTS}
    overall = np.sum(list(counts.values()), axis=0).tolist()
    absent = [schema.classes[index] for index in np.flatnonzero(counts["train"] == 0)]
    single = [name for name in PARTS if np.count_nonzero(counts[name]) < 2]
    if absent or single:
        what = f"training holds no row of class {absent}" if absent else f"one class only in part {single}"
        raise MedloopError(
            f"{what}; rows of each class overall: {dict(zip(schema.classes, overall, strict=True))}",
            mend="gather more rows of the rare class, widen the cohort, or choose another split.method",
        )

"""Every sample into one part, whole patients at a time: train, validation or test."""

import hashlib
from typing import Annotated, Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from contracts.answers import refuse_one_answer
from contracts.errors import MedloopError
from contracts.follow_up import refuse_few_events
from contracts.study import Frozen, Text
from contracts.tables import PARTS, Schema, rows_seen
from pipelines.labels import graded
from pipelines.placement import held_out, placed_by_file
from pipelines.table import places_among

AT_ONCE = 1 << 16  # patients whose names are Python objects at the same time
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class SplitParams(Frozen):
    """How samples are split. All rows of a patient (`@group`) land in one part, whatever the method.

    method: "stratified" draws patients within each class, of a number within each fifth, so that the parts hold alike
        shares of it (a patient with rows of several classes counts for the rarest); "patient" draws them regardless of
        the label; "time" tests on the patients whose last sample is latest and trains on the earliest; "site" tests on
        the sites held out, and on every patient who was ever there; "file" takes the parts that a file names.
    validation, test: the shares of patients; the rest trains. By site or file, validation is a share of the
        patients that these leave, drawn within each class.
    seed: another seed, another draw. Patients are ordered by a hash of seed and name, so the draw depends neither on
        the order of rows nor, but for a few at the edges, on patients that come later.
    site, hold_out: the categorical column that names the site, and which of them are the test.
    file, file_sha256: a table (CSV, parquet …; from the repository's root) with the columns `id` and `part`
        (train, validation or test); the study pins its content by the hash.
    rest: samples that the file does not place are an error ("fail"), or "train": they follow their patient, else they
        train, and validation is drawn from them where the file names none.
    folds, repeats: so many folds of the training and validation rows, drawn so many times: see `pipelines.folds`.
    fold, repeat: the fold that is tested, of which draw, while the test set is set aside; `medloop folds` sets these.
    test_sha256: the hash of a frozen test set (`test_sha256` in split.json): a split that gives another is an error.
    """

    method: Literal["stratified", "patient", "time", "site", "file"] = "stratified"
    validation: float = Field(default=0.15, gt=0, lt=1)
    test: float = Field(default=0.2, gt=0, lt=1)
    seed: int = 0
    site: str | None = None
    hold_out: tuple[Text, ...] = ()
    file: str | None = None
    file_sha256: Sha256 | None = None
    rest: Literal["train", "fail"] = "fail"
    folds: int | None = Field(default=None, ge=2)
    repeats: int = Field(default=1, ge=1)
    fold: int | None = Field(default=None, ge=0)
    repeat: int = Field(default=0, ge=0)
    test_sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together leave nothing to train on")
        if self.method == "site" and not (self.site and self.hold_out):
            raise ValueError("a split by site names the column and the sites to test on: site: ward, hold_out: [b]")
        if self.method == "file" and not self.file:
            raise ValueError("a split by file names it: file: splits/frozen.csv")
        if self.method == "time" and self.folds:
            raise ValueError("folds are drawn regardless of time, so that a split by time cannot take them")
        if self.repeats > 1 and not self.folds:
            raise ValueError("repeats are of folds; say how many: folds: 5")
        if self.fold is not None and (self.fold >= (self.folds or 0) or self.repeat >= self.repeats):
            raise ValueError("fold and repeat count from 0, up to one less than folds and repeats")
        return self


def split(
    samples: pd.DataFrame, schema: Schema, params: SplitParams, placed: pd.DataFrame | None = None
) -> pd.DataFrame:
    """`@id` and `@part` of every sample, in the samples' order.

    Args:
        placed: with the method "file", its `@id` and `@part` as text.

    Raises MedloopError when the method is "time" and a sample has none, when a site or a file does not fit the
    samples (see `pipelines.placement`), when there are fewer than 3 patients, when training lacks a class, when a part
    holds one class only, or when the test set is not the frozen one.
    """
    samples = samples.assign(**{"@target": graded(samples["@target"], schema)[0]})
    number = samples["@group"].nunique()
    if number < len(PARTS):
        raise MedloopError(f"{number} patients cannot fill {len(PARTS)} parts", mend="gather more data")
    set_before = _set_before(samples, schema, params, placed)
    free = samples if set_before.empty else samples[~samples["@group"].isin(set_before.index)]
    part = pd.concat([set_before, drawn(free, params, set_before, params.seed)])
    parts = pd.DataFrame({"@id": samples["@id"], "@part": by_row(samples, part.astype("category"))})
    refuse_one_class(samples["@target"], parts["@part"], schema)
    _refuse_another_test_set(parts, params)
    return parts


def test_hash(parts: pd.DataFrame) -> str:
    """SHA-256 of the sorted ids of the test part: runs compare only where these agree."""
    return rows_seen(parts.loc[parts["@part"] == "test", "@id"]).sha256


def by_row(samples: pd.DataFrame, of_patients: "pd.Series[Any]") -> "pd.Series[Any]":
    """What is told of patients, of the patient of each row."""
    places = places_among(of_patients.index, samples["@group"])
    return pd.Series(of_patients.array.take(places, allow_fill=True), index=samples.index)


def rarest_class(samples: pd.DataFrame) -> "pd.Series[int]":
    """By patient, the rarest of the classes that their rows have."""
    counts = samples["@target"].value_counts().sort_index()
    classes = counts.index.to_numpy()
    by_rarity = np.argsort(counts.to_numpy(), kind="stable")
    rarity = np.argsort(by_rarity)[np.searchsorted(classes, samples["@target"])]
    rarest = pd.Series(rarity, index=samples.index).groupby(samples["@group"]).min()
    return pd.Series(classes[by_rarity[rarest]], index=rarest.index, name="@target")


def shuffled(names: "pd.Index[Any]", seed: object) -> NDArray[np.uint64]:
    """The first 64 bits of a hash of seed and name for each patient: an order that other patients do not change."""
    first = bytearray()
    for at in range(0, len(names), AT_ONCE):
        some = names[at : at + AT_ONCE].tolist()
        first += b"".join([hashlib.sha256(f"{seed}\0{name}".encode()).digest()[:8] for name in some])
    return np.frombuffer(first, dtype=">u8").astype(np.uint64)


def _set_before(
    samples: pd.DataFrame, schema: Schema, params: SplitParams, placed: pd.DataFrame | None
) -> "pd.Series[str]":
    """By patient, the part that is no matter of chance."""
    if params.method == "site" and params.site:
        return held_out(samples, schema, params.site, params.hold_out)
    if placed is not None:
        return placed_by_file(samples, placed, params.rest)
    return pd.Series(dtype="str")


def drawn(samples: pd.DataFrame, params: SplitParams, set_before: "pd.Series[str]", seed: object) -> "pd.Series[str]":
    """By patient, the part drawn; a part that was set before is not drawn."""
    shares = {name: 0.0 if name in set(set_before) else getattr(params, name) for name in ("validation", "test")}
    ordered = _patients(samples, params, seed).sort_values(["stratum", "rank", "hash"])
    strata = ordered.groupby("stratum")["stratum"]
    part = _part(strata.cumcount(), strata.transform("size"), **shares)
    return pd.Series(part, index=ordered.index, dtype="str")


def _patients(samples: pd.DataFrame, params: SplitParams, seed: object) -> pd.DataFrame:
    """By patient: the stratum it is drawn from, and the order in it; the first are tested."""
    patients = pd.DataFrame({"stratum": 0, "rank": 0}, index=samples.groupby("@group").size().index)
    patients["hash"] = shuffled(patients.index, seed)
    if params.method in ("stratified", "site", "file"):
        patients["stratum"] = rarest_class(samples)
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


def _part(place: "pd.Series[int]", size: "pd.Series[int]", *, validation: float, test: float) -> NDArray[np.str_]:
    """The part of the patient at `place` of a stratum of `size`; a stratum of 3 or more reaches every part drawn."""
    tested = np.minimum(size - 1, np.maximum(test > 0, np.rint(size * test)))
    validated = np.minimum(size - 1 - tested, np.maximum(validation > 0, np.rint(size * validation)))
    return np.where(place < tested, "test", np.where(place < tested + validated, "validation", "train"))


def refuse_one_class(target: "pd.Series[int]", part: "pd.Series[str]", schema: Schema) -> None:
    """Raises MedloopError when training lacks a class, or a part holds one only; of numbers there are none."""
    if not schema.classes:
        return
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


def refuse_unlearnable(target: "pd.Series[int]", part: "pd.Series[str]", schema: Schema) -> None:
    """Raises MedloopError where training would, before the steps between: too few events, labels that are all alike."""
    for name, told in (("train", "training"), ("validation", "validation")):
        rows = target[part == name].to_numpy()
        if schema.task == "survival":
            refuse_few_events(rows, schema.horizon, schema.unit, told)
        elif schema.task == "multilabel":
            refuse_one_answer(rows, schema.labels, told)


def _refuse_another_test_set(parts: pd.DataFrame, params: SplitParams) -> None:
    if params.test_sha256 and (now := test_hash(parts)) != params.test_sha256:
        rows = int((parts["@part"] == "test").sum())
        raise MedloopError(
            f"the test set is not the frozen one: its {rows:,} rows hash to {now}; how many of them differ, "
            "a hash cannot tell",
            where="split.test_sha256",
            mend="bring back the data, cohort, cleaning and split that it was frozen with, or its ids as a file "
            "(split.method: file); where the test set is meant to change, state the new hash",
        )

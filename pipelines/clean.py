"""Raw text to typed samples. Only what is declared is applied: no value is learnt from the data.

The columns that are dropped as empty or constant are found over all rows; that decides the table's
shape, not a value, and says nothing of the label.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from contracts.errors import MedloopError, listed
from contracts.study import Column, Frozen, Study, Text
from contracts.tables import Schema
from pipelines.cells import Cells, Decimal, Mask, out_of_range, read_cells
from pipelines.rows import Change, check_columns, distinct, drop, in_cohort, labelled, places, refuse_blank, with_ids

Verdict = Literal["fail", "missing", "quarantine"]
_PROBLEMS = {
    "unreadable": "not readable as declared",
    "infinite": "infinite or beyond 1e300",
    "future": "later than the sample's own time",
    "outside": "outside the declared range",
    "clipped": "outside the declared range",
    "sparse": "more cells missing than clean.drop_rows_above",
}


class CleanParams(Frozen):
    """How a raw table is cleaned.

    missing: texts that mean "no value" in every column, beside blank and each column's own codes. "None" is
        not among them, since it is a level of many clinical columns; declare it where it means nothing.
    decimal: the decimal sign of numeric columns.
    unreadable, infinite, future: what becomes of a cell that is no value of its declared type, is ±inf or beyond
        ±1e300, or is a date later than the sample's own time: the run fails, the cell becomes missing, or
        the row is quarantined.
    out_of_range: a value outside the declared range becomes missing, the nearest bound (dates: missing), or stays.
    duplicates: whether exact copies of a row are dropped.
    constant: whether a column of one value and no gap is dropped.
    missing_label: whether a row without a label is excluded or fails the run.
    drop_rows_above: the share of missing features above which a row is set aside, and is no row to predict for.
    """

    missing: tuple[Text, ...] = ("NA", "N/A", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "?")
    decimal: Decimal = "."
    unreadable: Verdict = "fail"
    infinite: Verdict = "fail"
    future: Verdict = "fail"
    out_of_range: Literal["missing", "clip", "keep"] = "missing"
    duplicates: Literal["drop", "keep"] = "drop"
    constant: Literal["drop", "keep"] = "drop"
    missing_label: Literal["exclude", "fail"] = "exclude"
    drop_rows_above: float = Field(default=1.0, gt=0, le=1)


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """Samples, their schema, what was changed, and the rows set aside (`@row`, `reason`)."""

    samples: pd.DataFrame
    schema: Schema
    ledger: list[Change]
    quarantine: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class Scorable:
    """New rows that can be scored, as samples without a label beside `@row`, and those that cannot.

    `remarks` (N,), a text a sample, names the columns whose value was not taken as it is written, and why, or is "".
    `unscorable` has `@row`, `@id` and `reason`. Every `@row` is text.
    """

    samples: pd.DataFrame
    remarks: "pd.Series[str]"
    unscorable: pd.DataFrame


def clean(raw: pd.DataFrame, study: Study, params: CleanParams, *, set_aside: pd.DataFrame | None = None) -> Cleaned:
    """Typed samples of the study's cohort.

    In this order: rows set aside by validation, rows outside the cohort and copies of rows go; labels and cells
    are read; empty and constant columns go. Columns that the study does not declare are left behind.

    Args:
        raw: every column text, and `@row`.
        set_aside: rows that validation quarantined (`@row`, `reason`).

    Raises:
        MedloopError: a declared column is absent; an id has conflicting rows; an id or a patient is blank; a label is
            none of the classes; a cell is unreadable, infinite or from the future (unless settings say otherwise);
            no row or no feature is left. Rows are named by `@row`, values never.
    """
    check_columns(raw, [*study.features(), study.target.column, *study.cohort, study.id, study.group, study.time])
    ledger: list[Change] = []
    aside = pd.DataFrame({"@row": [], "reason": []}, dtype="str") if set_aside is None else set_aside
    rows = with_ids(raw, {"@id": study.id, "@group": study.group or study.id})
    refused = rows["@row"].isin(aside["@row"].astype("str")).to_numpy()
    rows = drop(rows, refused, "set aside by validation", ledger)
    refuse_blank(rows, {"@id": study.id, "@group": study.group})
    rows = in_cohort(rows, study, missing=params.missing, decimal=params.decimal, ledger=ledger)
    rows = distinct(rows, study, duplicates=params.duplicates, ledger=ledger)
    rows = labelled(rows, study, missing=params.missing, missing_label=params.missing_label, ledger=ledger)
    table, faults = _read(rows, study, study.features(), params, ledger)
    _refuse(faults, rows)
    table, quarantined = _part_with(table, faults[faults["verdict"] == "quarantine"])
    ledger += _counts(faults)
    features = _informative(table, study.features(), params, ledger)
    table, sparse, found = _dense(table.reset_index(drop=True), features, params)
    ledger += _counts(found)
    return Cleaned(
        samples=table[[*_own(table), *features]].reset_index(drop=True),
        schema=Schema(features=features, classes=study.target.classes, positive=study.target.positive),
        ledger=ledger,
        quarantine=pd.concat([part[["@row", "reason"]] for part in (aside, quarantined, sparse)], ignore_index=True),
    )


def clean_rows(raw: pd.DataFrame, study: Study, schema: Schema, params: CleanParams) -> Scorable:
    """New rows, read as the training rows were; no label, patient or cohort is asked for and no row is lost.

    A cell that would fail the run or quarantine a training row makes its own row unscorable.
    Raises MedloopError when a feature of `schema`, the id or the time is absent.
    """
    check_columns(raw, [*schema.features, study.id, study.time])
    patient = {"@group": study.group} if study.group in raw else {}
    rows = with_ids(raw, {"@id": study.id, **patient})
    table, faults = _read(rows, study, schema.features, params, [])
    fatal = faults["verdict"].isin(["fail", "quarantine"])
    samples, unscorable = _part_with(table, faults[fatal])
    remarks = _reasons(faults[~fatal]).reindex(samples.index).fillna("").astype("str")
    samples = samples[[*_own(samples, also="@row"), *schema.features]].assign(**{"@remark": remarks})
    samples, sparse, _ = _dense(samples.reset_index(drop=True), schema.features, params)
    samples = samples.reset_index(drop=True)
    return Scorable(
        samples=samples.drop(columns="@remark"),
        remarks=samples["@remark"],
        unscorable=pd.concat([unscorable, sparse], ignore_index=True),
    )


def _dense(
    table: pd.DataFrame, features: Mapping[str, Column], params: CleanParams
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The rows with enough values, the others as `_part_with` gives them, and their faults."""
    sparse = (table[list(features)].isna().mean(axis=1) > params.drop_rows_above).to_numpy()
    nothing = pd.DataFrame({"at": [0], "column": "", "problem": ""}).iloc[:0]
    faults = pd.concat([nothing, *_faults("the row", sparse=sparse)], ignore_index=True).assign(verdict="quarantine")
    return *_part_with(table, faults), faults


def _read(
    rows: pd.DataFrame, study: Study, features: Mapping[str, Column], params: CleanParams, ledger: list[Change]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The typed table, and its faults: `at` (the row's position), `column`, `problem` and `verdict`.

    A faulty cell is missing in the table, or clipped.
    """
    values: dict[str, pd.Series[Any]] = {name: rows[name] for name in _own(rows, also="@row")}
    faults = [pd.DataFrame({"at": [0], "column": "", "problem": ""}).iloc[:0]]
    if study.time:
        cells = _cells(rows, study.time, _time_column(study), params, ledger)
        values["@time"] = cells.values
        faults += _faults(study.time, unreadable=cells.unreadable)
    for name, column in features.items():
        cells = _cells(rows, name, column, params, ledger)
        faults += _faults(name, unreadable=cells.unreadable, infinite=cells.infinite)
        values[name], outside = _plausible(cells.values, name, column, params)
        faults += outside
        if column.type == "datetime" and study.time:
            future = (values[name] > values["@time"]).to_numpy(dtype=bool)
            faults += _faults(name, future=future)
            values[name] = values[name].mask(future)
    found = pd.concat(faults, ignore_index=True)
    verdicts = {
        "unreadable": params.unreadable,
        "infinite": params.infinite,
        "future": params.future,
        "outside": "missing",
        "clipped": "clipped",
    }
    return pd.DataFrame(values), found.assign(verdict=found["problem"].map(verdicts))


def _time_column(study: Study) -> Column:
    name = str(study.time)
    column = study.columns.get(name, Column(type="datetime"))
    if column.type != "datetime":
        raise MedloopError(
            f"the study's time must be a datetime column, {name} is {column.type}",
            mend="declare it as datetime, with its format: '%Y' for a year",
        )
    return column


def _cells(rows: pd.DataFrame, name: str, column: Column, params: CleanParams, ledger: list[Change]) -> Cells:
    cells = read_cells(rows[name], column, missing=params.missing, name=name, decimal=params.decimal)
    coded = int((cells.missing & (rows[name] != "").to_numpy()).sum())
    if coded:
        ledger.append(Change(rule="missing by code", column=name, cells=coded))
    return cells


def _plausible(
    values: "pd.Series[Any]", name: str, column: Column, params: CleanParams
) -> tuple["pd.Series[Any]", list[pd.DataFrame]]:
    """The values within the declared range, and the faults of those that were not."""
    if column.range is None or params.out_of_range == "keep":
        return values, []
    outside = out_of_range(values, column)
    if params.out_of_range == "clip" and column.type == "numeric":
        return values.clip(*column.range), _faults(name, clipped=outside)
    return values.mask(outside), _faults(name, outside=outside)


def _faults(column: str, **masks: Mask) -> list[pd.DataFrame]:
    return [
        pd.DataFrame({"at": np.flatnonzero(mask), "column": column, "problem": problem})
        for problem, mask in masks.items()
        if mask.any()
    ]


def _refuse(faults: pd.DataFrame, rows: pd.DataFrame) -> None:
    fatal = faults[faults["verdict"] == "fail"]
    if fatal.empty:
        return
    found = []
    for (name, problem), cells in fatal.groupby(["column", "problem"], sort=False)["at"]:
        at = np.isin(np.arange(len(rows)), cells)
        found.append(f"{len(cells)} {_PROBLEMS[str(problem)]}: {places(rows, str(name), at)}")
    raise MedloopError(
        f"{len(fatal)} cells in {fatal['column'].nunique()} columns hold no usable value",
        where=listed(found),
        mend="correct them, declare them as missing codes, or set clean.unreadable, clean.infinite or clean.future "
        "to missing or quarantine",
    )


def _part_with(table: pd.DataFrame, faults: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows without these faults, and the others as `@row`, `@id` and `reason`."""
    reasons = _reasons(faults)
    aside = table.loc[reasons.index, ["@row", "@id"]].assign(reason=reasons).reset_index(drop=True)
    return table.drop(index=reasons.index), aside


def _reasons(faults: pd.DataFrame) -> "pd.Series[str]":
    """By the row's position, each faulty column with its problem and what became of the cell, where the row stays."""
    kept = faults["verdict"].map({"missing": ", taken as missing", "clipped": ", set to its bound"}).fillna("")
    texts = faults["column"] + ": " + faults["problem"].map(_PROBLEMS) + kept
    return texts.groupby(faults["at"]).agg("; ".join)


def _counts(faults: pd.DataFrame) -> list[Change]:
    cases = list(zip(faults["column"], faults["problem"], faults["verdict"], strict=True))
    return [
        Change(
            rule=f"{_PROBLEMS[problem]}: {verdict}",
            column=column,
            rows=count if verdict == "quarantine" else 0,
            cells=count,
        )
        for (column, problem, verdict), count in Counter(cases).items()
    ]


def _informative(
    table: pd.DataFrame, features: Mapping[str, Column], params: CleanParams, ledger: list[Change]
) -> dict[str, Column]:
    """The features that are neither empty nor constant; one level plus gaps is information and stays."""
    if table.empty:
        raise MedloopError("no row is left after cleaning", mend="check the cohort, the classes and the missing codes")
    empty = {name for name in features if table[name].isna().all()}
    same = {name for name in set(features) - empty if (table[name] == table[name].iloc[0]).all()}
    constant = same if params.constant == "drop" else set()
    ledger += [Change(rule="empty column dropped", column=n, cells=len(table)) for n in features if n in empty]
    ledger += [Change(rule="constant column dropped", column=n, cells=len(table)) for n in features if n in constant]
    kept = {name: column for name, column in features.items() if name not in empty | constant}
    if not kept:
        raise MedloopError("no feature is left after cleaning", mend="declare columns that vary")
    return kept


def _own(table: pd.DataFrame, also: str = "") -> list[str]:
    return [n for n in table.columns if n in ("@id", "@group", "@time", "@target", also)]

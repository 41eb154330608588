"""The cells of rows, read as their columns are declared; what is none of their values is a fault."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from contracts.errors import MedloopError
from contracts.payloads import Payloads
from contracts.study import Column, Study
from pipelines.cells import Cells, out_of_range, read_cells
from pipelines.clean_payloads import clean_payloads
from pipelines.conversion import convert
from pipelines.faults import faults_in, no_faults, part_with
from pipelines.rows import Change

if TYPE_CHECKING:
    from pipelines.clean import CleanParams

_TAKEN_AS = {"limit": "limit", "half": "half", "missing": "undetected"}  # problems of `pipelines.faults`


def read_columns(
    rows: pd.DataFrame,
    study: Study,
    features: Mapping[str, Column],
    params: "CleanParams",
    ledger: list[Change],
    payloads: Mapping[str, Payloads],
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Payloads]]:
    """The typed table, its faults (`at`, the row's position, `column`, `problem`, `verdict`), the payloads changed.

    A faulty cell is missing in the table, or clipped.
    """
    values: dict[str, pd.Series[Any]] = {name: rows[name] for name in own_columns(rows, also="@row")}
    faults = [no_faults()]
    if study.time:
        cells = _cells(rows, study.time, _time_column(study), params, ledger)
        values["@time"] = cells.values
        faults += faults_in(study.time, unreadable=cells.unreadable)
    for name, column in features.items():
        cells = _cells(rows, name, column, params, ledger)
        faults += faults_in(name, unreadable=cells.unreadable, infinite=cells.infinite)
        faults += faults_in(name, **{_TAKEN_AS[column.censored]: cells.censored}) if column.censored else []
        values[name], outside = _plausible(cells.values, name, column, params)
        faults += outside
        if column.type == "datetime" and study.time:
            future = (values[name] > values["@time"]).to_numpy(dtype=bool)
            faults += faults_in(name, future=future)
            values[name] = values[name].mask(future)
    done = clean_payloads(
        pd.DataFrame(values, copy=False), features, payloads, texts=params.texts, sequences=params.sequences
    )
    ledger += done.ledger
    found = pd.concat([*faults, *done.faults], ignore_index=True)
    asked = {"unreadable": params.unreadable, "infinite": params.infinite, "future": params.future}
    kept = {"outside": "missing", "clipped": "clipped", "undetected": "missing", "limit": "limit", "half": "half"}
    verdicts = {**asked, **kept}
    return done.table, found.assign(verdict=found["problem"].map(verdicts).fillna("quarantine")), done.payloads


def dense_rows(
    table: pd.DataFrame, features: Mapping[str, Column], params: "CleanParams"
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The rows with enough values, the others as `part_with` gives them, and their faults."""
    sparse = np.zeros(len(table), dtype=bool)
    if params.drop_rows_above < 1:
        sparse = (table[list(features)].isna().mean(axis=1) > params.drop_rows_above).to_numpy()
    faults = pd.concat([no_faults(), *faults_in("the row", sparse=sparse)], ignore_index=True).assign(
        verdict="quarantine"
    )
    return *part_with(table, faults), faults


def _time_column(study: Study) -> Column:
    name = str(study.time)
    column = study.columns.get(name, Column(type="datetime"))
    if column.type != "datetime":
        raise MedloopError(
            f"the study's time must be a datetime column, {name} is {column.type}",
            mend="declare it as datetime, with its format: '%Y' for a year",
        )
    return column


def _cells(rows: pd.DataFrame, name: str, column: Column, params: "CleanParams", ledger: list[Change]) -> Cells:
    cells = read_cells(
        rows[name], column, missing=params.missing, name=name, decimal=params.decimal, spelling=params.spelling
    )
    coded = int((rows[name][cells.missing] != "").sum())
    respelled = int(cells.respelled.sum())
    cells, converted = convert(cells, rows, name, column)
    # Lines of no cell, too: every block has the same ones, in the same order.
    ledger.append(Change(rule="missing by code", column=name, cells=coded))
    ledger.append(Change(rule="spelled as declared", column=name, cells=respelled))
    ledger += [Change(rule=f"converted from {unit}", column=name, cells=count) for unit, count in converted]
    return cells


def _plausible(
    values: "pd.Series[Any]", name: str, column: Column, params: "CleanParams"
) -> tuple["pd.Series[Any]", list[pd.DataFrame]]:
    """The values within the declared range, and the faults of those that were not."""
    if column.range is None or params.out_of_range == "keep":
        return values, []
    outside = out_of_range(values, column)
    if params.out_of_range == "clip" and column.type == "numeric":
        return values.clip(*column.range), faults_in(name, clipped=outside)
    return values.mask(outside) if outside.any() else values, faults_in(name, outside=outside)


def own_columns(table: pd.DataFrame, also: str = "") -> list[str]:
    """medloop's own columns of samples, and another."""
    return [n for n in table.columns if n in ("@id", "@group", "@time", "@last", also) or n.startswith("@target")]

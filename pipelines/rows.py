"""Which rows of a raw table are samples: their ids, the cohort, copies, and the label."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from contracts.errors import MedloopError, listed, masked
from contracts.names import nearest
from contracts.study import Column, Condition, Frozen, Study
from pipelines.cells import Decimal, Mask, canonical, read_cells
from pipelines.conversion import convert
from pipelines.copies import codes, repeated, too_rare_for_chance
from pipelines.spelling import Spelling


class Change(Frozen):
    """One line of the ledger: a rule, the column it touched (None: whole rows), how many rows and cells."""

    rule: str
    column: str | None = None
    rows: int = 0
    cells: int = 0
    detail: str = ""


def check_columns(raw: pd.DataFrame, needed: Iterable[str | None]) -> None:
    """Raises MedloopError when a column of `needed` is absent."""
    absent = sorted({name for name in needed if name} - set(raw.columns))
    if absent:
        like = nearest(absent[0], raw.columns)
        raise MedloopError(
            f"the data lack {len(absent)} columns that the study declares: {listed(absent)}{like}",
            mend="correct the study's columns, or the source",
        )


def with_ids(raw: pd.DataFrame, roles: Mapping[str, str | None]) -> pd.DataFrame:
    """`raw` with the columns of `roles` beside it, as text; None stands for the row's number, from 1."""
    numbers = numbered(pd.Series(np.arange(1, len(raw) + 1), index=raw.index))
    named = {role: raw[name].str.strip() if name else numbers for role, name in roles.items()}
    return raw.assign(**{"@row": numbered(raw["@row"])}, **named).reset_index(drop=True)


def numbered(rows: "pd.Series[Any]") -> "pd.Series[str]":
    """Whole numbers, or texts, as texts; by Arrow, ten times as fast as pandas' own."""
    if not pd.api.types.is_integer_dtype(rows):
        return rows.astype("str")
    return pd.Series(pa.array(rows.to_numpy()).cast(pa.large_string()).to_pandas(), dtype="str").set_axis(rows.index)


def refuse_blank(rows: pd.DataFrame, roles: Mapping[str, str | None]) -> None:
    """Raises MedloopError when an id or a patient that comes from a column is blank."""
    for role, name in roles.items():
        blank = _mask(rows[role] == "")
        if name and blank.any():
            raise MedloopError(
                f"{blank.sum()} rows have a blank {'id' if role == '@id' else 'patient'}",
                where=places(rows, name, blank),
                mend="fill them in, or remove these rows from the source",
            )


def in_cohort(
    rows: pd.DataFrame,
    study: Study,
    *,
    missing: Collection[str],
    decimal: Decimal,
    ledger: list[Change],
    spelling: Spelling = "exact",
) -> pd.DataFrame:
    """The rows that meet every condition of the cohort, in the columns' own units; a missing cell meets none."""
    for name, condition in study.cohort.items():
        if condition.among:
            column = one_of(study, name, condition.among)
            cells = read_cells(rows[name], column, missing=missing, name=name, spelling=spelling)
            meets = _mask(cells.values.notna())
        elif condition.most:
            meets = ~_beyond(rows, name, condition)
        else:
            meets = _between(rows, name, study.columns.get(name), condition, missing, decimal)
        rows = drop(rows, ~meets, "outside the cohort", ledger, f"by {name}")
    return rows


def distinct(
    rows: pd.DataFrame, study: Study, *, duplicates: Literal["drop", "keep"], ledger: list[Change]
) -> pd.DataFrame:
    """Rows of unique ids.

    Where ids are declared, a copy of a row goes whatever `duplicates` says. Where none are, equal rows may be patients
    alike, so only those go that are too rare for chance; the others stay, and are counted.

    Raises MedloopError when an id stands on rows that differ.
    """
    source = [name for name in rows.columns if not name.startswith("@")]
    coded = pd.DataFrame({name: codes(rows[name]) for name in source}, copy=False)
    copies = repeated(coded)
    if study.id:
        rows = drop(rows, copies, "exact copy of a row", ledger)
    elif duplicates == "drop":
        rare = too_rare_for_chance(coded, copies)
        kept = int((copies & ~rare).sum())
        if kept:
            alike = "perhaps visits of one patient alike" if study.group else "patients alike"
            ledger.append(Change(rule="equal rows kept", rows=kept, detail=f"{alike}; declare an id to tell"))
        rows = drop(rows, rare, "exact copy of a row", ledger)
    if not study.id:
        return rows
    conflicting = rows["@id"].duplicated(keep=False)
    if conflicting.any():
        again = rows[conflicting].groupby("@id", sort=False)["@row"].agg(" and ".join)
        raise MedloopError(
            f"{len(again)} ids stand on several rows that differ",
            where=f"column {study.id}, rows {listed(again.tolist())}",
            mend="correct the source; where a patient has many samples, name that column under `group`, not `id`",
        )
    return rows


def labelled(
    rows: pd.DataFrame,
    study: Study,
    *,
    missing: Collection[str],
    spelling: Spelling = "exact",
    missing_label: Literal["exclude", "fail"],
    ledger: list[Change],
) -> pd.DataFrame:
    """Rows with a label, and `@target`, its class's index.

    Raises MedloopError when a label is none of the classes, or missing where that fails.
    """
    name, classes = study.target.column, list(study.target.classes)
    column = one_of(study, name, study.target.classes)
    cells = read_cells(rows[name], column, missing=missing, name=name, spelling=spelling)
    if cells.unreadable.any():
        raise MedloopError(
            f"{cells.unreadable.sum()} labels are none of the classes {classes}",
            where=places(rows, name, cells.unreadable),
            mend=f"add the class, or leave these rows out: cohort: {{{name}: {{among: {classes}}}}}",
        )
    if cells.missing.any() and missing_label == "fail":
        raise MedloopError(
            f"{cells.missing.sum()} rows have no label",
            where=places(rows, name, cells.missing),
            mend="fill them in, or set clean.missing_label: exclude",
        )
    if cells.respelled.any():
        ledger.append(Change(rule="spelled as declared", column=name, cells=int(cells.respelled.sum())))
    target = pd.Categorical(cells.values, categories=classes).codes.astype(np.int64)
    return drop(rows.assign(**{"@target": target}), cells.missing, "without a label", ledger, f"column {name}")


def drop(rows: pd.DataFrame, gone: Mask, rule: str, ledger: list[Change], detail: str = "") -> pd.DataFrame:
    """`rows` without those `gone`, counted in the ledger."""
    if not gone.any():
        return rows
    ledger.append(Change(rule=rule, rows=int(gone.sum()), detail=detail))
    return rows[~gone].reset_index(drop=True)


def places(rows: pd.DataFrame, name: str, at: Mask) -> str:
    """Where a column's faulty cells are, and the shape of the first."""
    return f"column {name}, rows {listed(rows.loc[at, '@row'].tolist())}, like {masked(rows.loc[at, name].iloc[0])!r}"


def one_of(study: Study, name: str, levels: tuple[str, ...]) -> Column:
    """Column `name` read as one of `levels`, with its own missing codes and those of its spellings that are theirs."""
    own = study.columns.get(name, Column(type="categorical"))
    spellings = {
        level: tuple(way for way in written if way not in levels)
        for level, written in own.spellings.items()
        if level in levels
    }
    return Column(type="categorical", levels=levels, missing=own.missing, spellings=spellings)


def _between(
    rows: pd.DataFrame,
    name: str,
    declared: Column | None,
    condition: Condition,
    missing: Collection[str],
    decimal: Decimal,
) -> Mask:
    column = (
        Column(type="numeric", missing=declared.missing, convert=declared.convert)
        if declared
        else Column(type="numeric")
    )
    cells = read_cells(rows[name], column, missing=missing, name=name, decimal=decimal)
    if cells.unreadable.any():
        raise MedloopError(
            f"the cohort asks for numbers in {name}, and {cells.unreadable.sum()} cells are none",
            where=places(rows, name, cells.unreadable),
            mend="correct them, declare them as missing codes, or use `among` on texts",
        )
    cells, _ = convert(cells, rows, name, column)
    low = -np.inf if condition.min is None else condition.min
    high = np.inf if condition.max is None else condition.max
    return _mask(cells.values.between(low, high))


def _beyond(rows: pd.DataFrame, name: str, condition: Condition) -> Mask:
    """The rows of a level beyond its number, in the order of a hash of their ids, which other rows do not change."""
    level = canonical(rows[name].str.strip())
    drawn = pd.Series([hashlib.sha256(i.encode()).hexdigest() for i in rows["@id"]], index=rows.index)
    absent = sorted(set(condition.most) - set(level))
    if absent:
        raise MedloopError(
            f"the cohort limits levels of {name} that no row has: {listed(absent)}{nearest(absent[0], level.unique())}",
            where=f"cohort, {name}",
            mend="write the level as in the source",
        )
    rank = drawn.groupby(level).rank(method="first").to_numpy(dtype=np.float64)
    return np.asarray(rank > level.map(condition.most).fillna(np.inf).to_numpy(dtype=np.float64))


def _mask(series: "pd.Series[Any]") -> Mask:
    return series.to_numpy(dtype=bool)

"""Which rows of a raw table are samples: their ids, the cohort, copies, and the label."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from contracts.errors import MedloopError, listed
from contracts.names import nearest
from contracts.study import Column, Condition, Frozen, Study
from pipelines.cells import Decimal, Mask, canonical, read_cells
from pipelines.conversion import convert
from pipelines.spelling import Spelling
from pipelines.spots import Spots, places, spots
from pipelines.table import Block, Each, Table, as_table, coded, gathered


class Change(Frozen):
    """One line of the ledger: a rule, the column it touched (None: whole rows), how many rows and cells."""

    rule: str
    column: str | None = None
    rows: int = 0
    cells: int = 0
    detail: str = ""


def summed(ledgers: Iterable[Sequence[Change]]) -> list[Change]:
    """The lines of several ledgers, alike ones as one; those of no row and no cell are left out."""
    found: dict[tuple[str, str | None, str], Change] = {}
    for line in (line for ledger in ledgers for line in ledger):
        key = line.rule, line.column, line.detail
        before = found.get(key)
        more = {"rows": before.rows + line.rows, "cells": before.cells + line.cells} if before else {}
        found[key] = line.model_copy(update=more)
    return [line for line in found.values() if line.rows or line.cells]


def check_columns(raw: pd.DataFrame | Table, needed: Iterable[str | None]) -> None:
    """Raises MedloopError when a column of `needed` is absent."""
    absent = sorted({name for name in needed if name} - set(raw.columns))
    if absent:
        like, several = nearest(absent[0], raw.columns), "s" * (len(absent) > 1)
        raise MedloopError(
            f"the data lack {len(absent)} column{several} that the study declares: {listed(absent)}{like}",
            mend="correct the study's columns, or the source; to new rows add them, blank where not known",
        )


@dataclass(frozen=True)
class Named:
    """A block of the raw table with the columns of `roles` beside it, and `@row` as text; see `with_ids`."""

    block: Block
    first: int
    roles: Mapping[str, str | None]

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return list(dict.fromkeys([*self.block.columns, "@row", *self.roles]))

    def __len__(self) -> int:
        return len(self.block)

    def read(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Its rows, numbered from 0: all columns, or those asked for."""
        asked = self.columns if columns is None else list(columns)
        roles = {role: name for role, name in self.roles.items() if role in asked}
        needed = [*filter(None, roles.values()), *(n for n in asked if n not in self.roles)]
        # Of a table that holds no column, nobody knows the number of rows.
        raw = self.block.read(None if columns is None else list(dict.fromkeys(needed)) or self.block.columns[:1])
        return with_ids(raw, roles, first=self.first)[asked]


def named(raw: Table, roles: Mapping[str, str | None]) -> Table:
    """The raw table with the columns of `roles` beside it; rows are numbered over all blocks."""
    starts = raw.starts.tolist()
    return Table(tuple(Named(block, first, roles) for block, first in zip(raw.blocks, starts, strict=False)))


def with_ids(raw: pd.DataFrame, roles: Mapping[str, str | None], *, first: int = 0) -> pd.DataFrame:
    """`raw` with the columns of `roles` beside it, as text; None stands for the row's number, from `first` + 1."""
    named = {role: stripped(raw[name]) for role, name in roles.items() if name}
    if None in roles.values():
        numbers = numbered(pd.Series(np.arange(first + 1, first + len(raw) + 1), index=raw.index))
        named |= {role: numbers for role, name in roles.items() if not name}
    if "@row" in raw:
        named["@row"] = numbered(raw["@row"])
    return raw.assign(**{role: named[role] for role in ("@row", *roles) if role in named}).reset_index(drop=True)


def stripped(text: "pd.Series[str]") -> "pd.Series[str]":
    """The texts without surrounding blanks; a gap is blank."""
    numbers, texts = coded(text)
    return gathered(texts.str.strip(), numbers, text)


def numbered(rows: "pd.Series[Any]") -> "pd.Series[str]":
    """Whole numbers, or texts, as texts; by Arrow, ten times as fast as pandas' own."""
    if not pd.api.types.is_integer_dtype(rows):
        return rows.astype("str")
    return pd.Series(pa.array(rows.to_numpy()).cast(pa.large_string()).to_pandas(), dtype="str").set_axis(rows.index)


def refuse_blank(rows: Table, roles: Mapping[str, str | None], each: Each = map) -> None:
    """Raises MedloopError when an id or a patient that comes from a column is blank."""
    for role, name in roles.items():
        blank = sum(each(partial(_blank, role, name), rows.blocks), start=Spots()) if name else Spots()
        if name and blank.count:
            raise MedloopError(
                f"{blank.count} rows have a blank {'id' if role == '@id' else 'patient'}",
                where=places(name, blank),
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
    """As `cohort`, of a table in memory."""
    table = as_table(rows)
    return cohort(table, study, missing=missing, decimal=decimal, spelling=spelling, ledger=ledger).read()


def cohort(
    rows: Table,
    study: Study,
    *,
    missing: Collection[str],
    decimal: Decimal,
    ledger: list[Change],
    spelling: Spelling = "exact",
    each: Each = map,
) -> Table:
    """The rows that meet every condition of the cohort, in the columns' own units; a missing cell meets none."""
    for name, condition in study.cohort.items():
        if condition.most:
            gone = _beyond(rows.read(["@id", name]), name, condition)
        else:
            misses = partial(_misses, name, study, condition, missing, decimal, spelling)
            gone = _all_numbers(name, list(each(misses, rows.blocks)))
        rows = drop(rows, gone, "outside the cohort", ledger, f"by {name}")
    return rows


def drop(rows: Table, gone: Mask, rule: str, ledger: list[Change], detail: str = "") -> Table:
    """`rows` without those `gone`, (N,), counted in the ledger."""
    if not gone.any():
        return rows
    ledger.append(Change(rule=rule, rows=int(gone.sum()), detail=detail))
    return rows.where(~gone)


def one_of(study: Study, name: str, levels: tuple[str, ...]) -> Column:
    """Column `name` read as one of `levels`, with its own missing codes and those of its spellings that are theirs."""
    own = study.columns.get(name, Column(type="categorical"))
    spellings = {
        level: tuple(way for way in written if way not in levels)
        for level, written in own.spellings.items()
        if level in levels
    }
    return Column(type="categorical", levels=levels, missing=own.missing, spellings=spellings)


def _blank(role: str, name: str, block: Block) -> Spots:
    blank = _mask(block.read([role])[role] == "")
    return spots(block.read(["@row", name]), name, blank) if blank.any() else Spots()


def _misses(
    name: str,
    study: Study,
    condition: Condition,
    missing: Collection[str],
    decimal: Decimal,
    spelling: Spelling,
    block: Block,
) -> tuple[Mask, Spots]:
    """(N,) the rows of a block that do not meet a condition; and where one on numbers finds none."""
    if condition.among:
        column = one_of(study, name, condition.among)
        texts = block.read([name])[name]
        cells = read_cells(texts, column, missing=missing, name=name, spelling=spelling)
        return _mask(cells.values.isna()), Spots()
    declared = study.columns.get(name, Column(type="numeric"))
    column = Column(type="numeric", missing=declared.missing, convert=declared.convert, censored=declared.censored)
    rows = block.read(list(dict.fromkeys(["@row", name, *(rule.by for rule in column.convert if rule.by)])))
    cells = read_cells(rows[name], column, missing=missing, name=name, decimal=decimal)
    unreadable = spots(rows, name, cells.unreadable)
    cells, _ = convert(cells, rows, name, column)
    low = -np.inf if condition.min is None else condition.min
    high = np.inf if condition.max is None else condition.max
    return ~_mask(cells.values.between(low, high)), unreadable


def _all_numbers(name: str, found: Sequence[tuple[Mask, Spots]]) -> Mask:
    """What `_misses` found in all blocks. Raises MedloopError where a cell is no number."""
    unreadable = sum((at for _, at in found), start=Spots())
    if unreadable.count:
        raise MedloopError(
            f"the cohort asks for numbers in {name}, and {unreadable.count} cells are none",
            where=places(name, unreadable),
            mend="correct them, declare them as missing codes, have results such as <4.0 read by `censored: limit` "
            "of the column, or use `among` on texts",
        )
    return np.concatenate([gone for gone, _ in found])


def _beyond(rows: pd.DataFrame, name: str, condition: Condition) -> Mask:
    """The rows of a level beyond its number, in the order of a hash of their ids, which other rows do not change."""
    level = canonical(stripped(rows[name]))
    absent = sorted(set(condition.most) - set(level.unique()))
    if absent:
        raise MedloopError(
            f"the cohort limits levels of {name} that no row has: {listed(absent)}{nearest(absent[0], level.unique())}",
            where=f"cohort, {name}",
            mend="write the level as in the source",
        )
    beyond = np.zeros(len(rows), dtype=bool)
    for limited, most in condition.most.items():
        at = np.flatnonzero(level == limited)
        digests = (hashlib.sha256(i.encode()).digest() for i in rows["@id"].iloc[at])
        drawn = np.fromiter(digests, dtype="S32", count=len(at))
        beyond[at[np.argsort(drawn, kind="stable")[most:]]] = True
    return beyond


def _mask(series: "pd.Series[Any]") -> Mask:
    return series.to_numpy(dtype=bool)

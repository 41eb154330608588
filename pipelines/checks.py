"""Checks held against a table block by block, and what they find put together."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from contracts.frames import with_columns
from contracts.study import Frozen, Study
from pipelines.cells import Mask
from pipelines.column_figures import Figures, parted
from pipelines.expectations import Rule, failing_rows
from pipelines.findings import Kind, RowVerdict
from pipelines.profile import Profile
from pipelines.repeats import conflicting_ids, contradicting_labels, repeated_rows

FIRST = 8  # rows of a finding that are named


class Check(Frozen):
    """One thing asked of the data: `rule` must hold for every row, or where `of_columns` for every column's figures."""

    kind: Kind
    verdict: RowVerdict
    rule: Rule
    of_columns: bool = False

    @property
    def column(self) -> str:
        """Of a check of rows, the column whose cells are checked; "" for whole rows."""
        return "" if self.rule.column.startswith("@") else self.rule.column


Found = tuple[Check, str, list[int]]  # the column ("": whole rows), and the positions of rows in a block


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A check that failed: in how many rows, the first `@row`s, and the first cell's text."""

    check: Check
    column: str
    rows: int
    first: tuple[str, ...]
    like: str

    def __add__(self, later: "Seen") -> "Seen":
        first = (*self.first, *later.first)[:FIRST]
        return replace(self, rows=self.rows + later.rows, first=first, like=self.like if self.rows else later.like)


def repeats_of(blocks: Sequence[Profile], source: Sequence[str], study: Study) -> list[pd.DataFrame]:
    """By block, `@id`, `@content` and `@label`: 1 in rows whose id conflicts, that are repeated, and that are but for
    their label; else missing.
    """
    alike, copies = repeated_rows(blocks, source)
    conflicting = conflicting_ids(blocks, study.id, copies) if study.id else np.zeros(len(alike), dtype=bool)
    found = {"@id": conflicting, "@content": alike, "@label": contradicting_labels(blocks, study)}
    marks = [[np.where(mask, 1.0, np.nan) for mask in parted(of, blocks)] for of in found.values()]
    return [pd.DataFrame(dict(zip(found, of, strict=True))) for of in zip(*marks, strict=True)]


def held_against(
    checks: Sequence[Check], blocks: Sequence[Profile], figures: Figures, repeats: Sequence[pd.DataFrame]
) -> tuple[list[Seen], pd.DataFrame]:
    """What failed over all blocks, in the order of the checks, and the rows to set aside (`@row`, `reason`)."""
    of_rows = [check for check in checks if not check.of_columns]
    of_columns = [check for check in checks if check.of_columns]
    failed = failing_rows(figures.table, [check.rule for check in of_columns])
    broken = [
        (check, str(name)) for check, at in zip(of_columns, failed, strict=True) for name in figures.table.index[at]
    ]
    marked = {key: parted(mask, blocks) for key, mask in figures.marked.items()}
    seen, aside = list[Seen](), []
    for number, (block, own) in enumerate(zip(blocks, repeats, strict=True)):
        here = {key: masks[number] for key, masks in marked.items()}
        found = [*_of_rows(block, own, of_rows), *_of_columns(block, here, broken)]
        told = [_seen(block, check, column, at) for check, column, at in found]
        seen = [before + now for before, now in zip(seen, told, strict=True)] if seen else told
        aside.append(_quarantine(block, found))
        if len(blocks) > 1:
            gc.collect()  # Great Expectations' objects refer to each other, and so keep the block in memory
    return [one for one in seen if one.rows or one.check.of_columns], pd.concat(aside, ignore_index=True)


def _of_rows(block: Profile, own: pd.DataFrame, checks: Sequence[Check]) -> list[Found]:
    names = dict.fromkeys(check.column for check in checks if check.column)
    typed = with_columns(own, {name: block.checked(name) for name in names})
    failed = failing_rows(typed, [check.rule for check in checks])
    return [(check, check.column, at) for check, at in zip(checks, failed, strict=True)]


def _of_columns(
    block: Profile, marked: dict[tuple[Kind, str], Mask], broken: Sequence[tuple[Check, str]]
) -> list[Found]:
    masks = [(check, name, marked.get((check.kind, name))) for check, name in broken]
    return [
        (check, name, np.flatnonzero(block.cells_of(check.kind, name) if mask is None else mask).tolist())
        for check, name, mask in masks
    ]


def _seen(block: Profile, check: Check, column: str, at: list[int]) -> Seen:
    first = tuple(str(place) for place in block.places().iloc[at[:FIRST]]) if at else ()
    like = str(block.rows([column])[column].iloc[at[0]]) if at and column else ""
    return Seen(check=check, column=column, rows=len(at), first=first, like=like)


def _quarantine(block: Profile, found: Sequence[Found]) -> pd.DataFrame:
    """`@row` and `reason` of every row that a finding sets aside, in the block's order."""
    reasons: dict[int, list[str]] = {}
    for check, column, at in found:
        for position in at if check.verdict == "quarantine" else []:
            reasons.setdefault(position, []).append(f"{column}: {check.kind}".removeprefix(": "))
    places = sorted(reasons)
    return pd.DataFrame(
        {"@row": block.places().iloc[places].to_numpy(), "reason": ["; ".join(reasons[i]) for i in places]},
        dtype="str",
    )

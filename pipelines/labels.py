"""The label's cells, read as the task asks; and every label as a class, for steps that go by class."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from contracts.errors import MedloopError
from contracts.study import Column, Study
from contracts.tables import Schema
from pipelines.cells import Cells, Decimal, Mask, out_of_range, read_cells
from pipelines.conversion import convert
from pipelines.rows import Change, one_of
from pipelines.spelling import Spelling
from pipelines.spots import Spots, places, spots

FIFTHS = ("the lowest fifth", "the second fifth", "the middle fifth", "the fourth fifth", "the highest fifth")
OutOfRange = Literal["missing", "clip", "keep"]


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Rows with a label, and `@target`, its class's index or the number; where unreadable and missing labels are."""

    rows: pd.DataFrame
    unreadable: Spots
    missing: Spots
    ledger: list[Change]


def label_column(study: Study) -> Column:
    """How the label's cells are read: one of its classes, or a number as it is declared under `columns`."""
    name = study.target.column
    if study.target.task == "regression":
        return study.columns.get(name, Column(type="numeric"))
    return one_of(study, name, study.target.classes)


def labelled(
    rows: pd.DataFrame,
    study: Study,
    *,
    missing: Collection[str],
    decimal: Decimal = ".",
    spelling: Spelling = "exact",
    beyond: OutOfRange = "missing",
) -> Labelled:
    """The rows that have a label; an unreadable one counts as none, a number out of range as `beyond` says."""
    name, column = study.target.column, label_column(study)
    cells = read_cells(rows[name], column, missing=missing, name=name, decimal=decimal, spelling=spelling)
    if study.target.task == "regression":
        target, outside, ledger = _numbers(cells, rows, name, column, beyond)
    else:
        codes = pd.Categorical(cells.values, categories=list(study.target.classes)).codes
        target, outside = pd.Series(codes.astype(np.int64), index=rows.index), np.zeros(len(rows), dtype=bool)
        ledger = [Change(rule="spelled as declared", column=name, cells=int(cells.respelled.sum()))]
    unreadable = cells.unreadable | cells.infinite
    without = cells.missing | outside | unreadable
    targeted = rows.assign(**{"@target": target})
    return Labelled(
        rows=targeted[~without].reset_index(drop=True) if without.any() else targeted,
        unreadable=spots(rows, name, unreadable),
        missing=spots(rows, name, cells.missing | outside),
        ledger=[*ledger, Change(rule="without a label", rows=int(cells.missing.sum()), detail=f"column {name}")],
    )


def _numbers(
    cells: Cells, rows: pd.DataFrame, name: str, column: Column, beyond: OutOfRange
) -> tuple["pd.Series[Any]", Mask, list[Change]]:
    """The numbers in the column's own unit, those that are no label for being out of range, and what was changed."""
    read, converted = convert(cells, rows, name, column)
    outside = out_of_range(read.values, column) if beyond != "keep" else np.zeros(len(rows), dtype=bool)
    rule = "label out of range: clipped" if beyond == "clip" else "label out of range: left out"
    ledger = [Change(rule=f"converted from {unit}", column=name, cells=count) for unit, count in converted]
    ledger.append(Change(rule=rule, column=name, cells=int(outside.sum())))
    if beyond == "clip":
        low, high = column.range or (None, None)
        return read.values.clip(low, high), np.zeros(len(rows), dtype=bool), ledger
    return read.values, outside, ledger


def refuse_labels(
    blocks: Sequence[tuple[Spots, Spots]], study: Study, missing_label: Literal["exclude", "fail"]
) -> None:
    """Raises MedloopError when a label is unreadable, or missing where that fails; `blocks` say where."""
    unreadable, missing = (sum((block[kind] for block in blocks), start=Spots()) for kind in (0, 1))
    name, classes = study.target.column, list(study.target.classes)
    if unreadable.count and study.target.task == "regression":
        raise MedloopError(
            f"{unreadable.count} labels are no finite numbers",
            where=places(name, unreadable),
            mend=f"correct them, or declare codes under columns: {name}: {{type: numeric, missing: [...]}}",
        )
    if unreadable.count:
        raise MedloopError(
            f"{unreadable.count} labels are none of the classes {classes}",
            where=places(name, unreadable),
            mend=f"add the class, or leave these rows out: cohort: {{{name}: {{among: {classes}}}}}",
        )
    if missing.count and missing_label == "fail":
        raise MedloopError(
            f"{missing.count} rows have no label",
            where=places(name, missing),
            mend="fill them in, or set clean.missing_label: exclude",
        )


def graded(target: "pd.Series[Any]", schema: Schema) -> tuple["pd.Series[int]", tuple[str, ...]]:
    """(N,) the class's index of every label, and the classes' names; of numbers the fifth of the rows they are in."""
    if schema.classes:
        return target, schema.classes
    edges = np.quantile(target, [0.2, 0.4, 0.6, 0.8])
    return pd.Series(np.searchsorted(edges, target, side="left"), index=target.index, dtype=np.int64), FIFTHS

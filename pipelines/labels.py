"""The label's cells, read as the task asks; and every label as a class, for steps that go by class."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.answers import NO, UNKNOWN, YES, packed, unpacked
from contracts.errors import MedloopError
from contracts.follow_up import followed, signed
from contracts.study import Column, Study, Target
from contracts.tables import Schema
from contracts.tags import entities, padded
from pipelines.cells import ABOVE, Cells, Decimal, Mask, out_of_range, read_cells
from pipelines.conversion import convert
from pipelines.rows import Change, one_of
from pipelines.spelling import Spelling
from pipelines.spots import Spots, places, spots
from pipelines.tagged import tagged
from pipelines.text.clean import TextParams

COURSES = ("censored", "event")
FIFTHS = ("the lowest fifth", "the second fifth", "the middle fifth", "the fourth fifth", "the highest fifth")
OutOfRange = Literal["missing", "clip", "keep"]
AS_USUAL = TextParams()


Faulty = Mapping[str, tuple[Spots, Spots]]  # by column of the label, where its unreadable and missing cells are


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Rows with a label, and `@target`, as `contracts.tables` has it; where unreadable and missing cells of it are."""

    rows: pd.DataFrame
    faulty: Faulty
    ledger: list[Change]


class _Read(NamedTuple):
    """A column of the label: numbers, or the index of each class; masks of the cells that tell nothing."""

    values: NDArray[Any]
    missing: Mask
    outside: Mask
    unreadable: Mask
    ledger: list[Change]


def label_columns(study: Study) -> dict[str, Column]:
    """How the cells of each column of the label are read: as one of its classes, or a number as it is declared."""
    target = study.target
    if target.columns:
        return {name: one_of(study, name, target.classes) for name in target.columns}
    if target.task == "forecasting":
        return {target.column: study.columns[target.column]}
    if target.task == "tagging":
        return {target.column: Column(type="text")}
    number = {target.column: study.columns.get(target.column, Column(type="numeric"))}
    if target.event:
        return {**number, target.event: one_of(study, target.event, target.classes)}
    return number if target.task == "regression" else {target.column: one_of(study, target.column, target.classes)}


def schema_of(features: dict[str, Column], study: Study) -> Schema:
    """What samples of these features tell, and what their label is."""
    target = study.target
    told = {"classes": target.classes, "positive": target.positive} if target.task in ("classes", "ordinal") else {}
    labels = target.classes if target.task == "tagging" else target.columns
    own: dict[str, Any] = {"labels": labels, "horizon": target.horizon or 0}
    own["unit"] = label_columns(study)[target.read_from[0]].unit or ""
    return Schema.model_validate({"classes": (), **told, **own, "features": features, "task": target.task})


def labelled(
    rows: pd.DataFrame,
    study: Study,
    *,
    missing: Collection[str],
    decimal: Decimal = ".",
    spelling: Spelling = "exact",
    beyond: OutOfRange = "missing",
    texts: TextParams = AS_USUAL,
) -> Labelled:
    """The rows that have a label; an unreadable one counts as none, a number out of range as `beyond` says.

    texts: how the texts of tagging will be cleaned.
    """
    if study.target.task == "forecasting":
        return _ahead(rows, study)
    if study.target.task == "tagging":
        return _tagged(rows, study, missing, texts)
    target, read = study.target, {}
    for name, column in label_columns(study).items():
        cells = read_cells(rows[name], column, missing=missing, name=name, decimal=decimal, spelling=spelling)
        read[name] = _numbers(cells, rows, name, column, beyond) if column.type == "numeric" else _codes(cells, column)
    if target.event:
        read[target.column] = _not_negative(read[target.column])
    if target.event and label_columns(study)[target.column].censored:
        read[target.event] = _not_yet(read[target.event], rows[target.column], target)
    unknown = np.stack([of.missing | of.outside | of.unreadable for of in read.values()], axis=1)
    without = np.asarray(unknown.all(axis=1) if target.columns else unknown.any(axis=1), dtype=np.bool_)
    label = _told(target, [of.values for of in read.values()], unknown)
    targeted = rows.assign(**{"@target": label})
    ledger = [change for name, of in read.items() for change in _ledger(name, of, alone=not target.columns)]
    if target.columns:
        ledger.append(Change(rule="without a label", rows=int(without.sum()), detail="in none of its columns"))
    return Labelled(
        rows=targeted[~without].reset_index(drop=True) if without.any() else targeted,
        faulty={
            name: (spots(rows, name, of.unreadable), spots(rows, name, of.missing | of.outside))
            for name, of in read.items()
        },
        ledger=ledger,
    )


def _ahead(rows: pd.DataFrame, study: Study) -> Labelled:
    """Those that have one, of rows that `pipelines.horizon` has told their labels."""
    name, without = study.target.column, rows["@target"].isna().to_numpy()
    detail = f"column {name}: fewer than {int(study.target.horizon or 0) + 1} values of {study.target.channel}"
    return Labelled(
        rows=rows[~without].reset_index(drop=True),
        faulty={name: (Spots(), spots(rows, name, without))},
        ledger=[Change(rule="too short to forecast", rows=int(without.sum()), detail=detail)],
    )


def _tagged(rows: pd.DataFrame, study: Study, missing: Collection[str], texts: TextParams) -> Labelled:
    """Those in whose texts somebody looked for what is to be told, with the tags of their words."""
    name = study.target.column
    unknown = (rows[name].str.strip() == "") | rows[name].isin(list(missing))
    without = unknown.to_numpy(dtype=np.bool_)
    labelled_rows = rows[~without].reset_index(drop=True)
    tags, ledger = tagged(labelled_rows, study, texts)
    return Labelled(
        rows=labelled_rows.assign(**{"@target": tags}),
        faulty={name: (Spots(), spots(rows, name, without))},
        ledger=[Change(rule="without a label", rows=int(without.sum()), detail=f"column {name}"), *ledger],
    )


def _told(target: Target, values: Sequence[NDArray[Any]], unknown: NDArray[np.bool_]) -> NDArray[Any]:
    """The label of each row, of the columns' values (N,) and where they tell nothing (N, L)."""
    if target.task in ("classes", "ordinal", "regression"):
        return values[0]
    positive = target.classes.index(str(target.positive))
    if target.event:
        return signed(values[0], values[1] == positive)
    answers = np.stack([np.where(of == positive, YES, NO) for of in values], axis=1)
    return packed(np.where(unknown, UNKNOWN, answers))


def _ledger(name: str, read: _Read, *, alone: bool) -> list[Change]:
    """What was changed in a column; without the label that it tells `alone`, a row is left out."""
    changes, missing = [change.model_copy(update={"column": name}) for change in read.ledger], int(read.missing.sum())
    if alone:
        return [*changes, Change(rule="without a label", rows=missing, detail=f"column {name}")]
    return [*changes, Change(rule="label not known", column=name, cells=missing)]


def _codes(cells: Cells, column: Column) -> _Read:
    codes = np.array(pd.Categorical(cells.values, categories=list(column.levels)).codes, dtype=np.int64)
    ledger = [Change(rule="spelled as declared", cells=int(cells.respelled.sum()))]
    unreadable = cells.unreadable | cells.infinite
    return _Read(codes, cells.missing, np.zeros(len(codes), dtype=bool), unreadable, ledger)


def _numbers(cells: Cells, rows: pd.DataFrame, name: str, column: Column, beyond: OutOfRange) -> _Read:
    """The numbers in the column's own unit; those out of range are no label, or clipped."""
    read, converted = convert(cells, rows, name, column)
    outside = out_of_range(read.values, column) if beyond != "keep" else np.zeros(len(rows), dtype=bool)
    rule = "label out of range: clipped" if beyond == "clip" else "label out of range: left out"
    ledger = [Change(rule=f"converted from {unit}", cells=count) for unit, count in converted]
    ledger.append(Change(rule=rule, cells=int(outside.sum())))
    if column.censored:
        ledger.append(Change(rule=f"beyond a limit of detection: {column.censored}", cells=int(read.censored.sum())))
    values = read.values
    if beyond == "clip":
        low, high = column.range or (None, None)
        values, outside = values.clip(low, high), np.zeros(len(rows), dtype=bool)
    unreadable = read.unreadable | read.infinite
    missing = read.missing | (read.censored & (column.censored == "missing"))
    return _Read(values.to_numpy(dtype=np.float64), missing, outside, unreadable, ledger)


def _not_negative(read: _Read) -> _Read:
    """A time before the start is none."""
    return read._replace(unreadable=read.unreadable | (~read.outside & (read.values < 0)))


def _not_yet(read: _Read, times: "pd.Series[str]", target: Target) -> _Read:
    """Whoever was followed beyond a time that is written, `>60`, had no event by then, whatever came after."""
    positive = target.classes.index(str(target.positive))
    later = times.astype("str").str.strip().str.startswith(ABOVE).to_numpy(dtype=bool) & (read.values == positive)
    told = Change(rule="event after a limit: followed until it", cells=int(later.sum()))
    return read._replace(values=np.where(later, 1 - positive, read.values), ledger=[*read.ledger, told])


def refuse_labels(blocks: Sequence[Faulty], study: Study, missing_label: Literal["exclude", "fail"]) -> None:
    """Raises MedloopError when a label is unreadable, or missing where that fails; `blocks` say where."""
    for name, column in label_columns(study).items():
        unreadable, missing = (sum((block[name][kind] for block in blocks), start=Spots()) for kind in (0, 1))
        if unreadable.count:
            _refuse_unreadable(unreadable, name, column, study)
        if missing.count and missing_label == "fail":
            raise MedloopError(
                f"{missing.count} rows have no label",
                where=places(name, missing),
                mend="fill them in, or set clean.missing_label: exclude",
            )


def _refuse_unreadable(unreadable: Spots, name: str, column: Column, study: Study) -> None:
    if column.type == "numeric":
        least = " of 0 or more" if study.target.event else ""
        raise MedloopError(
            f"{unreadable.count} labels are no finite numbers{least}",
            where=places(name, unreadable),
            mend=f"correct them, or declare codes under columns: {name}: {{type: numeric, missing: [...]}}; results "
            "such as <4.0 are read where it says `censored: limit`",
        )
    classes = list(column.levels)
    raise MedloopError(
        f"{unreadable.count} labels are none of the classes {classes}",
        where=places(name, unreadable),
        mend=f"add the class, or leave these rows out: cohort: {{{name}: {{among: {classes}}}}}",
    )


def graded(target: "pd.Series[Any]", schema: Schema) -> tuple["pd.Series[int]", tuple[str, ...]]:
    """(N,) the class's index of every label, and the classes' names.

    Of numbers the fifth of the rows they are in, of survival whether the event happened, of several labels the rarest
    one that is so, of tagging the rarest that a text has an entity of.
    """
    if schema.classes:
        return target, schema.classes
    if schema.task == "survival":
        return pd.Series(followed(target.to_numpy())[1], index=target.index, dtype=np.int64), COURSES
    if schema.labels:
        so = _named(target, len(schema.labels)) if schema.task == "tagging" else _so(target, len(schema.labels))
        return pd.Series(_rarest(so), index=target.index), ("none", *schema.labels)
    edges = np.quantile(target, [0.2, 0.4, 0.6, 0.8])
    return pd.Series(np.searchsorted(edges, target, side="left"), index=target.index, dtype=np.int64), FIFTHS


def _so(target: "pd.Series[Any]", labels: int) -> NDArray[np.bool_]:
    """(N, L) which of several labels are so."""
    return np.asarray(unpacked(target.to_numpy(), labels) == YES)


def _named(target: "pd.Series[Any]", labels: int) -> NDArray[np.bool_]:
    """(N, L) what entities a text has."""
    found = entities(padded(target.tolist()))
    so = np.zeros((len(target), labels), dtype=np.bool_)
    so[found[:, 0], found[:, 3]] = True
    return so


def _rarest(so: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N,) the number, from 1, of the rarest label among those that are so; 0 where none is. Shape: so (N, L)."""
    by_rarity = np.argsort(so.sum(axis=0), kind="stable")
    return np.where(so.any(axis=1), by_rarity[so[:, by_rarity].argmax(axis=1)] + 1, 0).astype(np.int64)

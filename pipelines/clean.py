"""Raw text to typed samples. Only what is declared is applied: no value is learnt from the data.

The columns that are dropped as empty or constant are found over all rows; that decides the table's
shape, not a value, and says nothing of the label.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Literal

import pandas as pd
from pydantic import Field

from contracts.errors import MedloopError
from contracts.payloads import Payloads
from contracts.study import PAYLOADS, Frozen, Study, Text
from contracts.tables import Schema
from pipelines.cells import Decimal
from pipelines.clean_payloads import grouped
from pipelines.copies import distinct
from pipelines.faults import (
    Case,
    Problem,
    counted,
    counts,
    fatal_spots,
    nothing_aside,
    part_with,
    reasons_by_row,
    refuse_fatal,
)
from pipelines.horizon import with_horizon, with_last
from pipelines.labels import Faulty, labelled, refuse_labels, schema_of
from pipelines.reading import dense_rows, own_columns, read_columns
from pipelines.rows import Change, check_columns, cohort, drop, named, refuse_blank, summed, with_ids
from pipelines.signal.clean import SignalParams
from pipelines.spelling import Spelling
from pipelines.spots import Spots
from pipelines.table import Block, Each, Keep, Table, as_table, hold
from pipelines.text.clean import TextParams
from pipelines.told import Told, informative, what_is_told

Verdict = Literal["fail", "missing", "quarantine"]


class CleanParams(Frozen):
    """How a raw table is cleaned.

    missing: texts that mean "no value" in every column, beside blank and each column's own codes. "None" is
        not among them, since it is a level of many clinical columns; declare it where it means nothing.
    decimal: the decimal sign of numeric columns.
    spelling: whether categories must be written exactly as the column's levels and spellings ("exact"), or case,
        accents, blanks, hyphens and underscores do not matter ("folded").
    unreadable, infinite, future: what becomes of a cell that is no value of its declared type, is ±inf or beyond
        ±1e300, or is a date later than the sample's own time: the run fails, the cell becomes missing, or
        the row is quarantined.
    out_of_range: a value outside the declared range becomes missing, the nearest bound (dates: missing), or stays. A
        missing label leaves out its row.
    duplicates: whether exact copies of a row are dropped.
    constant: whether a column of one value and no gap is dropped.
    missing_label: whether a row without a label is excluded or fails the run.
    drop_rows_above: the share of missing features above which a row is set aside, and is no row to predict for.
    texts: how texts are tidied (`pipelines.text.clean`).
    sequences: by column, how sequences are (`pipelines.signal.clean`).
    near_duplicates: rows whose pictures or texts are nearly the same count as one patient's ("group"), or not ("keep").
    """

    missing: tuple[Text, ...] = ("NA", "N/A", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "?")
    decimal: Decimal = "."
    spelling: Spelling = "exact"
    unreadable: Verdict = "fail"
    infinite: Verdict = "fail"
    future: Verdict = "fail"
    out_of_range: Literal["missing", "clip", "keep"] = "missing"
    duplicates: Literal["drop", "keep"] = "drop"
    constant: Literal["drop", "keep"] = "drop"
    missing_label: Literal["exclude", "fail"] = "exclude"
    drop_rows_above: float = Field(default=1.0, gt=0, le=1)
    texts: TextParams = TextParams()
    sequences: dict[str, SignalParams] = Field(default={})
    near_duplicates: Literal["group", "keep"] = "group"


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """Samples, their schema, what was changed, the rows set aside (`@row`, `reason`), and the payloads changed."""

    table: Table
    schema: Schema
    ledger: list[Change]
    quarantine: pd.DataFrame
    payloads: dict[str, Payloads]

    @property
    def samples(self) -> pd.DataFrame:
        """All samples, in memory."""
        return self.table.read()


@dataclass(frozen=True, kw_only=True)
class Scorable:
    """New rows that can be scored, as samples without a label beside `@row`, and those that cannot.

    `remarks` (N,), a text a sample, names the columns whose value was not taken as it is written, and why, or is "".
    `unscorable` has `@row`, `@id` and `reason`. Every `@row` is text. `payloads` are those that cleaning changed.
    """

    samples: pd.DataFrame
    remarks: "pd.Series[str]"
    unscorable: pd.DataFrame
    payloads: dict[str, Payloads]


def clean(
    raw: pd.DataFrame | Table,
    study: Study,
    params: CleanParams,
    *,
    set_aside: pd.DataFrame | None = None,
    payloads: Mapping[str, Payloads] = MappingProxyType({}),
    each: Each = map,
    keep: Keep = hold,
) -> Cleaned:
    """Typed samples of the study's cohort.

    In this order: rows set aside by validation, rows outside the cohort and copies of rows go; labels and cells
    are read; empty and constant columns go. Columns that the study does not declare are left behind. A table in blocks
    gives what it gives in one piece, block by block.

    Args:
        raw: every column text, and `@row`.
        set_aside: rows that ingest or validation quarantined (`@row`, `reason`).
        payloads: by image and sequence column; a table in blocks has none.
        each: maps work over blocks, here or elsewhere.
        keep: where the samples of each block go; it is called twice for each.

    Raises:
        MedloopError: a declared column is absent; an id has conflicting rows; an id or a patient is blank; a label is
            none of the classes, or no number; a cell is unreadable, infinite or from the future (unless settings say
            otherwise); no row or no feature is left. Rows are named by `@row`, values never.
    """
    ledger: list[Change] = []
    aside = nothing_aside() if set_aside is None else set_aside
    raw, cut = with_horizon(as_table(raw), study, payloads)
    payloads = {**payloads, **cut}
    rows = _chosen(raw, study, params, aside["@row"].astype("str"), ledger, each)
    read = list(each(partial(_typed, study, params, payloads, keep), range(len(rows.blocks)), rows.blocks))
    refuse_labels([r.labels for r in read], study, params.missing_label)
    refuse_fatal([r.fatal for r in read], list(study.features()))
    ledger += summed([r.ledger for r in read])
    ledger += counted([r.faults for r in read], list(study.features()))
    features = informative([r.told for r in read], study.features(), params.constant, ledger)
    schema = schema_of(features, study)
    changed = {**cut, **read[0].payloads}
    done = [_Done(block=r.block) for r in read]
    if not _are_samples(schema, study, params):
        finish = partial(_finished, schema, params, {**payloads, **changed}, keep)
        done = list(each(finish, range(len(read)), [r.block for r in read]))
    ledger += counted([d.faults for d in done], [])
    ledger += summed([d.ledger for d in done])
    set_apart = [aside, *(d.quarantine for d in [*read, *done])]
    return Cleaned(
        table=Table(tuple(d.block for d in done)),
        schema=schema,
        ledger=ledger,
        payloads=changed,
        quarantine=pd.concat([part[["@row", "reason"]] for part in set_apart], ignore_index=True),
    )


def _chosen(
    raw: Table, study: Study, params: CleanParams, aside: "pd.Series[str]", ledger: list[Change], each: Each
) -> Table:
    """The rows that are samples: not set aside, of the cohort, each once; whether they have a label is still open."""
    roles = (*study.target.read_from, *study.cohort, study.id, study.group, study.time, *study.unit_columns())
    check_columns(raw, [*study.features(), *roles])
    if len(raw.blocks) > 1 and any(column.type in PAYLOADS for column in study.features().values()):
        raise MedloopError("images, sequences and texts come in one piece, and this table is in blocks")
    rows = named(raw, {"@id": study.id, "@group": study.group or study.id})
    if len(aside):
        rows = drop(rows, rows["@row"].isin(aside).to_numpy(), "set aside before", ledger, "by ingest or validation")
    refuse_blank(rows, {"@id": study.id, "@group": study.group}, each)
    rows = cohort(
        rows,
        study,
        missing=params.missing,
        decimal=params.decimal,
        spelling=params.spelling,
        ledger=ledger,
        each=each,
    )
    return distinct(rows, study, duplicates=params.duplicates, ledger=ledger, each=each)


@dataclass(frozen=True, kw_only=True)
class _Done:
    """What was made of a block: where it is kept, and what is to be summed over all of them."""

    block: Block
    ledger: list[Change] = field(default_factory=list)
    faults: Counter[Case] = field(default_factory=Counter)
    quarantine: pd.DataFrame = field(default_factory=nothing_aside)
    labels: Faulty = field(default_factory=dict)
    fatal: dict[Problem, Spots] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    payloads: dict[str, Payloads] = field(default_factory=dict)


def _typed(
    study: Study, params: CleanParams, payloads: Mapping[str, Payloads], keep: Keep, number: int, block: Block
) -> _Done:
    """The rows of a block that have a label, their cells read, those to be quarantined apart."""
    labels = labelled(
        block.read(),
        study,
        missing=params.missing,
        decimal=params.decimal,
        spelling=params.spelling,
        beyond=params.out_of_range,
        texts=params.texts,
    )
    ledger = labels.ledger
    table, faults, changed = read_columns(labels.rows, study, study.features(), params, ledger, payloads)
    fatal = fatal_spots(faults, labels.rows)
    table, quarantined = part_with(table, faults[faults["verdict"] == "quarantine"])
    table = (table if params.drop_rows_above < 1 else table.drop(columns="@row")).reset_index(drop=True)
    return _Done(
        block=keep(number, table),
        ledger=ledger,
        faults=counts(faults),
        quarantine=quarantined,
        labels=labels.faulty,
        fatal=fatal,
        told={name: what_is_told(table[name]) for name in study.features()},
        payloads=changed,
    )


def _are_samples(schema: Schema, study: Study, params: CleanParams) -> bool:
    """Whether the cells that were read are the samples already: no column, row or patient changes by what all tell."""
    return schema.tabular == study.features() and params.drop_rows_above == 1


def _finished(
    schema: Schema, params: CleanParams, payloads: Mapping[str, Payloads], keep: Keep, number: int, block: Block
) -> _Done:
    """The samples of a block: rows with enough values, the columns of the schema."""
    table, sparse, faults = dense_rows(block.read(), schema.features, params)
    samples = table[[*own_columns(table), *schema.features]].reset_index(drop=True)
    ledger: list[Change] = []
    if params.near_duplicates == "group":
        samples["@group"] = grouped(samples, schema, payloads, ledger)
    return _Done(block=keep(number, samples), ledger=ledger, faults=counts(faults), quarantine=sparse)


def clean_rows(
    raw: pd.DataFrame,
    study: Study,
    schema: Schema,
    params: CleanParams,
    *,
    payloads: Mapping[str, Payloads] = MappingProxyType({}),
) -> Scorable:
    """New rows, read as the training rows were; no label, patient or cohort is asked for and no row is lost.

    A cell that would fail the run or quarantine a training row makes its own row unscorable.
    Raises MedloopError when a feature of `schema`, the id or the time is absent.
    """
    units = {rule.by for column in schema.features.values() for rule in column.convert}
    check_columns(raw, [*schema.features, *units, study.id, study.time])
    patient = {"@group": study.group} if study.group in raw else {}
    rows = with_ids(raw, {"@id": study.id, **patient})
    rows, unknown = with_last(rows, study, payloads)
    table, faults, changed = read_columns(rows, study, schema.features, params, [], payloads)
    faults = pd.concat([faults, *unknown], ignore_index=True)
    fatal = faults["verdict"].isin(["fail", "quarantine"])
    samples, unscorable = part_with(table, faults[fatal])
    remarks = reasons_by_row(faults[~fatal]).reindex(samples.index).fillna("").astype("str")
    samples = samples[[*own_columns(samples, also="@row"), *schema.features]].assign(**{"@remark": remarks})
    samples, sparse, _ = dense_rows(samples.reset_index(drop=True), schema.features, params)
    samples = samples.reset_index(drop=True)
    return Scorable(
        samples=samples.drop(columns="@remark"),
        remarks=samples["@remark"],
        unscorable=pd.concat([unscorable, sparse], ignore_index=True),
        payloads=changed,
    )

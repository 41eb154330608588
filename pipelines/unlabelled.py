"""Rows that have no label yet: read as labelled ones are, so that what does not ask for a label can look at them."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

import numpy as np

from contracts.payloads import Payloads
from contracts.study import Study
from contracts.tables import Schema
from pipelines.cells import Mask, read_cells
from pipelines.clean import CleanParams, Scorable, clean_rows
from pipelines.labels import label_columns
from pipelines.rows import cohort, named
from pipelines.table import Table


def unlabelled(
    raw: Table,
    study: Study,
    schema: Schema,
    params: CleanParams,
    *,
    but: Collection[str] = (),
    aside: Collection[str] = (),
    payloads: Mapping[str, Payloads] = MappingProxyType({}),
) -> Scorable | None:
    """The rows of the cohort whose label is not told, an id once; None where there is none, or none can be known again.

    A forecast's rows tell their own label, of texts to be tagged a blank one says that nobody looked, and rows without
    an id are known by their number alone: of these, none.

    Args:
        raw: as ingest wrote it
        schema: of the samples whose like they are to be
        but: ids of rows that are not meant
        aside: rows that ingest or validation set aside, by `@row`
        payloads: as they were decoded
    """
    rows = named(raw, {"@id": study.id, "@group": study.group or study.id})
    meant = ~(rows["@id"].isin(list(but)) | rows["@row"].isin(list(aside)))
    rows = rows.where(without_label(rows, study, params) & meant.to_numpy())
    if len(rows):
        rows = cohort(rows, study, missing=params.missing, decimal=params.decimal, spelling=params.spelling, ledger=[])
    table = rows.read().drop_duplicates("@id")
    return clean_rows(table, study, schema, params, payloads=payloads) if len(table) else None


def without_label(raw: Table, study: Study, params: CleanParams) -> Mask:
    """(N,) which rows tell nothing of the label, of several answers none, and can be known again."""
    if study.id is None or study.target.task in ("forecasting", "tagging"):
        return np.zeros(len(raw), dtype=np.bool_)
    cells = raw.read(list(study.target.read_from))
    unknown = [
        read_cells(
            cells[name], column, missing=params.missing, name=name, decimal=params.decimal, spelling=params.spelling
        ).missing
        for name, column in label_columns(study).items()
    ]
    return np.asarray(np.all(unknown, axis=0) if study.target.columns else np.any(unknown, axis=0), dtype=np.bool_)

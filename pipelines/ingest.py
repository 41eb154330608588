"""A source's rows matched against the study's declaration: every column is declared or dropped, payloads decoded."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from contracts.errors import MedloopError, listed
from contracts.names import nearest
from contracts.payloads import Payloads
from contracts.study import Column, Frozen, Study
from pipelines.decode import AllocateFor, DecodedColumns, Tell, decode, file_names
from pipelines.guard import ONLY_PIXELS, guard
from pipelines.image.dicom import identifying_headers
from pipelines.protect import protect
from pipelines.sources.raw import Raw, tidy


class IngestParams(Frozen):
    """What becomes of columns of the source that the study does not name, and of files that cannot be read.

    undeclared: `fail` lists them, so that a new column is noticed; `drop` leaves them out and records it.
    max_unreadable: the share of a column's files above which unreadable ones end the run; up to it their rows are set
        aside.
    """

    undeclared: Literal["fail", "drop"] = "fail"
    max_unreadable: float = Field(default=0.05, ge=0, le=1)


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """The study's columns as text (raw, see `contracts.tables`), where they came from, and the lines set aside.

    `payloads` are those of image and sequence columns; a row whose file cannot be read is in `quarantine` too.
    `provenance` tells beside the source which columns were `dropped` by the study, which were `undeclared`, what was
    `decoded`, and what became of those `protected`, in counts.
    """

    table: pd.DataFrame
    provenance: dict[str, object]
    quarantine: pd.DataFrame
    payloads: dict[str, Payloads]


def ingest(
    raw: Raw,
    params: IngestParams,
    study: Study,
    key: bytes = b"",
    *,
    allocate_for: AllocateFor = lambda name: np.zeros,
    tell: Tell = lambda said: None,
) -> Ingested:
    """The columns that the study uses, under its own spelling, their files decoded.

    Names match whatever their Unicode composition and spaces. Columns under `drop` go no further, unless they
    are the id, the patient, the time, the label, a condition of the cohort or the unit of another column. What may
    identify people is treated as the study says under `protect`, with `key` (see `pipelines.protect`).

    Raises:
        MedloopError: a declared column is absent (the nearest names are told), or, where `undeclared` is
            `fail`, the source has columns that the study does not name; a column may identify people and the study
            does not decide on it; more files than `max_unreadable` permits cannot be read.
    """
    table = spelled(raw.table, study)
    columns = [name for name in table.columns if not name.startswith("@")]
    used = _used(study)
    undeclared = [name for name in columns if name not in study.known()]
    _check(used, columns, undeclared, params)
    kept = [name for name in columns if name in used]
    own = [name for name in table.columns if name.startswith("@")]
    dropped = [name for name in columns if name in study.drop and name not in used]
    held = payload_columns(study)
    headers = _headers(replace(raw, table=table), held, study)
    decoded = decode(
        replace(raw, table=table[[*own, *kept]], payloads={n: raw.payloads[n] for n in held if n in raw.payloads}),
        held,
        max_unreadable=params.max_unreadable,
        allocate_for=allocate_for,
        tell=tell,
    )
    guard(decoded.table[kept], study, headers=headers)
    left = [name for name in columns if name in study.left_out()]
    protected, told = protect(pd.concat([decoded.table, table[left]], axis=1), study, key)
    counts = {name: treatment.model_dump() for name, treatment in told.items()}
    told_of = {"dropped": dropped, "undeclared": undeclared, "protected": counts, "decoded": decoded.facts}
    return Ingested(
        table=protected,
        provenance={**raw.provenance, **told_of},
        quarantine=pd.concat([raw.quarantine, _unreadable(decoded)], ignore_index=True),
        payloads=decoded.payloads,
    )


def payload_columns(study: Study) -> dict[str, Column]:
    """The features of the study whose cells refer to payloads."""
    return {name: column for name, column in study.features().items() if column.type in ("image", "sequence", "text")}


def _headers(raw: Raw, held: dict[str, Column], study: Study) -> dict[str, Counter[str]]:
    """By image column without an answer of its own, how many files have which identifying DICOM attribute."""
    found = dict[str, Counter[str]]()
    for name, column in held.items():
        open_ = study.protect.get(name) in (None, ONLY_PIXELS)
        if column.type == "image" and raw.opened and open_ and name not in raw.payloads:
            files = [file for file in file_names(raw.table[name], column).unique() if file]
            found[name] = Counter(header for file in files for header in _of_file(raw, file))
    return found


def _of_file(raw: Raw, file: str) -> list[str]:
    assert raw.opened
    try:
        return identifying_headers(raw.opened(file))
    except MedloopError:  # an absent file; decoding tells
        return []


def _unreadable(decoded: DecodedColumns) -> pd.DataFrame:
    rows = decoded.table["@row"].iloc[list(decoded.faults)].reset_index(drop=True)
    return pd.DataFrame({"@row": rows, "reason": pd.Series(list(decoded.faults.values()), dtype="str")})


def spelled(table: pd.DataFrame, study: Study) -> pd.DataFrame:
    """`table`, whose names are tidy, with the study's spelling of the names that it knows."""
    return table.rename(columns={tidy(name): name for name in sorted(study.known())})


def _used(study: Study) -> set[str]:
    roles = {study.id, study.group, study.time, study.target.column}
    return {*study.columns, *study.cohort, *study.unit_columns(), *(role for role in roles if role)} - study.left_out()


def _check(used: set[str], columns: list[str], undeclared: list[str], params: IngestParams) -> None:
    absent = sorted(used - set(columns))
    if absent:
        told = [f"{name}{nearest(name, undeclared or columns)}" for name in absent]
        raise MedloopError(
            f"the study declares {len(absent)} columns that the source does not have",
            where=f"columns {listed(told)}",
            mend="correct their names in the study, or the source",
        )
    if undeclared and params.undeclared == "fail":
        raise MedloopError(
            f"the source has {len(undeclared)} columns that the study does not name",
            where=f"columns {listed(undeclared)}",
            mend="declare each under `columns`, or under `drop` with a reason; ingest.undeclared: drop leaves all out",
        )

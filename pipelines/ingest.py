"""A source's rows matched against the study's declaration: every column is either declared or dropped."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from contracts.errors import MedloopError, listed
from contracts.names import nearest
from contracts.study import Frozen, Study
from pipelines.guard import guard
from pipelines.protect import protect
from pipelines.sources.raw import Raw, tidy


class IngestParams(Frozen):
    """What becomes of columns of the source that the study does not name.

    undeclared: `fail` lists them, so that a new column is noticed; `drop` leaves them out and records it.
    """

    undeclared: Literal["fail", "drop"] = "fail"


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """The study's columns as text (raw, see `contracts.tables`), where they came from, and the lines set aside.

    `provenance` tells beside the source which columns were `dropped` by the study, which were `undeclared`, and what
    became of those `protected`, in counts.
    """

    table: pd.DataFrame
    provenance: dict[str, object]
    quarantine: pd.DataFrame


def ingest(raw: Raw, params: IngestParams, study: Study, key: bytes = b"") -> Ingested:
    """The columns that the study uses, under its own spelling.

    Names match whatever their Unicode composition and spaces. Columns under `drop` go no further, unless they
    are the id, the patient, the time, the label or a condition of the cohort. What may identify people is treated as
    the study says under `protect`, with `key` (see `pipelines.protect`).

    Raises:
        MedloopError: a declared column is absent (the nearest names are told), or, where `undeclared` is
            `fail`, the source has columns that the study does not name; a column may identify people and the study
            does not decide on it.
    """
    table = spelled(raw.table, study)
    columns = [name for name in table.columns if not name.startswith("@")]
    used = _used(study)
    undeclared = [name for name in columns if name not in study.known()]
    _check(used, columns, undeclared, params)
    kept = [name for name in columns if name in used]
    own = [name for name in table.columns if name.startswith("@")]
    dropped = [name for name in columns if name in study.drop and name not in used]
    guard(table[kept], study)
    treated = [name for name in columns if name in used | study.left_out()]
    protected, told = protect(table[[*own, *treated]], study, key)
    counts = {name: treatment.model_dump() for name, treatment in told.items()}
    return Ingested(
        table=protected,
        provenance={**raw.provenance, "dropped": dropped, "undeclared": undeclared, "protected": counts},
        quarantine=raw.quarantine,
    )


def spelled(table: pd.DataFrame, study: Study) -> pd.DataFrame:
    """`table`, whose names are tidy, with the study's spelling of the names that it knows."""
    return table.rename(columns={tidy(name): name for name in sorted(study.known())})


def _used(study: Study) -> set[str]:
    roles = {study.id, study.group, study.time, study.target.column}
    return {*study.columns, *study.cohort, *(role for role in roles if role)} - study.left_out()


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

"""A source's rows matched against the study's declaration: every column is declared or dropped, payloads decoded."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from contracts.errors import MedloopError, SchemaError, listed
from contracts.names import nearest
from contracts.payloads import Payloads
from contracts.study import Column, Frozen, Study
from pipelines.decode import AllocateFor, DecodedColumns, Tell, decode, file_names
from pipelines.guard import ONLY_PIXELS, header_suspicions, refuse
from pipelines.image.dicom import identifying_headers
from pipelines.protect import Treated, refuse_lost, together, treat
from pipelines.sources.raw import Raw, tidy
from pipelines.table import encoded
from pipelines.watch import Watch


class IngestParams(Frozen):
    """What becomes of columns of the source that the study does not name, and of files that cannot be read.

    undeclared: `fail` lists them, so that a new column is noticed; `drop` leaves them out and records it.
    max_unreadable: the share of a column's files above which unreadable ones end the run; up to it their rows are set
        aside.
    block: how much text of a source is read at once, in MiB; of a larger one the table lies in blocks. What a run
        holds in memory is some ten times that. A study of files (images, sequences, texts) is read whole.
    """

    undeclared: Literal["fail", "drop"] = "fail"
    max_unreadable: float = Field(default=0.05, ge=0, le=1)
    block: int = Field(default=32, ge=1)


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
    ingestion = Ingestion(params, study, key, allocate_for=allocate_for, tell=tell)
    (table,) = ingestion.tables([raw])
    return Ingested(
        table=table,
        provenance=ingestion.provenance(),
        quarantine=ingestion.quarantine(),
        payloads=ingestion.payloads,
    )


class Ingestion:
    """What `ingest` does, of a source in pieces; payloads are of one piece only.

    `provenance`, `quarantine` and `payloads` are what `Ingested` says, once `tables` has given its last.
    """

    def __init__(
        self,
        params: IngestParams,
        study: Study,
        key: bytes = b"",
        *,
        allocate_for: AllocateFor = lambda name: np.zeros,
        tell: Tell = lambda said: None,
    ) -> None:
        self.payloads: dict[str, Payloads] = {}
        self._params, self._study, self._key = params, study, key
        self._allocate_for, self._tell = allocate_for, tell
        self._watch, self._headers = Watch(study), dict[str, Counter[str]]()
        self._protected: list[dict[str, Treated]] = []
        self._aside: list[pd.DataFrame] = []
        self._facts: dict[str, object] = {}

    def tables(self, pieces: Iterable[Raw]) -> Iterator[pd.DataFrame]:
        """The table of each piece. Raises MedloopError as `ingest` does; what needs all rows, after the last piece."""
        for raw in pieces:
            yield self._table(raw)
        self._guard()
        refuse_lost(together(self._protected), self._study)

    def provenance(self) -> dict[str, object]:
        """Where the rows came from, and what became of the columns."""
        protected = {name: treated.model_dump() for name, treated in together(self._protected).items()}
        return {**self._facts, "protected": protected}

    def quarantine(self) -> pd.DataFrame:
        """The lines and rows set aside."""
        return pd.concat(self._aside, ignore_index=True)

    def _table(self, raw: Raw) -> pd.DataFrame:
        study, table = self._study, spelled(raw.table, self._study)
        columns = [name for name in table.columns if not name.startswith("@")]
        used = _used(study)
        undeclared = [name for name in columns if name not in study.known()]
        _check(used, columns, undeclared, self._params)
        kept = [name for name in columns if name in used]
        dropped = [name for name in columns if name in study.drop and name not in used]
        decoded = self._decoded(replace(raw, table=table), kept)
        decoded = replace(decoded, table=encoded(decoded.table))
        self._watch.look(decoded.table[kept])
        left = [name for name in columns if name in study.left_out()]
        treated, told = self._treated(pd.concat([decoded.table, table[left]], axis=1))
        self._protected.append(told)
        self._aside += [raw.quarantine, _unreadable(decoded)]
        self._facts = {**raw.provenance, "dropped": dropped, "undeclared": undeclared, "decoded": decoded.facts}
        return treated

    def _decoded(self, raw: Raw, kept: list[str]) -> DecodedColumns:
        held = payload_columns(self._study)
        self._headers.update(_headers(raw, held, self._study))
        own = [name for name in raw.table.columns if name.startswith("@")]
        decoded = decode(
            replace(
                raw,
                table=raw.table[[*own, *kept]],
                payloads={n: raw.payloads[n] for n in held if n in raw.payloads},
            ),
            held,
            max_unreadable=self._params.max_unreadable,
            allocate_for=self._allocate_for,
            tell=self._tell,
        )
        _refuse_resampled(decoded, self._study)
        self.payloads.update(decoded.payloads)
        return decoded

    def _treated(self, table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Treated]]:
        try:
            return treat(table, self._study, self._key)
        except MedloopError:
            self._guard()  # an undecided column is told first
            raise

    def _guard(self) -> None:
        refuse([*self._watch.suspicions(), *header_suspicions(self._headers, self._study)])


def _refuse_resampled(decoded: DecodedColumns, study: Study) -> None:
    """Raises MedloopError where recordings of a forecast were brought to another rate: its filter looks ahead."""
    mixed = [name for name, facts in decoded.facts.items() if facts.get("resampled")]
    if study.target.task == "forecasting" and mixed:
        raise MedloopError(
            "resampled steps are made of those around them, so that some would tell of the values to forecast",
            where=f"column {listed(mixed)}",
            mend="bring the recordings to one rate before, each step from earlier ones, and declare that rate",
        )


def payload_columns(study: Study) -> dict[str, Column]:
    """The features of the study whose cells refer to payloads."""
    return {name: column for name, column in study.features().items() if column.type in ("image", "sequence", "text")}


def is_read_whole(study: Study) -> bool:
    """Whether cells name files, which are decoded column by column."""
    return any(column.type != "text" or column.files for column in payload_columns(study).values())


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
    roles = {study.id, study.group, study.time, *study.target.read_from}
    return {*study.columns, *study.cohort, *study.unit_columns(), *(role for role in roles if role)} - study.left_out()


def _check(used: set[str], columns: list[str], undeclared: list[str], params: IngestParams) -> None:
    absent = sorted(used - set(columns))
    new = undeclared if params.undeclared == "fail" else []
    if absent:
        told = [f"{name}{nearest(name, undeclared or columns)}" for name in absent]
        raise SchemaError(
            f"the study declares {len(absent)} column{'s' * (len(absent) > 1)} that the source does not have",
            where=f"column{'s' * (len(absent) > 1)} {listed(told)}",
            mend="correct their names in the study, or the source",
            new=new,
            gone=absent,
        )
    if new:
        raise SchemaError(
            f"the source has {len(undeclared)} column{'s' * (len(undeclared) > 1)} that the study does not name",
            where=f"column{'s' * (len(undeclared) > 1)} {listed(undeclared)}",
            mend="declare each under `columns`, or under `drop` with a reason; ingest.undeclared: drop leaves all out",
            new=new,
        )

"""The guard at a study's door: no column that may identify people passes before the study says what becomes of it."""

import json
import re
from collections.abc import Sequence

import pandas as pd

from contracts.errors import MedloopError, listed
from contracts.study import Column, Protection, Study
from pipelines.cells import canonical
from pipelines.identifier_kinds import DATE, OTHER, SHIFT
from pipelines.identifiers import Suspicion, suspect

REFERENCES = ("image", "sequence")


def guard(table: pd.DataFrame, study: Study) -> None:
    """Raises MedloopError for columns that may identify people and that the study does not decide on; no value."""
    found = suspicions(table, study)
    if found:
        number = f"{len(found)} column{'s' if len(found) > 1 else ''}"
        raise MedloopError(
            f"{number} may identify people (HIPAA's safe harbour, 45 CFR 164.514(b)(2)), and the study does not say "
            "what becomes of them",
            where=listed([suspicion.told() for suspicion in found]),
            mend=f"decide for each column, and write into the study: {proposed(found)}; instead of these "
            "treatments there are hash, shift_dates, {generalise: 3}, {generalise: year}, {bin: 10}, {cap: 89}, drop, "
            "and {keep: the reason why it may stay}",
        )


def suspicions(table: pd.DataFrame, study: Study) -> list[Suspicion]:
    """What the columns of a raw table (see `contracts.tables`) may identify people by, undecided ones only.

    An id, a patient or a time stays inside the study's own tables and reaches no model, so it may be a record number,
    a code or a date; not a name, an address or a number under which a person is known elsewhere. The label is never
    suspected, and what an image or sequence column refers to is looked at elsewhere.
    """
    found = []
    for name in table.columns:
        if name.startswith("@") or name in study.protect or name == study.target.column:
            continue
        suspicion = _suspect(name, table[name], study.columns.get(name))
        in_role = name in (study.id, study.group, study.time)
        if suspicion and not (in_role and suspicion.role):
            found.append(_fitting(suspicion, study) if not in_role else _renamed(suspicion))
    return found


def _suspect(name: str, cells: "pd.Series[str]", column: Column | None) -> Suspicion | None:
    counts = cells.value_counts()
    counts.index = counts.index.str.strip()
    missing = canonical(pd.Series(["", *(column.missing if column else ())], dtype="str"))
    told = counts[~canonical(counts.index.to_series()).isin(missing).to_numpy()]
    if column and column.type in REFERENCES:
        told = told.iloc[:0]
    found = suspect(name, told)
    years = column is not None and bool(re.fullmatch(r"[^%]*%[Yy][^%]*", column.format or ""))
    unclear = found is None or found.kind == OTHER
    if column and column.type == "datetime" and unclear and not years and len(told):
        filled = int(told.sum())
        return Suspicion(column=name, kind=DATE, by="declaration", cells=filled, filled=filled, advice=SHIFT, role=True)
    return found


def _fitting(suspicion: Suspicion, study: Study) -> Suspicion:
    """The proposed treatment as this study can carry it out: dates move with a patient, and as the others do."""
    if not suspicion.advice.shift_dates:
        return suspicion
    spans = [p.shift_dates for p in study.protect.values() if p.shift_dates]
    moved = Protection(shift_dates=spans[0]) if spans else suspicion.advice
    fitting = moved if study.group or study.id else Protection(generalise="year")
    return suspicion.model_copy(update={"advice": fitting})


def _renamed(suspicion: Suspicion) -> Suspicion:
    """A role cannot be dropped."""
    return suspicion.model_copy(update={"advice": Protection(hash=True)})


def proposed(found: Sequence[Suspicion]) -> str:
    """The YAML to write, on one line."""
    return f"protect: {{{', '.join(f'{_key(s.column)}: {spelled(s.advice)}' for s in found)}}}"


def spelled(protection: Protection) -> str:
    """A treatment as YAML."""
    how, value = protection.how, getattr(protection, protection.how)
    return how if value is True else f"{{{how}: {json.dumps(value, ensure_ascii=False)}}}"


def _key(name: str) -> str:
    bare = re.fullmatch(r"(?!(?i:null|true|false|yes|no|on|off)$)[A-Za-z_]\w*", name, re.ASCII)
    return name if bare else json.dumps(name, ensure_ascii=False)

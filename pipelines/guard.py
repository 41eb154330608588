"""The guard at a study's door: no column that may identify people passes before the study says what becomes of it."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import pandas as pd

from contracts.errors import MedloopError, listed
from contracts.study import Column, Protection, Study
from pipelines.cells import canonical
from pipelines.identifier_kinds import DATE, DROP, OTHER, SHIFT
from pipelines.identifiers import Counts, Suspicion, suspect
from pipelines.text.identifiers import find_identifiers

REFERENCES = ("image", "sequence")
PROSE = 5  # words: most texts of as many are looked into before they are looked at as a whole
BURNED_IN = "BurnedInAnnotation"
ONLY_PIXELS = Protection(keep="only pixels are read; the headers stay in the source")


def guard(
    table: pd.DataFrame, study: Study, *, headers: Mapping[str, Mapping[str, int]] = MappingProxyType({})
) -> None:
    """Raises MedloopError for columns that may identify people and that the study does not decide on; no value.

    `headers` tells by image column how many files have which identifying DICOM attribute.
    """
    refuse([*suspicions(table, study), *header_suspicions(headers, study)])


def refuse(found: Sequence[Suspicion]) -> None:
    """Raises MedloopError, with what to write into the study, when anything was found."""
    if found:
        columns = len({suspicion.column for suspicion in found})
        number = f"{columns} column{'s' if columns > 1 else ''}"
        raise MedloopError(
            f"{number} may identify people (HIPAA's safe harbour, 45 CFR 164.514(b)(2)), and the study does not say "
            "what becomes of them",
            where=listed([suspicion.told() for suspicion in found]),
            mend=f"decide for each column, and write into the study: {proposed(found)}; instead of these "
            "treatments there are hash, shift_dates, redact, {generalise: 3}, {generalise: year}, {bin: 10}, "
            "{cap: 89}, drop, and {keep: the reason why it may stay}",
        )


def suspicions(table: pd.DataFrame, study: Study) -> list[Suspicion]:
    """What the columns of a raw table (see `contracts.tables`) may identify people by, undecided ones only.

    An id, a patient or a time stays inside the study's own tables and reaches no model, so it may be a record number,
    a code or a date; not a name, an address or a number under which a person is known elsewhere. The label is never
    suspected, and what an image or sequence column refers to is looked at elsewhere.
    """
    found = [judged(name, table[name].value_counts(), study) for name in watched(table.columns, study)]
    return [suspicion for suspicion in found if suspicion]


def watched(columns: Iterable[str], study: Study) -> list[str]:
    """The columns that are not decided on."""
    decided = {*study.protect, *study.target.read_from}
    return [name for name in columns if not name.startswith("@") and name not in decided]


def judged(name: str, counts: Counts, study: Study) -> Suspicion | None:
    """What a column whose texts occur so often may identify people by."""
    column = study.columns.get(name)
    suspicion = _suspect(name, filled(counts, column), column)
    in_role = name in (study.id, study.group, study.time)
    if suspicion is None or (in_role and suspicion.role):
        return None
    return _renamed(suspicion) if in_role else _fitting(suspicion, study)


def header_suspicions(found: Mapping[str, Mapping[str, int]], study: Study) -> list[Suspicion]:
    """What the DICOM headers of image columns identify people by: by column, attribute and number of files.

    No treatment reaches the headers, but none is read either. Text burned into the pixels is told by itself: that the
    headers stay behind is no answer to it.
    """
    told = []
    for name, counts in found.items():
        keywords = [word for word in sorted(counts, key=lambda w: (-counts[w], w)) if word != BURNED_IN]
        decided = study.protect.get(name)
        if keywords and not decided:
            kind = f"what identifies in DICOM headers: {listed([f'{word} ({counts[word]:,})' for word in keywords], 5)}"
            told.append(_of_files(name, kind, "header", counts[keywords[0]], ONLY_PIXELS))
        if counts.get(BURNED_IN) and decided in (None, ONLY_PIXELS):
            kind = "text burned into the pixels, which no treatment of headers takes away"
            told.append(_of_files(name, kind, BURNED_IN, counts[BURNED_IN], DROP))
    return told


def _of_files(name: str, kind: str, by: str, files: int, advice: Protection) -> Suspicion:
    return Suspicion(column=name, kind=kind, by=by, cells=files, filled=0, advice=advice, role=False)


def filled(counts: Counts, column: Column | None) -> Counts:
    """The counts without blanks and the column's missing codes, the texts less the blanks around them."""
    stripped = counts.set_axis(counts.index.str.strip())
    missing = canonical(pd.Series(["", *(column.missing if column else ())], dtype="str"))
    return stripped[~canonical(stripped.index.to_series()).isin(missing).to_numpy()]


def _suspect(name: str, told: Counts, column: Column | None) -> Suspicion | None:
    if column and column.type in REFERENCES:
        told = told.iloc[:0]
    if column and column.type == "text":
        prose = bool(told.index.str.count(r"\S+").to_series().median() >= PROSE)
        return (prose and _inside(name, told)) or suspect(name, told) or _inside(name, told)
    found = suspect(name, told)
    years = column is not None and bool(re.fullmatch(r"[^%]*%[Yy][^%]*", column.format or ""))
    unclear = found is None or found.kind == OTHER
    if column and column.type == "datetime" and unclear and not years and len(told):
        filled = int(told.sum())
        return Suspicion(column=name, kind=DATE, by="declaration", cells=filled, filled=filled, advice=SHIFT, role=True)
    return found


def _inside(name: str, told: Counts) -> Suspicion | None:
    """What texts hold; a cell counts once for each kind."""
    kinds, cells = Counter[str](), 0
    for text, count in told.items():
        found = {kind for kind, _, _ in find_identifiers(str(text))}
        kinds.update(dict.fromkeys(found, int(count)))
        cells += int(count) if found else 0
    if not cells:
        return None
    parts = [f"{kind} ({kinds[kind]:,})" for kind in sorted(kinds, key=lambda k: (-kinds[k], k))]
    what = f"identifiers inside texts: {', '.join(parts)}"
    advice, filled = Protection(redact=True), int(told.sum())
    return Suspicion(column=name, kind=what, by="content", cells=cells, filled=filled, advice=advice, role=False)


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
    advice = {suspicion.column: suspicion.advice for suspicion in found}
    return f"protect: {{{', '.join(f'{_key(name)}: {spelled(advised)}' for name, advised in advice.items())}}}"


def spelled(protection: Protection) -> str:
    """A treatment as YAML."""
    how, value = protection.how, getattr(protection, protection.how)
    return how if value is True else f"{{{how}: {json.dumps(value, ensure_ascii=False)}}}"


def _key(name: str) -> str:
    bare = re.fullmatch(r"(?!(?i:null|true|false|yes|no|on|off)$)[A-Za-z_]\w*", name, re.ASCII)
    return name if bare else json.dumps(name, ensure_ascii=False)

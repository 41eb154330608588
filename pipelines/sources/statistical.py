"""The files of statistical packages, by way of the ReadStat library: Stata's, SAS's and SPSS's typed cells as text."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from contracts.errors import MedloopError
from pipelines.sources.encodings import encoding_of
from pipelines.sources.inflation import bomb, inflation_limit
from pipelines.sources.raw import Raw
from pipelines.sources.typed import read_frame

if TYPE_CHECKING:
    import pandas as pd

# How a file begins: what it is, and the function of pyreadstat that reads it. Stata 13 and later write a tag; Stata
# 5 to 12 the release, the byte order, and the kind.
READERS = (
    (re.compile(rb"<stata_dta>|[\x69-\x73][\x01\x02]\x01\x00"), "Stata", "read_dta"),
    (re.compile(rb"HEADER RECORD\*{7}LIB"), "SAS transport", "read_xport"),
    (re.compile(rb"\x00{12}(?:\xc2\xea\x81\x60|\x00{16}\x18\x1f\x10\x11)"), "SAS", "read_sas7bdat"),
    (re.compile(rb"\$FL[23]"), "SPSS", "read_sav"),
)
LARGEST_WHOLE = 2**53  # of a double
MEMBER = re.compile(rb"HEADER RECORD\*{7}MEMB(?:ER  |V8  )HEADER RECORD!{7}")  # begins each table of a transport file
RECORD = 80  # bytes, of which a transport file is made
VARIABLES = re.compile(rb"HEADER RECORD\*{7}NAM(?:ESTR|STV8) HEADER RECORD!{7}(\d{10})")  # before so many of them
ROWS = re.compile(rb"HEADER RECORD\*{7}OBS(?: {5}|V8 {3})HEADER RECORD!{7} *(\d+)")  # how many, in version 8 alone
VARIABLE = 140  # bytes that describe one, its length among them


def is_statistical(data: bytes) -> bool:
    """Whether these are the first bytes of a file that `read_statistical` reads."""
    return any(head.match(data) for head, *_ in READERS)


def read_statistical(data: bytes, *, encoding: str | None, labels: Sequence[str] | None, where: str) -> Raw:
    """The rows of a .dta, .xpt, .sas7bdat, .sav or .zsav file; `@row` counts from 1.

    Special and declared missing values are blank. A column of whole numbers reads without decimal points, since SAS
    and SPSS know no other kind of number. `labels` names the columns whose labels are taken; a code without one stays.
    None: those of which every value has another one. Provenance tells which, where the file has labels at all.
    Raises MedloopError for a damaged file, for several tables in one, for versions that ReadStat does not
    read, and for bombs.
    """
    kind, function = next((kind, function) for head, kind, function in READERS if head.match(data))
    if function == "read_xport":
        _check_transport(data, where=where)
    known = encoding_of(b"", encoding, where=where)[0] if encoding else None  # as both Python and ReadStat spell it
    try:
        frame, told = _read(data, function, known, where)
    except MedloopError:
        raise
    except Exception as error:  # pyreadstat lets whatever it stumbles over through
        raise _damaged(str(error), kind, where=where) from error
    labelled = [name for name in told if _is_labelled(frame[name], told[name])] if labels is None else labels
    for name in frame.columns[frame.columns.isin(labelled) & frame.columns.isin(list(told))]:
        frame[name] = _labelled(frame[name], told[name])
    raw = read_frame(frame.apply(_whole), where=where)
    return replace(raw, provenance={"labelled": [name for name in told if name in labelled]}) if told else raw


def _damaged(said: str, kind: str, *, where: str) -> MedloopError:
    if "encoding" in said or "character set" in said:
        return MedloopError(
            f"the {kind} file holds texts in another encoding than it tells, or is damaged",
            where=where,
            mend="name it, perhaps latin-1: source.encoding of a study, --encoding of init; or fetch the file again",
        )
    return MedloopError(
        f"the {kind} file is damaged, or of a version that is not read",
        where=where,
        mend="fetch it again, or export the table as CSV where it was made",
    )


def _check_transport(data: bytes, *, where: str) -> None:
    """Whether it is whole and of one table, which ReadStat does not ask: it reads the next table as further rows.

    A version 5 file does not tell how many rows it has: one cut where a row ends reads as whole.
    """
    tables = len(MEMBER.findall(data))
    if tables > 1:
        raise MedloopError(
            f"a SAS transport file of one table was expected; this holds {tables}",
            where=where,
            mend="export each to a file of its own (PROC COPY with SELECT), or the table that is needed as CSV",
        )
    what = "a row of it ends early" if _is_cut(data) else ""
    if len(data) % RECORD:
        what = f"it is made of records of {RECORD} bytes, and the last has fewer"
    if what:
        raise MedloopError(
            f"the SAS transport file is cut short: {what}", where=where, mend="fetch it again, in binary mode"
        )


def _is_cut(data: bytes) -> bool:
    """Whether a row has begun that does not end, or fewer are there than a version 8 file says.

    SAS Institute, "The Record Layout of a Data Set in SAS Transport (XPORT) Format", TS-140.
    """
    variables = VARIABLES.search(data)
    header = variables and ROWS.search(data, variables.end())
    if not variables or not header:
        return False
    first = variables.start() + RECORD
    described = range(first, first + int(variables[1]) * VARIABLE, VARIABLE)
    width = sum(int.from_bytes(data[at + 4 : at + 6]) for at in described) or 1
    rows = data[header.start() + RECORD :]
    whole = len(rows) // width
    return whole < int(header[1]) or bool(rows[whole * width :].strip(b" \0"))


def _read(
    data: bytes, function: str, encoding: str | None, where: str
) -> tuple["pd.DataFrame", Mapping[str, Mapping[Any, str]]]:
    """The cells as they are coded, and by column the labels that are not blank, by code."""
    import pyreadstat

    read = getattr(pyreadstat, function)
    try:
        frame, about = _bounded(partial(read, encoding=encoding), data, where)
    except UnicodeDecodeError:  # a transport file does not say its encoding
        frame, about = _bounded(partial(read, encoding="WINDOWS-1252"), data, where)
    single = [name for name, kind in about.readstat_variable_types.items() if kind == "float"]
    told = {
        name: {code: label for code, label in labels.items() if label.strip()}
        for name, labels in about.variable_value_labels.items()
    }
    return frame.astype(dict.fromkeys(single, "float32")), told  # 0.1 stays 0.1


def _is_labelled(codes: "pd.Series", labels: Mapping[Any, str]) -> bool:
    """Whether every value has a label, and another one than the others."""
    present = {*codes.dropna()} - {""}
    told = {labels.get(code) for code in present}
    return None not in told and len(told) == len(present)


def _bounded(read: Callable[..., Any], data: bytes, where: str) -> Any:
    """What is read; no more rows than a file of this size may hold, whatever it says of their number."""
    _, about = read(io.BytesIO(data), metadataonly=True)
    most = inflation_limit(len(data)) // max(sum(about.variable_storage_width.values()), 1)
    frame, about = read(io.BytesIO(data), row_limit=most + 1)
    if len(frame) > most:
        raise bomb(where)
    return frame, about


def _labelled(codes: "pd.Series", labels: Mapping[Any, str]) -> "pd.Series":
    """The labels, and the codes that have none."""
    told = codes.map(labels)
    return told.astype(object).where(told.notna() | codes.isna(), _whole(codes).astype(object))


def _whole(column: "pd.Series") -> "pd.Series":
    if column.dtype.kind != "f" or not (column.dropna().mod(1).eq(0) & column.dropna().abs().lt(LARGEST_WHOLE)).all():
        return column
    return column.astype("Int64")

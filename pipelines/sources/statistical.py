"""The files of statistical packages, by way of the ReadStat library: Stata's, SAS's and SPSS's typed cells as text."""

import io
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from contracts.errors import MedloopError
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
    (re.compile(rb"\x00{12}\xc2\xea\x81\x60"), "SAS", "read_sas7bdat"),
    (re.compile(rb"\$FL[23]"), "SPSS", "read_sav"),
)
LARGEST_WHOLE = 2**53  # of a double


def is_statistical(data: bytes) -> bool:
    """Whether these are the first bytes of a file that `read_statistical` reads."""
    return any(head.match(data) for head, *_ in READERS)


def read_statistical(data: bytes, *, where: str) -> Raw:
    """The rows of a .dta, .xpt, .sas7bdat, .sav or .zsav file; `@row` counts from 1.

    Special and declared missing values are blank. A column of whole numbers reads without decimal points, since SAS
    and SPSS know no other kind of number. Labels are taken whose column has another one for every value; else the
    codes stay. Raises MedloopError for a damaged file, for versions that ReadStat does not read, and for bombs.
    """
    kind, function = next((kind, function) for head, kind, function in READERS if head.match(data))
    try:
        frame, labels = _read(data, function, where)
    except MedloopError:
        raise
    except Exception as error:  # pyreadstat lets whatever it stumbles over through
        raise MedloopError(
            f"the {kind} file is damaged, or of a version that is not read",
            where=where,
            mend="fetch it again, or export the table as CSV where it was made",
        ) from error
    for name in frame.columns[frame.columns.isin(list(labels))]:
        frame[name] = _labelled(frame[name], labels[name])
    return read_frame(frame.apply(_whole), where=where)


def _read(data: bytes, function: str, where: str) -> tuple["pd.DataFrame", Mapping[str, Mapping[Any, str]]]:
    """The cells as they are coded, and each column's labels by code."""
    import pyreadstat

    read = getattr(pyreadstat, function)
    try:
        frame, about = _bounded(read, data, where)
    except UnicodeDecodeError:  # a transport file does not say its encoding
        frame, about = _bounded(partial(read, encoding="WINDOWS-1252"), data, where)
    single = [name for name, kind in about.readstat_variable_types.items() if kind == "float"]
    return frame.astype(dict.fromkeys(single, "float32")), about.variable_value_labels  # 0.1 stays 0.1


def _bounded(read: Callable[..., Any], data: bytes, where: str) -> Any:
    """What is read; no more rows than a file of this size may hold, whatever it says of their number."""
    _, about = read(io.BytesIO(data), metadataonly=True)
    most = inflation_limit(len(data)) // max(sum(about.variable_storage_width.values()), 1)
    frame, about = read(io.BytesIO(data), row_limit=most + 1)
    if len(frame) > most:
        raise bomb(where)
    return frame, about


def _labelled(codes: "pd.Series", labels: Mapping[Any, str]) -> "pd.Series":
    present = set(codes.dropna().unique())
    told = {labels.get(code) for code in present}
    return codes.map(labels) if None not in told and len(told) == len(present) else codes


def _whole(column: "pd.Series") -> "pd.Series":
    if column.dtype.kind != "f" or not (column.dropna().mod(1).eq(0) & column.dropna().abs().lt(LARGEST_WHOLE)).all():
        return column
    return column.astype("Int64")

"""What reading a source gives, how its text is laid out, and the rules for its header and cells."""

import datetime
import decimal
import math
import re
import unicodedata
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator

from contracts.errors import MedloopError, listed
from contracts.payloads import Payloads
from contracts.study import Frozen
from pipelines.sources.fields import check_fields
from pipelines.sources.pattern import placeholders

Opened = Callable[[str], bytes]


class UnreachableError(MedloopError):
    """A fault that may pass: a server, a network or a credential that is not there now."""


class Layout(Frozen):
    """How the values lie in a file.

    `separator` of a text file (None: detected, an error when in doubt); `encoding` (None: UTF-8, or
    UTF-16 by its byte-order mark); `decimal` "," turns 1.234,5 into 1234.5 (None: a point, and an error
    when the cells look otherwise); `sheet` of a workbook that has several; `ragged` lines fail the
    reading or go to quarantine. `labels` of a file of Stata, SAS or SPSS names the columns whose labels are taken
    instead of their codes (None: those of which every value in the file has one of its own).

    `files` says that the source is a set of files, in a folder or an archive, one row a file whose path matches this
    pattern: `{patient}/{scan}.jpg` gives the columns patient, scan and file. `fields` are further columns, taken from
    files of XML by XPath: `{findings: "string(//AbstractText[@Label='FINDINGS'])"}`.
    `folder` of a table is where the paths in its cells count from, itself counted from beside the table; it may be an
    archive (None: beside the table).
    """

    separator: str | None = None
    encoding: str | None = None
    decimal: Literal[".", ","] | None = None
    sheet: str | None = None
    labels: tuple[str, ...] | None = None
    ragged: Literal["fail", "quarantine"] = "fail"
    files: str | None = None
    fields: dict[str, str] = Field(default={})
    folder: str | None = None

    @field_validator("files")
    @classmethod
    def _pattern(cls, files: str | None) -> str | None:
        if files is not None:
            placeholders(files)
        return files

    @field_validator("fields")
    @classmethod
    def _xpaths(cls, fields: dict[str, str]) -> dict[str, str]:
        check_fields(fields)
        return fields

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.fields and self.files is None:
            raise ValueError("`fields` are taken from files: name them by `files`, such as {report}.xml")
        if self.files is not None and self.folder is not None:
            raise ValueError("`files` makes the table of a folder, `folder` belongs to a table of paths: one of them")
        twice = sorted({*self.fields} & {"file", *(placeholders(self.files) if self.files else ())})
        if twice:
            raise ValueError(f"fields.{twice[0]}: `files` gives a column of this name already")
        return self


def nothing() -> pd.DataFrame:
    """An empty quarantine: `@row` int64 and `reason`."""
    return pd.DataFrame({"@row": np.array([], dtype=np.int64), "reason": pd.Series([], dtype="str")})


@dataclass(frozen=True, kw_only=True)
class Raw:
    """A source's rows as text, where they came from, and the lines left out.

    `table` follows `contracts.tables` (raw): every column `str` with blank "", and `@row` int64, or `file:line`
    where the source is a folder. `quarantine` has `@row` of the same kind and `reason`.
    `opened` gives the bytes of the file that a cell names, where cells name files; it raises MedloopError where there
    is none. `payloads` are those that the source itself holds, by column; their cells are positions.
    """

    table: pd.DataFrame
    provenance: dict[str, object] = field(default_factory=dict)
    quarantine: pd.DataFrame = field(default_factory=nothing)
    opened: Opened | None = None
    payloads: dict[str, Payloads] = field(default_factory=dict)


def tidy(name: str) -> str:
    """A column's name with composed characters (NFC) and single spaces, so that equal looks are equal."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def tidy_header(cells: Sequence[str], *, where: str) -> list[str]:
    """The names of the columns; one without a name becomes `unnamed 3`, after its position.

    Raises MedloopError for names that appear twice and for those that medloop keeps for itself.
    """
    names = [tidy(cell) or f"unnamed {position}" for position, cell in enumerate(cells, 1)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice and all(re.fullmatch(r"[-+.,\d]+", name) for name in twice):  # may be a patient's, so not shown
        raise MedloopError(
            "each column needs a name, but the first line holds numbers, some of them twice",
            where=f"{where}, header",
            mend="write the columns' names into the first line",
        )
    if twice:
        raise MedloopError(
            f"each column needs a name of its own, but these appear more than once: {listed(twice)}",
            where=f"{where}, header",
            mend="rename or remove one of them",
        )
    own = [name for name in names if name.startswith("@")]
    if own:
        raise MedloopError(
            f"names that begin with @ are medloop's own, but the header has {listed(own)}",
            where=f"{where}, header",
            mend="rename the column",
        )
    return names


def cell_text(value: object) -> str | None:
    """A typed value as text, exact to the last digit; None when it is of no plain kind."""
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat().removesuffix("T00:00:00")
    if isinstance(value, int | uuid.UUID | datetime.timedelta):
        return str(value)
    return None


def text_column(values: Sequence[object], name: str, *, where: str, first: int = 1) -> pd.Series:
    """Typed values as a `str` column. Raises MedloopError for lists, bytes and other objects; rows from `first` on."""
    texts = [cell_text(value) for value in values]
    for position, text in enumerate(texts):
        if text is None:
            kind = type(values[position]).__name__
            raise MedloopError(
                f"cells hold text, numbers, dates or nothing; row {position + first} holds a {kind}",
                where=f"{where}, column {name}",
                mend="turn the column into plain values, or leave it out",
            )
    return pd.Series(texts, dtype="str")

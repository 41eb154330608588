"""Treats the columns that may identify people as the study decided: dropped, hashed, shifted, coarser, redacted, kept.

Hashing: HMAC, RFC 2104, with SHA-256. Coarser ages, dates and ZIP codes: 45 CFR 164.514(b)(2)(i).
"""

import hmac
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from contracts.errors import MedloopError
from contracts.frames import with_columns
from contracts.study import Column, Frozen, Protection, Study
from pipelines.cells import canonical, read_cells
from pipelines.text.identifiers import redacted

if TYPE_CHECKING:
    TextSeries = pd.Series[str]
else:
    TextSeries = pd.Series

# What stands for a cell that should have been a date or a number; cleaning then treats it as any other unreadable one.
UNREADABLE = "(unreadable)"
# Three-digit ZIP codes of 20,000 people or fewer, by the censuses of 2000 and 2010: written 000.
FEW_PEOPLE = (
    "036 059 063 102 203 205 369 556 692 753 772 790 821 823 830 831 878 879 884 890 893".split()  # noqa: SIM905
)
LETTERS = 32  # hexadecimal, so 128 bits


class Treated(Frozen):
    """What became of a column: the treatment, the cells it changed, those that it could not read; no value.

    `filled` is how many it was to treat, told nowhere.
    """

    how: str
    cells: int = 0
    unreadable: int = 0
    why: str = ""
    filled: int = Field(default=0, exclude=True, repr=False)


def needs_key(study: Study) -> bool:
    """Whether a treatment of this study is keyed."""
    return any(p.hash or p.shift_dates for p in study.protect.values())


def key_mark(key: bytes) -> str:
    """Tells keys apart without telling anything of a key: 16 hexadecimal letters."""
    return _code(key, "mark", "")[:16]


def protect(table: pd.DataFrame, study: Study, key: bytes = b"") -> tuple[pd.DataFrame, dict[str, Treated]]:
    """`table` (raw, see `contracts.tables`) without raw values in the columns that the study protects, and counts.

    Each row is treated by itself, so new rows come out as they would have among the old ones. Columns that are not
    there are passed over. `key` is only used where `needs_key`.

    Raises MedloopError when no cell of a column is what its treatment needs, a column to redact is no text, or the
    patient's column, by which dates are shifted, is absent.
    """
    treated, told = treat(table, study, key)
    refuse_lost(told, study)
    return treated, told


def refuse_lost(told: Mapping[str, Treated], study: Study) -> None:
    """Raises MedloopError for a column of which no cell was what its treatment needs."""
    for name, treated in told.items():
        if treated.unreadable and treated.unreadable == treated.filled:
            protection = study.protect[name]
            what = "number" if protection.bin or protection.cap is not None else "date as declared"
            raise MedloopError(
                f"protect.{name}: {protection.how} cannot be done, since no cell is a {what}",
                mend="choose another treatment, or declare the column's type and format under columns",
            )


def together(parts: Sequence[Mapping[str, Treated]]) -> dict[str, Treated]:
    """What became of the columns of a table in pieces."""
    names = list(dict.fromkeys(name for part in parts for name in part))
    return {name: _summed([part[name] for part in parts if name in part]) for name in names}


def _summed(parts: Sequence[Treated]) -> Treated:
    sums = {key: sum(getattr(part, key) for part in parts) for key in ("cells", "unreadable", "filled")}
    return parts[0].model_copy(update=sums)


def treat(table: pd.DataFrame, study: Study, key: bytes = b"") -> tuple[pd.DataFrame, dict[str, Treated]]:
    """What `protect` does, of one piece of a table: that no cell can be read is no fault before all have been seen."""
    kept = table[[name for name in table.columns if name not in study.left_out()]]
    new: dict[str, TextSeries] = {}
    told: dict[str, Treated] = {}
    for name, protection in study.protect.items():
        if name not in table.columns:
            continue
        cells = table[name].str.strip()
        if protection.drop or protection.keep:
            touched = 0 if protection.keep else int((cells != "").sum())
            told[name] = Treated(how=protection.how, cells=touched, why=protection.keep or "")
            continue
        column = study.columns.get(name, Column(type="text"))
        treated = _treated(cells, protection, column, _patients(table, study, protection), key)
        new[name] = treated.where(_to_treat(cells, column), cells)
        told[name] = _counted(cells, new[name], protection)
    return with_columns(kept, new), told


def _to_treat(cells: TextSeries, column: Column) -> "pd.Series[bool]":
    return ~canonical(cells).isin(["", *canonical(pd.Series(column.missing, dtype="str"))])


def _treated(cells: TextSeries, protection: Protection, column: Column, patients: TextSeries, key: bytes) -> TextSeries:
    if protection.hash:
        return _renamed(cells, key, "pseudonym")
    if protection.shift_dates:
        return _shifted(cells, column, _days(patients, key, protection.shift_dates))
    if protection.generalise == "year":
        return _years(cells, column)
    if protection.generalise:
        return _shortened(cells, protection.generalise)
    if protection.redact:
        return _redacted(cells, column)
    return _coarser(cells, column, protection)


def _counted(before: TextSeries, after: TextSeries, protection: Protection) -> Treated:
    changed, unreadable = int((before != after).sum()), int((after == UNREADABLE).sum())
    filled = int((before != "").sum())
    return Treated(how=protection.how, cells=changed - unreadable, unreadable=unreadable, filled=filled)


def _code(key: bytes, purpose: str, text: str) -> str:
    return hmac.digest(key, f"medloop {purpose}\0{text}".encode(), "sha256").hex()


def _renamed(cells: TextSeries, key: bytes, purpose: str) -> TextSeries:
    """Pseudonyms, the same for `7`, `7.0` and ` 7`, in whatever column and study."""
    plain = canonical(cells)
    codes: Mapping[str, str] = {
        text: _code(key, purpose, unicodedata.normalize("NFC", text))[:LETTERS] for text in plain.unique()
    }
    return plain.map(codes).astype("str")


def _patients(table: pd.DataFrame, study: Study, protection: Protection) -> TextSeries:
    """Whose each row is, before any treatment."""
    name = study.group or study.id or ""
    if protection.shift_dates and name not in table.columns:
        raise MedloopError(
            "dates are shifted patient by patient, but the patient's column is absent",
            where=f"column {name}",
            mend="add the column to the rows",
        )
    return table.get(name, table.iloc[:, 0]).astype("str").str.strip()


def _days(patients: TextSeries, key: bytes, span: int) -> NDArray[np.int64]:
    """(N,) whole days from -span to span, never 0; the same for all rows of a patient."""
    codes = _renamed(patients, key, "shift").map(lambda code: int(code, 16) % (2 * span)).to_numpy(dtype=np.int64)
    return np.where(codes < span, codes - span, codes - span + 1)


def _shifted(cells: TextSeries, column: Column, days: NDArray[np.int64]) -> TextSeries:
    """Dates moved by `days` and written as they were; an ISO time of day and zone stay."""
    if column.format and not ("%d" in column.format or "%j" in column.format):
        raise MedloopError(
            f"dates written {column.format} have no day, so they cannot be shifted", mend="{generalise: year}"
        )
    moved = _dates(cells, column) + pd.to_timedelta(pd.Series(days, index=cells.index), unit="D")
    if column.format:
        return moved.dt.strftime(column.format).fillna(UNREADABLE).astype("str")
    return (moved.dt.strftime("%Y-%m-%d") + _clock(cells)).fillna(UNREADABLE).astype("str")


def _clock(cells: TextSeries) -> TextSeries:
    """What follows the day in an ISO date."""
    return cells.str.replace(r"^\d{4}-?\d\d-?\d\d", "", regex=True)


def _years(cells: TextSeries, column: Column) -> TextSeries:
    dates = _dates(cells, column)
    first = dates.dt.to_period("Y").dt.start_time
    return first.dt.strftime(column.format or "%Y-%m-%d").fillna(UNREADABLE).astype("str")


def _dates(cells: TextSeries, column: Column) -> "pd.Series[pd.Timestamp]":
    """The dates, NaT where a cell is none: by the declared format, else ISO, of which the zone is left aside."""
    if column.format:
        return read_cells(cells, column, missing=(), name=column.format).values
    whole = cells.str.fullmatch(r"\d{4}-?\d\d-?\d\d(?:[T ].*)?")
    readable = pd.to_datetime(cells.where(whole), format="ISO8601", errors="coerce", utc=True).notna()
    days = cells.where(readable).str.replace("-", "", regex=False).str[:8]
    return pd.to_datetime(days, format="%Y%m%d", errors="coerce")


def _shortened(cells: TextSeries, letters: int) -> TextSeries:
    """The first letters; of a United States ZIP code where few people live, 000."""
    first = cells.str[:letters]
    few = cells.str.fullmatch(r"\d{5}(?:-?\d{4})?") & first.str[:3].isin(FEW_PEOPLE)
    return first.mask(few, "0" * letters) if letters >= 3 else first


def _redacted(cells: TextSeries, column: Column) -> TextSeries:
    if column.type != "text":
        raise MedloopError(
            f"redact looks for identifiers inside texts, but the column is declared {column.type}",
            where=f"protect, column {cells.name}",
            mend="declare it as text, or choose another treatment",
        )
    return cells.map(redacted).astype("str")


def _coarser(cells: TextSeries, column: Column, protection: Protection) -> TextSeries:
    """Numbers capped, or rounded down to a bin; a text without a digit, such as `unknown`, stays.

    What is plausible stays so, and what is not is coarse and implausible, for validation and cleaning to tell.
    """
    limits = Column(type="numeric", missing=column.missing, censored="limit" if column.censored else None)
    read = read_cells(cells, limits, missing=(), name="")
    numbers = read.values.to_numpy()
    low, high = _plausible(column)
    if protection.cap is not None:
        changed, coarse = numbers >= protection.cap + 1, np.full(len(numbers), protection.cap + 1)
    else:
        changed, width = ~np.isnan(numbers), float(protection.bin or 1)
        coarse = np.floor(numbers / width) * width
    coarse = np.where(numbers > high, np.maximum(coarse, np.floor(high) + 1), coarse)
    coarse = np.where((numbers >= low) & (numbers <= high), np.clip(coarse, low, high), coarse)
    texts = pd.Series(coarse, index=cells.index).map(lambda number: f"{number:.15g}").astype("str")
    texts = texts.mask(read.censored, cells.str.strip().str[0] + texts)
    lost = read.unreadable & cells.str.contains(r"\d").to_numpy(dtype=bool)
    return cells.mask(changed, texts).mask(lost, UNREADABLE)


def _plausible(column: Column) -> tuple[float, float]:
    """The ends of the declared range; where cells are written in several units, none can be told from the text."""
    low, high = (None, None) if column.convert or column.type != "numeric" else column.range or (None, None)
    return -np.inf if low is None else low, np.inf if high is None else high

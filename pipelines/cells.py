"""One column of text cells read as its declared type: the same reading for checking, cleaning and scoring."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import MedloopError
from contracts.study import Column
from pipelines.spelling import Spelling, fold, folded, ways
from pipelines.table import coded, gathered

if TYPE_CHECKING:
    TextSeries = pd.Series[str]

Mask = NDArray[np.bool_]
Decimal = Literal[".", ","]

LARGEST = 1e300
# A zero in IBM's floating point, as readers of SAS transport files hand it on.
SAS_ZERO = 5.397605346934028e-79

_NUMBER = r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)"
BELOW, ABOVE = ("<", "≤", "＜"), (">", "≥", "＞")
_CENSORED = rf"([{''.join(BELOW + ABOVE)}])=?\s*(\S+)"
_WHOLE = r"^([+-]?[0-9]+)\.0+$"


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A column after reading.

    Shape: N cells each, in the order of the text.
        values: float64 (numeric), datetime64 (datetime), else `str`, or, of levels in a categorical, a categorical;
            NaN/NaT where a mask below is set
        missing: blank, or a code that means "no value"
        unreadable: something is written, but not a value of the declared type
        infinite: ±inf or beyond ±1e300
        respelled: a declared category, written in another way
        censored: beyond a limit that is written, and taken as the column says
        halved: of these the values that are half of what is written
    No cell is in two masks but the last two.
    """

    values: "pd.Series[Any]"
    missing: Mask
    unreadable: Mask
    infinite: Mask
    respelled: Mask
    censored: Mask
    halved: Mask


def read_cells(
    text: "TextSeries",
    column: Column,
    *,
    missing: Collection[str],
    name: str,
    decimal: Decimal = ".",
    spelling: Spelling = "exact",
) -> Cells:
    """Read `text` as `column` declares; each distinct text is looked at once.

    Surrounding space never counts. By type:
        numeric: a plain decimal number, thousands separators refused; missing codes compare as numbers
            (`-999` is `-999.0`), and the zero of SAS transport files, 5.4e-79, is 0. `<4.0` as `censored` says.
        categorical, ordinal: compared as text, whole numbers without their `.0` (`1.0` is level `1`);
            where levels are declared anything else is unreadable, and a declared level is never a missing code.
            Declared spellings are read as their level, and where `spelling` is "folded", so is what is the same
            but for case, blanks, hyphens and accents.
        datetime: by `format`, else ISO 8601 only, so that 03/04/2020 is unreadable rather than guessed;
            zoned moments are turned into UTC, others taken as written.
        text, image, sequence: as written.

    `missing` holds the codes shared by all columns; the column's own are added.
    Raises MedloopError when `format` is no strptime pattern, or when two levels are the same after folding.
    """
    codes, distinct = coded(text)
    plain, without = distinct.str.strip(), {*missing, *column.missing}
    if column.type in ("categorical", "ordinal"):
        read = _categories(plain, without, column, name, spelling)
        values = gathered(read.values, codes, like=text)
    else:
        read = _read_distinct(plain, column, without, name, decimal)
        values = pd.Series(read.values.array.take(codes), index=text.index, copy=False)
    names = ("missing", "unreadable", "infinite", "respelled", "censored", "halved")
    masks = {name: getattr(read, name) for name in names}
    return Cells(
        values=values,
        **{name: mask[codes] if mask.any() else np.zeros(len(codes), dtype=bool) for name, mask in masks.items()},
    )


def out_of_range(values: "pd.Series[Any]", column: Column) -> Mask:
    """(N,) cells outside the declared `range`; of a datetime the range holds calendar years."""
    low, high = column.range or (None, None)
    measure = values.dt.year if column.type == "datetime" else values
    outside = np.zeros(len(values), dtype=bool)
    if low is not None:
        outside |= (measure < low).to_numpy(dtype=bool)
    if high is not None:
        outside |= (measure > high).to_numpy(dtype=bool)
    return outside


def canonical(text: "TextSeries") -> "TextSeries":
    """Category texts in one spelling: `1.0` becomes `1`, the zero of SAS transport files `0`."""
    return text.str.replace(_WHOLE, r"\1", regex=True).replace(str(SAS_ZERO), "0")


def _read_distinct(text: "TextSeries", column: Column, codes: set[str], name: str, decimal: Decimal) -> Cells:
    if column.type == "numeric":
        return _numbers(text, codes, decimal, column.censored)
    if column.type == "datetime":
        return _moments(text, codes, column.format, name)
    missing = _is_code(text, codes)
    return _cells(text.mask(missing), missing)


def _numbers(text: "TextSeries", codes: set[str], decimal: Decimal, censored: str | None) -> Cells:
    numbers = _parse(text, decimal)
    limits, halved = _limits(text, decimal, censored)
    beyond = ~np.isnan(limits)
    numbers[beyond] = limits[beyond]
    numeric_codes = _parse(pd.Series(sorted(codes), dtype="str"), decimal)
    missing = _is_code(text, codes) | (np.isin(numbers, numeric_codes[~np.isnan(numeric_codes)]) & ~beyond)
    infinite = (np.abs(numbers) > LARGEST) & ~missing
    numbers[np.abs(numbers) == SAS_ZERO] = 0.0
    beyond &= ~missing & ~infinite
    numbers[missing | infinite | (beyond & (censored == "missing"))] = np.nan
    return _cells(pd.Series(numbers), missing, infinite, censored=beyond, halved=halved & beyond)


def _limits(text: "TextSeries", decimal: Decimal, censored: str | None) -> tuple[NDArray[np.float64], Mask]:
    """(N,) the limits that results beyond one are taken as, NaN for all others, and which are half of what is written.

    Half of the lower limit: Hornung and Reed, "Estimation of average concentration in the presence of nondetectable
    values", Applied Occupational and Environmental Hygiene 5, 1990.
    """
    limits = np.full(len(text), np.nan)
    if not censored:
        return limits, np.zeros(len(text), dtype=bool)
    written = text.str.extract(f"^{_CENSORED}$")
    beyond = written[0].notna().to_numpy()
    limits[beyond] = _parse(written.loc[beyond, 1].reset_index(drop=True), decimal)
    halved = written[0].isin(BELOW).to_numpy() & (limits > 0) & (censored == "half")
    return np.where(halved, limits / 2, limits), halved


def _parse(text: "TextSeries", decimal: Decimal) -> NDArray[np.float64]:
    """(N,) the numbers, NaN where the text is none. Python's own parser: exact, unlike `to_numeric`."""
    if decimal == ",":
        text = text.mask(text.str.contains(".", regex=False), "").str.replace(",", ".", regex=False)
    numbers = np.full(len(text), np.nan)
    plain = text.str.fullmatch(_NUMBER).to_numpy(dtype=bool)
    numbers[plain] = text.to_numpy(dtype=object)[plain].astype(np.float64)
    return numbers


def _moments(text: "TextSeries", codes: set[str], pattern: str | None, name: str) -> Cells:
    missing = _is_code(text, codes)
    try:
        read = pd.to_datetime(text.mask(missing), format=pattern or "ISO8601", errors="coerce", utc=True)
    except ValueError as error:
        raise MedloopError(
            f"column {name}: format {pattern!r} is not a strptime pattern: {error}", mend="write it like '%d.%m.%Y'"
        ) from None
    return _cells(read.dt.tz_localize(None).astype("datetime64[us]"), missing)


def _categories(text: "TextSeries", codes: set[str], column: Column, name: str, spelling: Spelling) -> Cells:
    plain, known = canonical(text), ways(column.levels, column.spellings)
    exact = dict(zip(canonical(pd.Series(list(known), dtype="str")), known.values(), strict=True))
    plain_codes = set(canonical(pd.Series(sorted(codes), dtype="str")))
    missing = _is_code(plain, plain_codes - set(exact))
    level = plain.map(exact)
    if spelling == "folded":
        level = level.fillna(fold(plain).map(folded(exact, name)))
    names = set(canonical(pd.Series([*column.levels, *column.spellings], dtype="str")))
    respelled = level.notna().to_numpy() & ~missing & ~plain.isin(names).to_numpy()
    values = level if column.levels else level.fillna(plain)
    return _cells(values.astype("str").mask(missing), missing, respelled=respelled)


def _is_code(text: "TextSeries", codes: Collection[str]) -> Mask:
    return text.isin(["", *codes]).to_numpy(dtype=bool)


def _cells(
    values: "pd.Series[Any]",
    missing: Mask,
    infinite: Mask | None = None,
    respelled: Mask | None = None,
    censored: Mask | None = None,
    halved: Mask | None = None,
) -> Cells:
    none = np.zeros(len(values), dtype=bool)
    infinite, censored = none if infinite is None else infinite, none if censored is None else censored
    unreadable = values.isna().to_numpy(dtype=bool) & ~missing & ~infinite & ~censored
    return Cells(
        values=values,
        missing=missing,
        unreadable=unreadable,
        infinite=infinite,
        respelled=none if respelled is None else respelled,
        censored=censored,
        halved=none if halved is None else halved,
    )

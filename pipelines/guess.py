"""What one column of text seems to be: its type, range and missing codes, or why it should stay out."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import masked
from contracts.study import Column
from pipelines.cells import Mask, canonical, read_cells
from pipelines.clean import CleanParams
from pipelines.identifier_kinds import AGE, DATE
from pipelines.identifiers import suspect, words
from pipelines.units import two_units

if TYPE_CHECKING:
    TextSeries = pd.Series[str]
    Counts = pd.Series[int]
else:
    TextSeries = Counts = pd.Series

Array = NDArray[np.float64]

SHARED = frozenset(CleanParams().missing)
_WORDS = """
na|n/a|n.a.|nan|null|nil|missing|unknown|unk|not known|?|-|--|.|refused|declined|prefer not to say|don't know|dont know
do not know|don’t know|not available|not recorded|not reported|not done|not stated|no data|no answer
\\n|#n/a|#div/0!|#value!|#ref!|#name?|未知|不详|缺失|拒绝回答
"""
MISSING_WORDS = frozenset(re.split(r"[|\n]", _WORDS.strip()))  # folded: MySQL and Hive write \N
# 7, 77, 777 … refused; 8 … not asked; 9 … unknown; 555 and 666 … other codes of surveys.
CODES = [int(digit * length) for digit in "789" for length in range(1, 8)]
CODES += [int(digit * length) for digit in "56" for length in range(3, 8)]
NEGATIVE_CODES = [-1, -2, -3, *(-code for code in CODES)]

DAYS = (
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%d-%b-%Y", "%d%b%Y", "%Y年%m月%d日"),
    *("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y"),
)
TIMES = ("", " %H:%M", " %H:%M:%S")
ISO = r"\d{4}-\d{2}-\d{2}(?:[T ].*)?"
CLOCK = r"(?:b')?\d{1,2}:\d{2}(?::\d{2})?(?: ?[AaPp][Mm])?'?"
ID_LIKE = re.compile(
    r"(?:^| )(?:id|uid|uuid|guid|seqn|key|mrn|index|number|no|nr|code|subject|patient|participant|respondent"
    r"|record|case|sample|accession)$|编号|病历号"
)
MEASURED = r"^[<>]?\s*[-+]?\d+(?:[.,]\d+)?\s*([A-Za-zµμ%°][^\d\s]*(?: ?/ ?\S+)?)$"  # 5.4 mmol/L
DATE_LIKE = r"\d{1,4}([-/. ])(?:\d{1,2}|[A-Za-z]{3,9})\1\d{1,4}(?:[T ].*)?"
FEW, LISTED, MANY = 5, 20, 100
MOSTLY = 0.9  # of the cells

YEAR = re.compile(r"\b(year|yr|jahr)\b")
UNITS = "units and ranges of the numeric columns: the range is what was seen, widened; the unit is yours to fill in"
TWO_UNITS = "numbers that are perhaps in two units; bring each column into one"
CODED = "missing codes that only look like codes"
IDENTIFIERS = "identifiers? decide what becomes of them"
TEXTS = "texts that need a decision"
CENSORED = "results beyond a limit of detection, such as <4.0: read as the limit (or `censored: half`, `missing`)"
MIXED = "numeric columns with cells that are no numbers; such cells fail a run"
DAY_OR_MONTH = "dates in which day and month can be confused"
DATES = "dates: with a patient they identify; keep only what the model needs"
LEVELS = "categories that may be grades (make them ordinal) or counts (numeric)"


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A column's declaration, or why it should be dropped; what was seen; the matters a person must settle."""

    column: Column | None = None
    drop: str = ""
    note: str = ""
    matters: tuple[str, ...] = ()


def is_missing_word(text: str) -> bool:
    """Whether a text says that there is no value, in any study; a code may stand before it: `9_unknown`, `NA_NA`."""
    parts = [part for part in re.split(r"[_:=]", text.casefold().strip()) if part.strip() and not part.isdigit()]
    return text in SHARED or (bool(parts) and all(part.strip() in MISSING_WORDS for part in parts))


def counts_rows(texts: TextSeries) -> bool:
    """Whether cells count the rows: whole numbers without a gap, each once."""
    if not (len(texts) > LISTED and texts.is_unique and texts.str.fullmatch(r"\d{1,15}").all()):
        return False
    numbers = texts.astype("int64")
    return int(numbers.max() - numbers.min()) == len(numbers) - 1


def look_coded(numbers: Array) -> Mask:
    """(N,) numbers such as 999 beyond all others by half their span, or -9 where no other is negative; NaN is none."""
    rest = numbers[~np.isin(numbers, [*CODES, *NEGATIVE_CODES]) & ~np.isnan(numbers)]
    if not len(rest):
        return np.zeros(len(numbers), dtype=bool)
    beyond = rest.max() + 0.5 * (rest.max() - rest.min())
    high = np.isin(numbers, CODES) & (numbers > beyond)
    if high.any():
        high[high] = ~np.isin(numbers[high] - 1, numbers[~high])  # after 7 comes 8: a count that goes on
    low = np.isin(numbers, NEGATIVE_CODES) & (rest.min() >= 0)
    found: Mask = high | low
    return found


def filled(cells: TextSeries) -> Counts:
    """How often each text occurs, blanks left out; whole numbers without their `.0`, the zero of SAS files as 0."""
    counts = canonical(cells.str.strip()).value_counts()
    return counts[counts.index != ""]


def in_order(texts: Iterable[str]) -> list[str]:
    """Numbers by size, then texts by letter."""
    series = pd.Series(list(texts), dtype="str")
    numbers = _numbers(series)
    keyed = zip(np.isnan(numbers), np.nan_to_num(numbers), series, strict=True)
    return [text for _, _, text in sorted(keyed)]


def guess_column(name: str, cells: TextSeries, *, is_time: bool = False) -> Guess:
    """What the column `name` with these raw cells seems to be; the study's time is always a date."""
    told = filled(cells)
    codes = [text for text in told.index if is_missing_word(text)]
    told, missing = told.drop(codes), tuple(code for code in codes if code not in SHARED)
    if is_time:
        return _moment(name, told, missing, is_time=True) or Guess(
            column=Column(type="datetime", missing=missing), note="CHECK: write its format", matters=(DAY_OR_MONTH,)
        )
    if told.empty:
        return Guess(drop="no value in any row")
    suspected = suspect(name, told)
    if suspected and suspected.kind not in (AGE, DATE):  # models need those
        return Guess(drop=f"identifier? may be {suspected.kind}", matters=(IDENTIFIERS,))
    if len(told) == told.sum() == len(cells) and ID_LIKE.search(words(name)):
        return Guess(drop="identifier? differs in every row", matters=(IDENTIFIERS,))
    if len(told) == len(cells) and counts_rows(pd.Series(told.index, dtype="str")):
        return Guess(
            drop="a row's number? counts the rows, so it tells how the table was sorted", matters=(IDENTIFIERS,)
        )
    return _moment(name, told, missing) or _numeric(name, told, missing) or _texts(told, missing)


def guess_number(name: str, cells: TextSeries) -> Guess | None:
    """What the column seems to be if its cells are numbers, however few differ."""
    told = filled(cells)
    codes = [text for text in told.index if is_missing_word(text)]
    return _numeric(name, told.drop(codes), tuple(code for code in codes if code not in SHARED), asked=True)


def _numbers(texts: "pd.Series[str]") -> Array:
    return _read(texts)[0]


def _read(texts: "pd.Series[str]") -> tuple[Array, Mask]:
    """(N,) the numbers, and which of them are written as limits, such as <4.0."""
    cells = read_cells(texts, Column(type="numeric", censored="limit"), missing=(), name="")
    return cells.values.to_numpy(dtype=np.float64), cells.censored


def _moment(name: str, told: Counts, missing: tuple[str, ...], *, is_time: bool = False) -> Guess | None:
    texts = pd.Series(told.index, dtype="str")
    compact = ["%Y%m%d", *(["%Y"] if is_time else [])] if is_time or "date" in words(name).split() else []
    plain = not texts.empty and bool(re.fullmatch(r"[-+]?\d*\.?\d*(?:[eE][-+]?\d+)?", texts.iloc[0]))
    patterns = [] if plain else [day + time for day, time in product(DAYS, TIMES)]
    fitting = [
        pattern for pattern in [*compact, *patterns] if _parses(texts.head(50), pattern) and _parses(texts, pattern)
    ]
    iso = bool(texts.str.fullmatch(ISO).all()) and _parses(texts, "ISO8601")
    if texts.empty or not (iso or fitting):
        return None
    column = Column(type="datetime", missing=missing, format=None if iso else fitting[0])
    doubt = len(fitting) > 1 and not iso
    return Guess(
        column=column,
        note=f"CHECK: or {fitting[1]}?" if doubt else "",
        matters=(DATES, *([DAY_OR_MONTH] if doubt else [])),
    )


def _parses(texts: "pd.Series[str]", pattern: str) -> bool:
    return bool(pd.to_datetime(texts, format=pattern, errors="coerce", utc=True).notna().all())


def _numeric(name: str, told: Counts, missing: tuple[str, ...], *, asked: bool = False) -> Guess | None:
    """Numbers; few whole ones are categories. None when too many cells are something else."""
    numbers, censored = _read(pd.Series(told.index, dtype="str"))
    known = ~np.isnan(numbers)
    others = told[~known]
    if len(others) and (known.sum() <= 2 * FEW or others.sum() > 0.5 * told.sum()):
        return None
    if censored.any() and not asked and len(np.unique(numbers[known & ~censored])) <= FEW:
        return None  # groups such as <30 and >=30, of which the limits alone would be one number
    coded = look_coded(np.where(censored, np.nan, numbers))  # a limit is no code, >9999 neither
    values, counts = numbers[known & ~coded], told[known & ~coded]
    codes = (*missing, *in_order(told.index[coded]))
    seen = [f"CHECK: {code} ({told.get(code, 0):,} cells) read as missing" for code in in_order(told.index[coded])]
    matters = [CODED] * bool(seen)
    if (
        not len(others)
        and not censored.any()
        and (len(values) <= 2 or (len(values) <= FEW and np.isin(values, range(10)).all()))
    ):
        matters += [LEVELS] * (len(values) > 2)
        levels = tuple(in_order(counts.index))
        return Guess(
            column=Column(type="categorical", levels=levels, missing=codes),
            note="; ".join(seen),
            matters=tuple(matters),
        )
    low, high, summary = _years(name, values) or _range(values, counts.to_numpy())
    mixed = two_units(np.repeat(values, counts))
    if mixed:
        seen.append(f"CHECK: perhaps in two units: {mixed.told()}")
        matters.append(TWO_UNITS)
    if censored.any():
        seen.append(f"CHECK: {told[censored].sum():,} cells beyond a limit, like {masked(told.index[censored][0])}")
    if len(others):
        seen.append(f"CHECK: {others.sum():,} cells are no numbers, like {masked(others.index[0])}")
    matters += [UNITS] + [CENSORED] * bool(censored.any()) + [MIXED] * bool(len(others))
    return Guess(
        column=Column(type="numeric", range=(low, high), missing=codes, censored="limit" if censored.any() else None),
        note="; ".join([summary, *seen]),
        matters=tuple(matters),
    )


def _years(name: str, values: Array) -> tuple[float, float, str] | None:
    """Bounds that next year's rows lie in too: what was seen, widened, ends a few months after the last year."""
    if not YEAR.search(words(name)) or not ((values >= 1900) & (values <= 2100) & (values % 1 == 0)).all():
        return None
    return 1900.0, 2100.0, f"seen {values.min():g} to {values.max():g}"


def _range(values: Array, counts: NDArray[np.integer[Any]]) -> tuple[float, float, str]:
    """Bounds that leave out only what is grossly far off, and the span of the middle 98 % in three digits."""
    order = np.argsort(values)
    values, counts = values[order], counts[order]
    shares = np.cumsum(counts) / counts.sum()
    first, last = values[np.searchsorted(shares, [0.01, 0.99])]
    fence = 10 * (last - first) if last > first else math.inf
    inside = values[(values >= first - fence) & (values <= last + fence)]
    low, high = inside.min(), inside.max()
    step = 10.0 ** math.floor(math.log10((high - low) or abs(high) or 1.0) - 1)
    pad = 0.25 * (high - low) or step
    lowest = 0.0 if 0 <= low < pad else low - pad
    bounds = _short(math.floor(lowest / step) * step, 6), _short(math.ceil((high + pad) / step) * step, 6)
    beyond = counts[(values < bounds[0]) | (values > bounds[1])].sum()
    seen = f"seen {_short(first, 3):g} to {_short(last, 3):g}"
    return *bounds, f"{seen}, CHECK: {beyond:,} cells far beyond" if beyond else seen


def _short(number: float, digits: int) -> float:
    return float(f"{number:.{digits}g}")


def _texts(told: Counts, missing: tuple[str, ...]) -> Guess:
    """A category, or why these texts are none."""
    texts = pd.Series(told.index, dtype="str")
    if told[texts.str.fullmatch(CLOCK).to_numpy()].sum() > MOSTLY * told.sum():
        return Guess(drop="time of day as text: give it as hours, or leave it out", matters=(TEXTS,))
    odd = _odd_numbers(texts, told) if len(told) > LISTED else ""
    if odd:
        return Guess(drop=odd, matters=(TEXTS,))
    length = float(np.average(texts.str.count(r"\S+"), weights=told.to_numpy()))
    if len(told) > LISTED and (length > 8 or len(told) > 0.5 * told.sum()):
        reason = f"free text? {len(told):,} different texts, which may name people; {{type: text}} reads them"
        return Guess(drop=reason, matters=(TEXTS,))
    if len(told) > MANY:
        return Guess(drop=f"{len(told):,} levels: group them, or declare the column categorical", matters=(TEXTS,))
    levels = tuple(in_order(told.index)) if len(told) <= LISTED else ()
    coded = [f"CHECK: {code} read as missing" for code in missing]
    many = [] if levels else [f"{len(told)} levels"]
    return Guess(
        column=Column(type="categorical", levels=levels, missing=missing),
        note="; ".join([*many, *coded]),
        matters=(CODED,) * bool(missing),
    )


def _odd_numbers(texts: "pd.Series[str]", told: Counts) -> str:
    """What to do where nearly all texts are numbers with a unit behind, or dates of several forms; else nothing."""
    measured = texts.str.extract(MEASURED)[0]
    share = {
        kind: told[known.to_numpy()].sum() / told.sum()
        for kind, known in (("measured", measured.notna()), ("dated", texts.str.fullmatch(DATE_LIKE)))
    }
    if share["measured"] > MOSTLY and measured.nunique() <= FEW:
        return (
            f"numbers with their unit in the cell, like {masked(texts.iloc[0])}: write the numbers alone, in one unit"
        )
    return "dates of several forms: write them in one, such as 2024-12-31" if share["dated"] > MOSTLY else ""

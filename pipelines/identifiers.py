"""Columns that may tell who a person is: the eighteen kinds of HIPAA's safe harbour, by name and by content.

Source: 45 CFR 164.514(b)(2)(i)(A) to (R). A find is a suspicion; a person decides (see `pipelines.guard`).
"""

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.study import Frozen, Protection
from pipelines.identifier_kinds import AGE, AGES, CAP, CODED, KINDS, OTHER, PEOPLE, YOUNG, Kind

if TYPE_CHECKING:
    Texts = pd.Series[str]
    Counts = pd.Series[int]
else:
    Texts = Counts = pd.Series

Mask = NDArray[np.bool_]

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
LOOKED_AT = 20_000  # different texts of a column that are held against whole patterns
# Without `\s`, which Arrow's regular expressions read otherwise than Python's, so that pandas leaves them for Python's.
NUMBER = r"[<>=~]* ?[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?(?: ?[^\d \t\n\r\f\v-]{1,8})?"
LONG = r"\+?\d{9,}"
SHORTEST = 6  # letters of a text that has an identifier within: a@b.de


class Suspicion(Frozen):
    """What a column may identify a person by: how it was seen, in how many filled cells (0: files); never a value."""

    column: str
    kind: str
    by: str
    cells: int
    filled: int
    advice: Protection
    role: bool

    def told(self) -> str:
        """Such as `mail: an e-mail address, by name and content (352 of 360 filled cells)`."""
        seen = f"{self.cells:,} of {self.filled:,} filled cells" if self.filled else f"{self.cells:,} files"
        return f"{self.column}: {self.kind}, by {self.by} ({seen})"


def words(name: str) -> str:
    """A column's name as lower-case words: `DateOfBirth` and `date_of_birth` read `date of birth`."""
    return " ".join(WORD.findall(name)).lower()


def suspect(name: str, told: Counts) -> Suspicion | None:
    """What the column `name` may identify a person by.

    `told` holds how often each different text occurs; blanks and missing codes left out. Two texts or fewer identify
    nobody by what a column is called; what stands within a cell counts always.
    """
    if told.empty:
        return None
    texts = pd.Series(told.index, dtype="str")
    odd = ~_mask(texts.str.fullmatch(NUMBER)) | _mask(texts.str.fullmatch(LONG))  # no plain numbers
    called = words(name)
    for kind in KINDS:
        named = len(texts) > 2 and re.search(kind.named, called) and _most(texts, kind.shaped)
        seen = _seen(kind, texts, odd)
        if named or seen.any():
            shown = seen if seen.any() else _mask(texts.str.fullmatch(kind.shaped))
            by = " and ".join(["name"] * bool(named) + ["content"] * bool(seen.any()))
            return _suspicion(name, kind, by, told, shown)
    return _age(name, told) or _people(name, told, texts) or _code(name, told, texts)


def _seen(kind: Kind, texts: Texts, odd: Mask) -> Mask:
    """(N,) texts that are of this kind, none when they are no more than chance; only `odd` ones, (N,), can be."""
    seen = np.zeros(len(texts), dtype=bool)
    if kind.alike and len(texts) > 2 and odd.mean() > 0.5 and _fits(_some(texts), kind).mean() > 0.5:
        seen = _fits(texts, kind) & odd
    if kind.within and (longer := odd & (texts.str.len() >= SHORTEST).to_numpy()).any():
        seen[longer] |= _mask(texts[longer].str.contains(kind.within))
    return seen


def _fits(texts: Texts, kind: Kind) -> Mask:
    alike = _mask(texts.str.fullmatch(kind.alike)).copy()
    if alike.any():
        alike[alike] = texts[alike].str.count(r"\d").between(*kind.digits)
    return alike


def _mask(found: "pd.Series[bool]") -> Mask:
    return found.to_numpy(dtype=bool)


def _most(texts: Texts, shaped: str) -> bool:
    return bool(_some(texts).str.fullmatch(shaped).mean() > 0.5)


def _some(texts: Texts) -> Texts:
    """Some of the texts, whatever their order."""
    if len(texts) <= LOOKED_AT:
        return texts
    return texts.sort_values().iloc[:: -(-len(texts) // LOOKED_AT)]


def _suspicion(name: str, kind: Kind, by: str, told: Counts, at: Mask) -> Suspicion:
    cells, filled = int(told.to_numpy()[at].sum()), int(told.sum())
    return Suspicion(column=name, kind=kind.what, by=by, cells=cells, filled=filled, advice=kind.advice, role=kind.role)


def _age(name: str, told: Counts) -> Suspicion | None:
    """Ages of 90 years or more; where many are beyond 130 they are no years."""
    if not re.search(AGES, words(name)) or re.search(YOUNG, words(name)):
        return None
    years = pd.to_numeric(pd.Series(told.index, dtype="str"), errors="coerce").to_numpy()
    old = (years >= 90) & (years <= 130)
    if not old.any() or (years > 130).mean() > 0.05:
        return None
    return _suspicion(name, Kind(what=AGE, advice=CAP), "name and content", told, old)


def _people(name: str, told: Counts, texts: Texts) -> Suspicion | None:
    """Names of people by their look alone: capitalised words, hardly ever the same."""
    if len(told) < 20 or len(told) < 0.5 * told.sum() or _some(texts).str.fullmatch(PEOPLE).mean() < 0.8:
        return None
    return _suspicion(name, Kind(what="a person's name"), "content", told, _mask(texts.str.fullmatch(PEOPLE)))


def _code(name: str, told: Counts, texts: Texts) -> Suspicion | None:
    """A code that is another in nearly every row: letters and digits, nine digits or more, or called an id."""
    called = bool(re.search(CODED, words(name)))
    if len(told) < 20 or len(told) < 0.95 * told.sum() or _coded(_some(texts), called=called).mean() < 0.9:
        return None
    return _suspicion(name, Kind(what=OTHER, role=True), "content", told, _coded(texts, called=called))


def _coded(texts: Texts, *, called: bool) -> Mask:
    mixed = texts.str.fullmatch(r"\S*\d\S*(?: \S+)?") & texts.str.contains(r"[^\W\d_]|(?:\d\D?){7}")
    whole = texts.str.fullmatch(r"\d+" if called else r"\d{9,}")
    return np.asarray(whole | (mixed & ~texts.str.fullmatch(NUMBER)), dtype=np.bool_)

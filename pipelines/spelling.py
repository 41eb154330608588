"""Categories written in other ways than the study declares them: known alternatives, and folded spelling."""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

import pandas as pd

from contracts.errors import MedloopError

if TYPE_CHECKING:
    TextSeries = pd.Series[str]

Spelling = Literal["exact", "folded"]

_ACCENTS = "[\u0300-\u036f]"
# A hyphen at an end is no mere spelling: blood group A- is not A.
_JOINED = r"(?<=\w)\s*[-\u2010-\u2015]\s*(?=\w)"


def fold(text: "TextSeries") -> "TextSeries":
    """Texts less case, accents, surrounding and multiple blanks, underscores, and hyphens between words.

    Unicode's compatibility decomposition and case folding; only the accents of Latin, Greek and Cyrillic
    letters go, since other scripts' marks are letters.
    """
    plain = text.map(lambda t: unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", t).casefold()))
    plain = plain.astype("str").str.replace(_ACCENTS, "", regex=True).str.replace("_", " ", regex=False)
    return plain.str.replace(_JOINED, " ", regex=True).str.replace(r"\s+", " ", regex=True).str.strip()


def ways(levels: Iterable[str], spellings: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """By way of writing, the level it means: the levels themselves and their declared alternatives."""
    alternatives = {way: level for level, written in spellings.items() for way in written}
    return {**alternatives, **{level: level for level in (*levels, *spellings)}}


def folded(known: Mapping[str, str], name: str) -> dict[str, str]:
    """`known` (by way of writing, the level) with every way folded.

    Raises MedloopError when two levels are the same after folding.
    """
    found: dict[str, str] = {}
    for way, level in zip(fold(pd.Series(list(known), dtype="str")), known.values(), strict=True):
        if found.setdefault(way, level) != level:
            raise MedloopError(
                f"column {name}: levels {found[way]} and {level} are the same but for case, blanks, hyphens or accents",
                mend="declare one and the other under its `spellings`, or set clean.spelling: exact",
            )
    return found

"""Texts in one spelling: composed characters, none invisible, single spaces; too short is missing, too long is cut."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import Field

from contracts.study import Frozen

if TYPE_CHECKING:
    Texts = pd.Series[str]
else:
    Texts = pd.Series

# Controls that are no white space, soft hyphens, zero-width characters, marks of direction.
INVISIBLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
# UTF-8 that was read as a Western code page or as GBK, and the sign for what could not be read.
MISREAD = "\ufffd|锟斤|â€|ï»¿|ï¿½|Ã[\u0080-\u00bfƒˆŠŒŽšœžŸ‘-”†-•–—…‰‹›€™]|Â[\u00a0-\u00bf]"


class TextParams(Frozen):
    """How texts are cleaned.

    normal: composed characters (NFC), no control and zero-width characters, white space squeezed to single spaces.
    lower: all letters lower case.
    shortest: texts of fewer characters become missing.
    longest: texts of more words (between spaces) are cut to these; None: none is.
    """

    normal: bool = True
    lower: bool = False
    shortest: int = Field(default=1, ge=1)
    longest: int | None = Field(default=None, ge=1)


@dataclass(frozen=True)
class Counted:
    """What was done to texts, or seen in them, and in how many cells."""

    rule: str
    cells: int


def clean_texts(texts: Texts, params: TextParams) -> tuple[Texts, list[Counted]]:
    """The texts as `params` says, missing ones NaN, and what was changed.

    Texts that look as if read in a wrong encoding (`Ã¤` for `ä`) are counted and not normalised: only the source knows
    what they were.
    """
    misread = texts.str.contains(MISREAD).fillna(False).astype("bool")
    told = [Counted("looks read in a wrong encoding, left", int(misread.sum()))]
    if params.normal:
        spelled = texts.map(normal, na_action="ignore").mask(misread, texts)
        texts = _changed(texts, spelled, "characters and spaces normalised", told)
    if params.lower:
        texts = _changed(texts, texts.str.lower(), "lower case", told)
    short = texts.str.strip().str.len() < params.shortest
    texts = _changed(texts, texts.mask(short), f"shorter than {params.shortest} characters, missing", told)
    if params.longest is not None:
        most = params.longest
        cut = texts.map(lambda text: _cut(text, most), na_action="ignore")
        texts = _changed(texts, cut, f"cut to {most} words", told)
    return texts, [count for count in told if count.cells]


def respelled(text: str, params: TextParams) -> Callable[[str], str]:
    """How `clean_texts` spells this text, for any part of it."""
    is_normal = params.normal and not re.search(MISREAD, text)

    def spelled(part: str) -> str:
        part = normal(part) if is_normal else part
        return "".join(letter.lower()[0] for letter in part) if params.lower else part  # as Arrow, a letter each

    return spelled


def normal(text: str) -> str:
    """One spelling of what looks alike."""
    return " ".join(unicodedata.normalize("NFC", INVISIBLE.sub("", text)).split())


def _cut(text: str, most: int) -> str:
    last = next(islice(re.finditer(r"\S+", text), most - 1, None), None)
    return text[: last.end()] if last and text[last.end() :].strip() else text


def _changed(before: Texts, after: Texts, rule: str, told: list[Counted]) -> Texts:
    after = after.astype("str")
    told.append(Counted(rule, int((before.fillna("") != after.fillna("")).sum())))
    return after

"""What a word is, the same for likeness, tokens and terms, and by how many patients each is used."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    Texts = pd.Series[str]
else:
    Texts = pd.Series

# Chinese and Japanese write no spaces: each character counts as a word.
_WORD = r"[぀-ヿ㐀-䶿一-鿿]|[^\W぀-ヿ㐀-䶿一-鿿]+(?:['’-][^\W぀-ヿ㐀-䶿一-鿿]+)*"
WORD = re.compile(_WORD)
PIECE = re.compile(rf"{_WORD}|[^\w\s]")
DIGIT = re.compile(r"\d")


def words(text: str) -> list[str]:
    """The words of a text, without punctuation."""
    return WORD.findall(text)


def pieces(text: str) -> list[str]:
    """The words and punctuation marks of a text."""
    return PIECE.findall(text)


def without_digits(text: str) -> str:
    """The text with 0 for every digit, so that no number is kept."""
    return DIGIT.sub("0", text)


def patients(texts: Texts, groups: pd.Series, split: Callable[[str], Iterable[str]]) -> Counter[str]:
    """By how many patients each part of a text is used; missing texts have none."""
    used: dict[object, set[str]] = {}
    for text, group in zip(texts, groups, strict=True):
        if isinstance(text, str):
            used.setdefault(group, set()).update(split(text))
    return Counter(part for parts in used.values() for part in parts)


def most_used(counts: Counter[str], *, min_count: int) -> list[str]:
    """The parts that at least `min_count` patients use, the most used first, ties by text."""
    frequent = [part for part, count in counts.items() if count >= min_count]
    return sorted(frequent, key=lambda part: (-counts[part], part))

"""Spans of characters and spans of words: where in a text something is named, and the words of which it is made.

Characters are those of the text as it was written, words those of the text as it was cleaned.
"""

import json
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from contracts.names import nearest
from pipelines.text.clean import TextParams, respelled
from pipelines.text.words import PIECE


class Span(NamedTuple):
    """From `start` up to, not including, `end`; of characters or of words."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class Worded:
    """The spans of a text in words, how many words it has, how many spans begin or end within a word and were widened,
    and how many went since they share a word with one before."""

    spans: tuple[Span, ...]
    words: int
    widened: int
    shared: int


def read_spans(cell: str, text: str, labels: Sequence[str]) -> list[Span] | str:
    """The spans of a cell, in order; or what is wrong with them, in words that tell nothing of the text."""
    try:
        found = sorted(_span(item) for item in _items(cell))
    except (ValueError, RecursionError):  # of brackets within brackets
        return 'is no list [[start, end, "label"], …] of whole numbers and a label'
    for span in found:
        where = f"a span from {span.start} to {span.end}"
        if span.label not in labels:
            return f"has {where} whose label is none of {', '.join(labels)}{nearest(span.label, labels)}"
        if not 0 <= span.start < span.end:
            return f"has {where}, which is empty, upside down or begins before 0"
        if span.end > len(text):
            return f"has {where}, and the text ends at {len(text)}"
    for one, other in pairwise(found):
        if other.start < one.end:
            return f"has spans from {one.start} to {one.end} and from {other.start} to {other.end}, which overlap"
    return found


def _items(cell: str) -> list[Any]:
    found = json.loads(cell)
    if not isinstance(found, list):
        raise ValueError
    return found


def _span(item: Any) -> Span:
    if not (isinstance(item, list) and len(item) == 3 and isinstance(item[2], str | int)):
        raise ValueError
    if not all(type(place) is int for place in item[:2]):
        raise ValueError
    return Span(item[0], item[1], str(item[2]))


def in_words(spans: Sequence[Span], text: str, params: TextParams) -> Worded:
    """The spans by the words of the cleaned text, however long; a word of which a part is meant is meant.

    One without any word has none, and goes as one does that shares its word with another.
    """
    spelled = respelled(text, params)
    words = [match.span() for match in PIECE.finditer(spelled(text))]
    begins, ends = [begin for begin, _ in words], [end for _, end in words]
    found: list[Span] = []
    widened = shared = 0
    for span in spans:
        begin, end = len(spelled(text[: span.start] + "x")) - 1, len(spelled(text[: span.end]))
        first, last = _after(ends, begin), bisect_left(begins, end)
        if first >= last or (found and first < found[-1].end):
            shared += 1
            continue
        widened += begins[first] < begin or ends[last - 1] > end
        found.append(Span(first, last, span.label))
    return Worded(spans=tuple(found), words=len(words), widened=widened, shared=shared)


def in_characters(first: int, end: int, text: str, params: TextParams) -> tuple[int, int]:
    """Where the words from `first` up to, not including, `end` stand in the text as it was written."""
    spelled = respelled(text, params)
    words = [match.span() for match in PIECE.finditer(spelled(text))]
    begin, last = words[first][0], words[end - 1][1]
    start = _first(len(text), lambda place: len(spelled(text[: place + 1])) > begin)
    return start, _first(len(text), lambda place: len(spelled(text[:place])) >= last)


def _after(ends: Sequence[int], place: int) -> int:
    """The first word that ends beyond this place."""
    return bisect_left(ends, place + 1)


def _first(places: int, holds: Callable[[int], bool]) -> int:
    """The first place from which on something holds, which holds at the last."""
    return bisect_left(range(places), True, key=holds)

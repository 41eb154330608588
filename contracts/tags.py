"""The labels of a text's words in one text, so that a label of many words is one column.

A tag a word, as a number, with blanks between, in the scheme IOB2 (Ramshaw & Marcus, "Text chunking using
transformation-based learning", 1995; Tjong Kim Sang & Veenstra, "Representing text chunks", EACL 1999): 0 is outside;
of the label of index k, 2k + 1 begins an entity and 2k + 2 goes on with it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

OUTSIDE, NO_WORD = 0, -1
Ints = NDArray[np.int64]


def tags_of(labels: int) -> int:
    """How many tags there are for so many labels."""
    return 2 * labels + 1


def written(spans: Sequence[tuple[int, int, int]], words: int) -> str:
    """The tags of a text of so many words; of each entity its first word, the one after its last, and its label."""
    tags = [OUTSIDE] * words
    for begin, end, label in spans:
        tags[begin:end] = [2 * label + 1, *[2 * label + 2] * (end - begin - 1)]
    return " ".join(map(str, tags))


def padded(cells: Sequence[str], *, least: int = 1) -> NDArray[np.int16]:
    """The tags of each text, -1 beyond its last word. Shape: N texts -> (N, L), L the most words, or `least`."""
    told = [np.array(cell.split(), dtype=np.int16) for cell in cells]
    found = np.full((len(told), max([least, *map(len, told)])), NO_WORD, dtype=np.int16)
    for row, tags in zip(found, told, strict=True):
        row[: len(tags)] = tags
    return found


def entities(tags: NDArray[np.integer]) -> Ints:
    """Row, first word, the one after the last, and label of each entity, in this order. Shape: (N, L) -> (E, 4).

    As `conlleval` reads them (Tjong Kim Sang & De Meulder, "Introduction to the CoNLL-2003 shared task", 2003), and
    seqeval (Nakayama, 2018) by default: a tag that goes on with what was not begun begins an entity.
    """
    known = np.maximum(tags, OUTSIDE).astype(np.int64)
    around = np.pad(known, ((0, 0), (1, 1)))
    label = (around + 1) // 2  # from 1, 0 outside
    begins = (label[:, 1:] > 0) & ((around[:, 1:] % 2 == 1) | (label[:, 1:] != label[:, :-1]))
    ends = (label[:, 1:-1] > 0) & (begins[:, 1:] | (label[:, 2:] != label[:, 1:-1]))
    rows, first = np.nonzero(begins[:, :-1])
    last = np.nonzero(ends)[1]
    return np.stack([rows, first, last + 1, label[rows, first + 1] - 1], axis=1)


def counted(told: Ints, called: Ints, rows: int, labels: int) -> Ints:
    """How many entities a text has of each label, how many it is said to have, and how many of these are right.

    Right is an entity of the same label that begins and ends with the same words.
    Shape: told (E, 4), called (F, 4) as `entities` -> (rows, labels, 3).
    """
    found = np.zeros((rows, labels, 3), dtype=np.int64)
    right = {*map(tuple, told.tolist())} & {*map(tuple, called.tolist())}
    both = np.array(sorted(right), dtype=np.int64).reshape(-1, 4)
    for kind, of in enumerate((told, called, both)):
        np.add.at(found[..., kind], (of[:, 0], of[:, 3]), 1)
    return found

"""Texts that are nearly the same, found without comparing every pair.

Source: Broder, "On the resemblance and containment of documents", 1997 (shingles, MinHash); candidates by banding:
Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets", 2014, ch. 3.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.text.words import words

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]

SHINGLE = 3  # words
SHORT = 20  # words: a shorter text nearly equals many that say something else
HASHES = 128
CROWD = 8  # texts of a band are compared with this many that follow in the order of their words
CHUNK = 100_000  # pairs compared at once


def near_texts(texts: Sequence[str], *, share: float = 0.8) -> NDArray[np.int64]:
    """Pairs of texts whose sets of three-word shingles overlap by `share` (Jaccard) or more. Shape: (K, 2), positions.

    Case, punctuation, spaces and Unicode composition do not count. Texts that are then equal are paired in a chain,
    each with the next, and only the first of them with others. Those of fewer than 20 words are paired only when
    equal; those without a word, never. Where many are alike not all pairs come out, but what is alike hangs together.
    """
    spelled = [tuple(words(unicodedata.normalize("NFKC", text).casefold())) for text in texts]
    code, distinct = pd.factorize(np.fromiter(spelled, dtype=object, count=len(spelled)), sort=False)
    first, chain = _chained(code, np.array([len(said) > 0 for said in spelled], dtype=bool))
    long = sorted((said, at) for said, at in zip(distinct, first, strict=True) if len(said) >= SHORT)
    near = _near([said for said, _ in long], share)
    at = np.array([place for _, place in long], dtype=np.int64)
    found = np.sort(np.concatenate([chain, at[near]]), axis=1)
    return np.unique(found, axis=0)


def _chained(code: Ints, spoken: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """By code its first place, and the pairs of neighbouring places of one code. Shapes: (D,), (K, 2)."""
    order = np.argsort(code, kind="stable")
    same = (np.diff(code[order]) == 0) & spoken[order[1:]]
    first = order[np.flatnonzero(np.diff(code[order], prepend=-1))]
    return first, np.stack([order[:-1][same], order[1:][same]], axis=1)


def _near(texts: Sequence[tuple[str, ...]], share: float) -> Ints:
    """(K, 2) pairs of different texts, in their order, that overlap by `share`."""
    if len(texts) < 2:
        return np.empty((0, 2), dtype=np.int64)
    shingles, starts = _shingles(texts)
    pairs = np.unique(np.concatenate([_neighbours(band) for band in _bands(shingles, starts, share)]), axis=0)
    found: Ints = pairs[_overlap(shingles, starts, pairs) >= share]
    return found


def _shingles(texts: Sequence[tuple[str, ...]]) -> tuple[Hashes, Ints]:
    """The hashed shingles of all texts, each text's once, and where each text's begin. Shapes: (S,), (N,)."""
    known = {word: code for code, word in enumerate(sorted({word for text in texts for word in text}))}
    codes = np.array([known[word] for text in texts for word in text], dtype=np.uint64)
    lengths = np.array([len(text) for text in texts])
    text = np.repeat(np.arange(len(texts)), lengths)
    hashed = np.zeros(len(codes) - SHINGLE + 1, dtype=np.uint64)
    for step in range(SHINGLE):
        hashed = _mixed(hashed + codes[step : len(codes) - SHINGLE + 1 + step])
    within = text[: len(hashed)] == text[SHINGLE - 1 :]
    hashed, text = hashed[within], text[: len(hashed)][within]
    order = np.lexsort((hashed, text))
    once = (np.diff(hashed[order], prepend=~hashed[order[:1]]) != 0) | (np.diff(text[order], prepend=-1) != 0)
    kept = order[once]
    return hashed[kept], np.searchsorted(text[kept], np.arange(len(texts)))


def _mixed(values: Hashes) -> Hashes:
    """Whole numbers stirred so that close ones end far apart (the finaliser of splitmix64)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _bands(shingles: Hashes, starts: Ints, share: float) -> Iterator[Hashes]:
    """(N,) by band a hash of its MinHashes, as many rows a band as find 999 of 1,000 pairs that overlap by `share`."""
    rows = max((r for r in range(1, HASHES + 1) if (1 - share**r) ** (HASHES // r) <= 0.001), default=1)
    for band in range(HASHES // rows):
        hashed = np.zeros(len(starts), dtype=np.uint64)
        for row in range(rows):
            salt = _mixed(np.array([band * rows + row], dtype=np.uint64))
            hashed = _mixed(hashed + np.minimum.reduceat(_mixed(shingles ^ salt), starts))
        yield hashed


def _neighbours(hashed: Hashes) -> Ints:
    """(K, 2) pairs with the same hash, each with at most CROWD that follow."""
    order = np.argsort(hashed, kind="stable")
    ordered = hashed[order]
    pairs = [np.empty((0, 2), dtype=np.int64)]
    for step in range(1, min(CROWD + 1, len(order))):
        at = np.flatnonzero(ordered[step:] == ordered[:-step])
        pairs.append(np.stack([order[at], order[at + step]], axis=1))
    return np.concatenate(pairs)


def _overlap(shingles: Hashes, starts: Ints, pairs: Ints) -> NDArray[np.float64]:
    """(K,) Jaccard similarity of the pairs' sets."""
    from scipy.sparse import csr_array

    codes = np.unique(shingles, return_inverse=True)[1]
    ends = np.append(starts, len(shingles))
    sets: Any = csr_array((np.ones(len(codes), dtype=np.int32), codes, ends))
    sizes = np.diff(ends)
    common = [np.zeros(0)]
    for begin in range(0, len(pairs), CHUNK):
        left, right = pairs[begin : begin + CHUNK].T
        common.append(sets[left].multiply(sets[right]).sum(axis=1))
    both = np.concatenate(common)
    overlap: NDArray[np.float64] = both / (sizes[pairs].sum(axis=1) - both)
    return overlap

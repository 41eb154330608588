"""Texts as whole numbers: a vocabulary of words, of pieces of words, or of characters, learnt on training texts.

Pieces of words: byte-pair encoding, Sennrich, Haddow & Birch, "Neural machine translation of rare words with subword
units", ACL 2016.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from contracts.payloads import Payloads, ragged
from contracts.study import Frozen
from pipelines.text.merges import END, learnt, merged
from pipelines.text.words import most_used, patients, pieces, without_digits

if TYPE_CHECKING:
    Texts = pd.Series[str]
else:
    Texts = pd.Series

TokenKind = Literal["words", "bpe", "characters"]
PADDING, UNSEEN, RESERVED = 0, 1, 2
UNKNOWN = "\ufffd"


class Vocabulary(Frozen):
    """The known tokens. The id of a token is its place plus 2; 0 is padding, 1 a token never seen or too rare.

    `tokens` of kind bpe end with a space where a word ends; `merges` are in the order in which they were learnt.
    Every digit stands as 0.
    """

    kind: TokenKind
    tokens: tuple[str, ...]
    merges: tuple[tuple[str, str], ...] = ()

    @property
    def count(self) -> int:
        """The number of ids."""
        return RESERVED + len(self.tokens)


def fit_vocabulary(texts: Texts, groups: pd.Series, *, kind: TokenKind, size: int, min_count: int) -> Vocabulary:
    """The `size` most used tokens of the training texts; missing texts are passed over. `groups` (N,) are the patients.

    Only words (of kind characters: characters) that at least `min_count` patients use are learnt from, since a rarer
    one may be a name or number of a single patient; more used by patients comes first, ties by text. Pieces of words
    are weighed by how often their words occur; single characters come first, so that other words can be spelled.
    """
    plain = texts.map(without_digits, na_action="ignore")
    units = most_used(patients(plain, groups, _units(kind)), min_count=min_count)
    if kind != "bpe":
        return Vocabulary(kind=kind, tokens=tuple(units[:size]))
    letters = most_used(patients(plain, groups, _letters), min_count=min_count)
    alphabet = [END, *letters][:size]
    known = set(units)
    frequency = Counter(word for text in plain.dropna() for word in pieces(text) if word in known)
    merges = learnt(frequency, most=size - len(alphabet))
    tokens = dict.fromkeys([*alphabet, *(first + second for first, second in merges)])
    return Vocabulary(kind=kind, tokens=tuple(tokens), merges=tuple(merges))


def tokenised(vocabulary: Vocabulary, texts: Texts) -> Payloads:
    """The ids of each text, one after another; of a missing text nothing. Shape: (S,) int32 with (N + 1,) offsets."""
    ids = {token: place + RESERVED for place, token in enumerate(vocabulary.tokens)}
    spelled = _spelling(vocabulary)
    nothing = np.zeros(0, dtype=np.int32)
    found = [
        np.array([ids.get(token, UNSEEN) for token in spelled(without_digits(text))], dtype=np.int32)
        if isinstance(text, str)
        else nothing
        for text in texts
    ]
    return ragged(found, like=nothing)


def readable(vocabulary: Vocabulary, ids: Iterable[int]) -> str:
    """What the ids say: words and punctuation marks with spaces between, or characters; � for an unseen token."""
    known = {place + RESERVED: token for place, token in enumerate(vocabulary.tokens)} | {UNSEEN: UNKNOWN}
    tokens = [known[i] for i in map(int, ids) if i != PADDING]
    return (" " if vocabulary.kind == "words" else "").join(tokens).removesuffix(END)


def _units(kind: TokenKind) -> Callable[[str], Iterable[str]]:
    return list if kind == "characters" else pieces


def _letters(text: str) -> Iterable[str]:
    return (letter for letter in text if not letter.isspace())


def _spelling(vocabulary: Vocabulary) -> Callable[[str], list[str]]:
    """How a text is taken apart into tokens."""
    if vocabulary.kind != "bpe":
        whole = _units(vocabulary.kind)
        return lambda text: list(whole(text))
    ranks = {pair: rank for rank, pair in enumerate(vocabulary.merges)}
    spelled = cache(lambda word: merged(word, ranks))
    return lambda text: [token for word in pieces(text) for token in spelled(word)]

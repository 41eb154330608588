"""Vocabularies: learnt from training texts, on words of several patients only, and texts as whole numbers."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.text.merges import END, joined, learnt, spelled
from pipelines.text.tokens import PADDING, UNKNOWN, UNSEEN, TokenKind, Vocabulary, fit_vocabulary, readable, tokenised
from pipelines.text.words import pieces, without_digits

KINDS: tuple[TokenKind, ...] = ("words", "bpe", "characters")
WORDS = ["lung", "lungs", "longer", "no", "normal", "größer", "don't", "肺", "clear.", "12", "(7)"]
texts_of_patients = st.lists(
    st.tuples(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join), st.sampled_from("abcd")),
    min_size=1,
    max_size=12,
)


def fitted(rows: list[tuple[str | None, str]], kind: TokenKind, size: int = 200, min_count: int = 1) -> Vocabulary:
    frame = pd.DataFrame(rows, columns=["text", "patient"]).astype("str")
    frame["text"] = pd.Series([text for text, _ in rows], dtype="str")
    return fit_vocabulary(frame["text"], frame["patient"], kind=kind, size=size, min_count=min_count)


@pytest.mark.parametrize("kind", KINDS)
def test_what_few_patients_use_is_not_learnt(kind: TokenKind) -> None:
    rows = [("seen by Zyx at 12", "a"), ("seen at 34 Zyx Zyx", "a"), ("seen at 56", "b"), (None, "c")]
    vocabulary = fitted(rows, kind, min_count=2)
    learnt = "".join(vocabulary.tokens)
    assert not set(learnt) & set("Zyx123456")
    assert "seen" in learnt or kind == "characters"
    assert vocabulary == Vocabulary.model_validate_json(vocabulary.model_dump_json())
    assert vocabulary.count == 2 + len(vocabulary.tokens)


def test_words_are_ordered_by_patients_then_text() -> None:
    rows = [("b a c", "1"), ("b a", "2"), ("b", "3"), ("c c c c", "1")]
    assert fitted(rows, "words").tokens == ("b", "a", "c")
    assert fitted(rows, "words", size=2).tokens == ("b", "a")


def test_ids_and_missing_texts() -> None:
    vocabulary = Vocabulary(kind="words", tokens=("no", "mass", "00", "."))
    coded = tokenised(vocabulary, pd.Series(["no mass.", None, "a 34 mass"], dtype="str"))
    assert [coded[at].tolist() for at in range(3)] == [[2, 3, 5], [], [UNSEEN, 4, 3]]
    assert coded.values.dtype == np.int32
    assert readable(vocabulary, [*coded[2], PADDING]) == f"{UNKNOWN} 00 mass"
    assert len(tokenised(vocabulary, pd.Series([], dtype="str"))) == 0


@settings(max_examples=50)
@given(texts_of_patients, st.integers(0, 200))
def test_byte_pairs_spell_every_text_of_known_letters(rows: list[tuple[str, str]], size: int) -> None:
    vocabulary = fitted(rows, "bpe", size=60 + size)
    texts = pd.Series([text[::-1] for text, _ in rows] + [text for text, _ in rows], dtype="str")
    coded = tokenised(vocabulary, texts)
    for at, text in enumerate(texts):
        assert readable(vocabulary, coded[at]) == " ".join(pieces(without_digits(text)))
        assert UNSEEN not in coded[at]


@settings(max_examples=30)
@given(texts_of_patients, st.sampled_from(KINDS), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows: list[tuple[str, str]], kind: TokenKind, random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fitted(rows, kind, min_count=2) == fitted(shuffled, kind, min_count=2)
    assert len(fitted(rows, kind, size=5).tokens) <= 5


@settings(max_examples=50)
@given(st.dictionaries(st.text("abc", min_size=1, max_size=6), st.integers(1, 9), max_size=12), st.integers(1, 25))
def test_merges_kept_up_to_date_are_those_counted_anew(frequency: dict[str, int], most: int) -> None:
    words = {word: spelled(word) for word in frequency}
    expected = []
    while len(expected) < most:
        counts = Counter[tuple[str, str]]()
        for word, symbols in words.items():
            for pair in pairwise(symbols):
                counts[pair] += frequency[word]
        if not counts:
            break
        expected.append(min(counts, key=lambda pair: (-counts[pair], pair)))
        words = {word: joined(symbols, expected[-1]) for word, symbols in words.items()}
    assert learnt(frequency, most=most) == expected


def test_the_paper_s_example() -> None:
    assert learnt({"low": 5, "lower": 2, "newest": 6, "widest": 3}, most=3) == [("e", "s"), ("es", "t"), ("est", END)]

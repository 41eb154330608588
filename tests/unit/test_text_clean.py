"""Texts in one spelling, each change counted."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text.clean import Counted, TextParams, clean_texts, normal


def cells(*texts: str | None) -> "pd.Series[str]":
    return pd.Series(texts, dtype="str")


def test_spaces_invisible_characters_and_composition_are_normalised_and_counted() -> None:
    texts = cells("a  b\n\tc ", "zero\u200bwidth\x00\ufeff", "u\u0308ber", "as it was", None, " \u200b ")
    cleaned, told = clean_texts(texts, TextParams())
    assert cleaned.fillna("-").tolist() == ["a b c", "zerowidth", "über", "as it was", "-", "-"]
    assert told == [
        Counted("characters and spaces normalised", 4),
    ]


def test_what_is_missing_after_cleaning_is_counted() -> None:
    cleaned, told = clean_texts(cells("n.", "no change", ""), TextParams(shortest=3))
    assert cleaned.isna().tolist() == [True, False, True]
    assert told == [Counted("shorter than 3 characters, missing", 1)]


def test_lower_case_and_a_longest_text() -> None:
    texts = cells("No Acute  Disease seen", "No acute disease", "no", None)
    cleaned, told = clean_texts(texts, TextParams(lower=True, longest=3))
    assert cleaned.fillna("-").tolist() == ["no acute disease", "no acute disease", "no", "-"]
    assert [(c.rule, c.cells) for c in told] == [
        ("characters and spaces normalised", 1),
        ("lower case", 2),
        ("cut to 3 words", 1),
    ]
    uncut, told = clean_texts(cells("a  b ", "a b\nc"), TextParams(normal=False, longest=2))
    assert uncut.tolist() == ["a  b ", "a b"]
    assert told == [Counted("cut to 2 words", 1)]


def test_a_wrong_encoding_is_counted_and_left() -> None:
    wrong = cells("größer".encode().decode("latin-1"), "5 Â°C", "lost \ufffd", "it’s".encode().decode("cp1252"))
    cleaned, told = clean_texts(wrong, TextParams())
    assert cleaned.tolist() == wrong.tolist()
    assert told == [Counted("looks read in a wrong encoding, left", 4)]
    assert clean_texts(cells("größer", "NÃO", "Ângulo", "5 °C", "château"), TextParams())[1] == []


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert normal(normal(text)) == normal(text)

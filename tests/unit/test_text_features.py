"""Tf-idf of words and pairs of words, equal to scikit-learn's own."""

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer

from pipelines.text.features import Tfidf, fit_tfidf, tfidf, tfidf_names

TEXTS = pd.Series(
    ["No mass. No effusion", "mass in the left lung", "the left lung is clear", None, "clear 12"], dtype="str"
)
PATIENTS = pd.Series(["a", "b", "c", "d", "c"], dtype="str")


def test_the_weights_are_scikit_learns() -> None:
    fitted = fit_tfidf(TEXTS, PATIENTS, size=100, min_count=1)
    plain = TEXTS.dropna().str.replace(r"\d", "0", regex=True)
    theirs = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+")
    expected = pd.DataFrame(theirs.fit_transform(plain).toarray(), plain.index, theirs.get_feature_names_out())
    ours = pd.DataFrame(tfidf(fitted, TEXTS), columns=tfidf_names(fitted))
    assert set(ours.columns) == set(expected.columns)
    np.testing.assert_allclose(ours.loc[plain.index, expected.columns], expected, atol=1e-6)
    assert (ours.loc[3] == 0).all()
    assert tfidf(fitted, TEXTS).dtype == np.float32


def test_terms_are_those_of_most_patients() -> None:
    fitted = fit_tfidf(TEXTS, PATIENTS, size=3, min_count=2)
    assert fitted.terms == ("left", "left lung", "lung")
    assert "clear" not in fit_tfidf(TEXTS, PATIENTS, size=100, min_count=2).terms
    again = Tfidf.model_validate_json(fitted.model_dump_json())
    order = [4, 2, 0, 3, 1]
    assert again == fit_tfidf(TEXTS.iloc[order], PATIENTS.iloc[order], size=3, min_count=2)
    np.testing.assert_array_equal(tfidf(again, TEXTS), tfidf(fitted, TEXTS))


def test_new_rows_do_not_change_the_weights_and_unknown_words_count_nothing() -> None:
    fitted = fit_tfidf(TEXTS, PATIENTS, size=50, min_count=2)
    whole = tfidf(fitted, pd.Series(["left lung", "something else"], dtype="str"))
    np.testing.assert_array_equal(whole[:1], tfidf(fitted, pd.Series(["left lung"], dtype="str")))
    assert (whole[1] == 0).all()


def test_nothing_to_learn_from_gives_no_column() -> None:
    fitted = fit_tfidf(pd.Series([None, "one"], dtype="str"), pd.Series(["a", "b"]), size=5, min_count=2)
    assert fitted.terms == ()
    assert tfidf(fitted, TEXTS).shape == (5, 0)
    known = fit_tfidf(TEXTS, PATIENTS, size=3, min_count=2)
    assert tfidf(known, TEXTS.iloc[:0]).shape == (0, 3)
    assert not tfidf(known, pd.Series([None, None], dtype="str")).any()

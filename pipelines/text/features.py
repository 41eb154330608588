"""Texts as weighted counts of words and pairs of words (tf-idf), the weights learnt on training texts.

Source: Salton & Buckley, "Term-weighting approaches in automatic text retrieval", 1988, as scikit-learn computes it.
"""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.study import Frozen
from pipelines.text.words import most_used, patients, without_digits, words

if TYPE_CHECKING:
    Texts = pd.Series[str]
else:
    Texts = pd.Series


class Tfidf(Frozen):
    """The terms, words and pairs of neighbouring words, and the weight of each."""

    terms: tuple[str, ...]
    idf: tuple[float, ...]


def fit_tfidf(texts: Texts, groups: pd.Series, *, size: int, min_count: int) -> Tfidf:
    """The `size` terms that most training patients use, ties by text; none of fewer than `min_count` patients.

    Weights are smoothed inverse shares of the texts (missing ones left out) that hold a term. `groups` (N,) are the
    patients.
    """
    terms = most_used(patients(texts, groups, terms_of), min_count=min_count)[:size]
    filled = texts.dropna()
    if not terms or filled.empty:
        return Tfidf(terms=(), idf=())
    return Tfidf(terms=tuple(terms), idf=tuple(map(float, _vectorizer(terms).fit(filled).idf_)))


def tfidf(fitted: Tfidf, texts: Texts) -> NDArray[np.float32]:
    """(N, F): 1 + log count times weight, each row of length 1; zeros for a missing text."""
    if not fitted.terms or texts.empty:
        return np.zeros((len(texts), len(fitted.terms)), dtype=np.float32)
    vectorizer = _vectorizer(list(fitted.terms))
    vectorizer.idf_ = np.array(fitted.idf)
    features: NDArray[np.float32] = vectorizer.transform(texts.fillna("")).toarray().astype(np.float32)
    return features


def tfidf_names(fitted: Tfidf) -> list[str]:
    """(F,) the terms."""
    return list(fitted.terms)


def terms_of(text: str) -> list[str]:
    """The words of a text in lower case, 0 for every digit, and its pairs of neighbours."""
    said = words(without_digits(text.lower()))
    return said + [f"{first} {second}" for first, second in pairwise(said)]


def _vectorizer(terms: list[str]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(vocabulary=terms, analyzer=terms_of, sublinear_tf=True)

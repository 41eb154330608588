"""Paired tests beside published values of a reference package, on data that it documents."""

import numpy as np
import pytest
from scipy.stats import rankdata

from pipelines.bootstrap import bootstrap, interval
from pipelines.metrics import auroc, rank
from pipelines.paired import delong

# 113 patients after a bleeding in the brain (Turck et al., Intensive Care Medicine 36, 2010): 41 of poor outcome, then
# 72 of good; the grade of the World Federation of Neurosurgical Societies, and the rank of the blood's S100 beta.
POOR = 41
GRADE = (
    "32455552521254425552525245441442255225555111151221221112121134141551124112212122111121211324214115422111312244111"
)
S100B = (
    "9 6 12 8 26 31 29 3 20 5 3 24 22 28 31 16 31 31 31 3 31 18 1 5 14 31 16 31 4 16 9 6 7 14 31 10 31 19 31 31 26 9 "
    "10 6 2 27 13 6 6 2 4 2 5 7 3 13 3 7 9 13 2 12 10 21 5 30 27 12 3 25 27 7 4 5 4 2 9 6 10 11 2 2 5 2 5 4 12 5 4 20 "
    "7 17 3 6 19 3 2 15 23 6 11 4 10 6 3 2 13 11 27 13 11 30 28"
)


def order(text: str) -> np.ndarray:
    return np.array(text.split(), dtype=float)


@pytest.fixture
def measured() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    found = order(S100B)
    grade = np.array([int(digit) for digit in GRADE], dtype=float)
    return np.arange(len(found)) < POOR, grade, found


def area(truth: np.ndarray, score: np.ndarray) -> float:
    ranks, m, n = rankdata(score), truth.sum(), (~truth).sum()
    return float((ranks[truth].sum() - m * (m + 1) / 2) / (m * n))


def test_delong_is_that_of_proc(measured) -> None:
    """pROC: AUCs 0.8236789 and 0.7313686, roc.test p = 0.0271757822291882 (its own tests; Robin et al. 2011)."""
    truth, grade, found = measured
    assert (area(truth, grade), area(truth, found)) == (pytest.approx(0.8236789), pytest.approx(0.7313686))
    assert delong(truth, grade, found, np.arange(113)) == pytest.approx(0.0271757822291882, rel=1e-12)


def test_the_bootstrap_is_close_to_the_published_interval(measured) -> None:
    """pROC: the difference lies between 0.0104 and 0.1742 by DeLong's variance."""
    truth, *scores = measured
    rankings = [rank(truth, score) for score in scores]

    def gap(weight: np.ndarray) -> dict[str, np.ndarray]:
        one, two = (auroc(*ranking.counts(weight)) for ranking in rankings)
        return {"gap": one - two}

    drawn = bootstrap(gap, np.arange(113), resamples=4000, seed=0)["gap"]
    found = interval(float(gap(np.ones((1, 113)))["gap"][0]), drawn, 0.95)
    assert found.value == pytest.approx(0.8236789 - 0.7313686, abs=1e-6)
    assert (found.low, found.high) == (pytest.approx(0.0104, abs=0.012), pytest.approx(0.1742, abs=0.012))

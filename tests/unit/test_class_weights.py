from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.balance import BalanceParams, balance
from pipelines.class_weights import class_weights, patient_shares
from pipelines.priors import prior_shift
from tests.unit.test_masks import patients

COUNTS = st.dictionaries(st.integers(0, 5), st.integers(1, 5000), min_size=2)


@given(count=COUNTS, beta=st.floats(0, 0.9999))
def test_weights_are_1_on_average_and_rarer_classes_weigh_no_less(count: dict[int, int], beta: float) -> None:
    weight = class_weights("effective_number", count, beta=beta)
    assert sum(weight[i] * count[i] for i in count) / sum(count.values()) == pytest.approx(1)
    ordered = sorted(count, key=lambda i: count[i])
    assert all(weight[a] >= weight[b] * (1 - 1e-9) for a, b in pairwise(ordered))


def test_effective_number_is_the_papers() -> None:
    weight = class_weights("effective_number", {0: 1000, 1: 10}, beta=0.99)
    assert weight[1] / weight[0] == pytest.approx((1 - 0.99**1000) / (1 - 0.99**10))
    assert class_weights("effective_number", {0: 1000, 1: 10, 2: 0}, beta=0) == {0: 1, 1: 1, 2: 0}


def test_each_patient_of_a_class_counts_alike() -> None:
    table = balance(patients(0), BalanceParams(method="patient_weight"), n_classes=2).table
    assert table["@weight"].mean() == pytest.approx(1)
    by_patient = table.groupby(["@target", "@group"])["@weight"]
    assert (by_patient.nunique() == 1).all()
    for _, total in by_patient.sum().groupby(level=0):
        assert total.to_numpy() == pytest.approx(total.iloc[0])
    assert table.groupby("@target")["@weight"].sum().tolist() == pytest.approx([36, 36])


def test_one_row_a_patient_leaves_the_class_weight() -> None:
    assert (patient_shares(np.array([0, 1, 0]), np.array(["a", "b", "c"])) == 1).all()


@given(before=st.floats(0.01, 0.99), after=st.floats(0.01, 0.99), evidence=st.floats(-3, 3))
def test_either_correction_gives_the_probability_under_the_first_prior(
    before: float, after: float, evidence: float
) -> None:
    prior = prior_shift({0: 1 - before, 1: before}, {0: 1 - after, 1: after})
    truth = 1 / (1 + np.exp(-evidence) * (1 - before) / before)
    learnt = 1 / (1 + np.exp(-evidence) * (1 - after) / after)
    mended = learnt * prior.correction[1]
    assert mended / (mended + (1 - learnt) * prior.correction[0]) == pytest.approx(truth)
    log_odds = np.log(learnt / (1 - learnt)) - prior.log_odds_shift[1]
    assert 1 / (1 + np.exp(-log_odds)) == pytest.approx(truth)


@pytest.mark.parametrize("method", ["class_weight", "smote", "random_under"])
def test_what_balances_shifts_the_prior_to_equal_shares(method: str) -> None:
    prior = balance(patients(0), BalanceParams(method=method), n_classes=3).report.prior
    assert prior.before == pytest.approx({0: 60 / 72, 1: 12 / 72, 2: 0})
    assert prior.after == pytest.approx({0: 0.5, 1: 0.5, 2: 0})
    assert prior.log_odds_shift == pytest.approx({0: -np.log(5), 1: np.log(5)})
    assert prior.correction == pytest.approx({0: 60 / 36, 1: 12 / 36})


def test_no_balance_no_shift() -> None:
    prior = balance(patients(0), BalanceParams(method="none"), n_classes=2).report.prior
    assert prior.log_odds_shift == {0: 0, 1: 0}
    assert prior.correction == {0: 1, 1: 1}

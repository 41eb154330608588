"""Whole patients are drawn, the same ones for every model, and what is undefined says so."""

import numpy as np
import pytest

from pipelines import bootstrap as module
from pipelines.bootstrap import SAME, Floats, Interval, bootstrap, interval, multiplicities


def mean(values: Floats) -> object:
    return lambda weight: {"mean": weight @ values / weight.sum(axis=1)}


def width(found: Interval) -> float:
    assert found.low is not None and found.high is not None
    return found.high - found.low


def test_every_resample_draws_as_many_patients_as_there_are() -> None:
    draws = np.vstack(list(multiplicities(40, 300, seed=1)))
    assert draws.shape == (300, 40)
    assert (draws.sum(axis=1) == 40).all()
    assert draws.mean(axis=0) == pytest.approx(np.ones(40), abs=0.25)


def test_rows_of_a_patient_go_together() -> None:
    group = np.array(["b", "a", "b", "c", "a"])
    weight = bootstrap(lambda w: {"weight": w}, group, resamples=50, seed=0)["weight"]
    assert (weight[:, 0] == weight[:, 2]).all() and (weight[:, 1] == weight[:, 4]).all()
    assert (weight[:, 0] != weight[:, 3]).any()


def test_the_draws_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.vstack(list(multiplicities(30, 100, seed=5)))
    monkeypatch.setattr(module, "CELLS", 210)
    blocks = list(multiplicities(30, 100, seed=5))
    assert len(blocks) > 10
    assert (np.vstack(blocks) == whole).all()


def test_seed_and_patients_alone_decide_the_resamples() -> None:
    values = np.random.default_rng(0).normal(size=60)
    group = np.repeat(np.arange(20), 3).astype(str)
    order = np.random.default_rng(1).permutation(60)
    first = bootstrap(mean(values), group, resamples=100, seed=3)["mean"]  # type: ignore[arg-type]
    shuffled = bootstrap(mean(values[order]), group[order], resamples=100, seed=3)["mean"]  # type: ignore[arg-type]
    other = bootstrap(mean(values), group, resamples=100, seed=4)["mean"]  # type: ignore[arg-type]
    assert shuffled == pytest.approx(first)
    assert not np.allclose(first, other)


def test_copies_of_a_patients_rows_add_no_certainty() -> None:
    values = np.random.default_rng(0).normal(size=200)
    once = bootstrap(mean(values), np.arange(200), resamples=1000, seed=0)["mean"]  # type: ignore[arg-type]
    copied, group = np.repeat(values, 9), np.repeat(np.arange(200), 9)
    nine = bootstrap(mean(copied), group, resamples=1000, seed=0)["mean"]  # type: ignore[arg-type]
    rows = bootstrap(mean(copied), np.arange(1800), resamples=1000, seed=0)["mean"]  # type: ignore[arg-type]
    theory = 2 * 1.96 * values.std() / np.sqrt(200)
    assert width(interval(values.mean(), nine, 0.95)) == width(interval(values.mean(), once, 0.95))
    assert width(interval(values.mean(), once, 0.95)) == pytest.approx(theory, rel=0.1)
    assert width(interval(values.mean(), rows, 0.95)) == pytest.approx(theory / 3, rel=0.1)


def test_percentiles() -> None:
    found = interval(50.0, np.arange(101.0), 0.9)
    assert (found.value, found.low, found.high) == (50, 5, 95)
    assert str(Interval(value=0.5, low=-0.25, high=1)) == "0.500 (−0.250 to 1.000)"


def test_an_error_biased_upwards_is_reflected_and_cut_at_zero() -> None:
    found = interval(1.0, np.linspace(1.5, 3.5, 101), 0.9, reflect=True)
    assert (found.low, found.value, found.high) == (0.0, 1.0, 1.0)
    found = interval(5.0, np.linspace(4.0, 8.0, 101), 0.9, reflect=True)
    assert (found.low, found.high) == pytest.approx((2.2, 5.8))


def test_undefined_says_why() -> None:
    nothing = interval(float("nan"), np.ones(10), 0.95, reason="no positives")
    assert nothing == Interval(value=None, reason="no positives") and str(nothing) == "–"
    estimates = np.r_[np.full(20, np.nan), np.ones(80)]
    seldom = interval(1.0, estimates, 0.95)
    assert (seldom.value, seldom.low) == (1, None) and "20% of the resamples" in seldom.reason
    few = interval(1.0, np.r_[estimates[15:-1], 0.5], 0.95)
    assert few.high == 1 and few.low is not None


def test_resamples_that_all_give_the_same_are_no_certainty() -> None:
    perfect = interval(1.0, np.ones(200), 0.95)
    assert (perfect.value, perfect.low, perfect.high) == (1, None, None)
    assert str(perfect) == "1.000 (no interval)" and perfect.around == SAME

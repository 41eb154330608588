"""Each scaling: what it promises of the training values, and that it can be undone at any magnitude."""

from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, yeojohnson, yeojohnson_normmax

from contracts.errors import MedloopError
from pipelines.scaling import (
    Array,
    Power,
    Scale,
    Scaling,
    fit_scaling,
    invert,
    patient_units,
    row_lengths,
    scaled,
    scaled_within_patient,
)

METHODS = get_args(Scaling)
SKEWED = np.exp(1.5 * np.random.default_rng(0).normal(size=400))
numbers = st.floats(-1e300, 1e300, allow_subnormal=True)
columns = st.lists(numbers, min_size=1, max_size=30) | st.builds(lambda x, n: [x] * n, numbers, st.integers(1, 9))
small = st.lists(st.floats(-50, 50), min_size=1, max_size=12)


def fitted(values: Array, method: Scaling, clip: float = 1e9) -> Array:
    return scaled(values, fit_scaling(values, method, clip=clip, name="x"))


@given(st.sampled_from([m for m in METHODS if m not in ("power", "quantile", "none", "unit")]), columns)
def test_undone_at_any_magnitude(method: Scaling, column: list[float]) -> None:
    values = np.array(column)
    by = fit_scaling(values, method, clip=1e300, name="x")
    scores = scaled(values, by)
    back = invert(scores, by)
    whole = np.abs(scores) < 1e300  # what was cut at the clip cannot come back
    assert (np.abs(back - values)[whole] <= 1e-10 * np.abs(values).max() + 1e-300).all()


@given(small)
def test_power_is_undone(column: list[float]) -> None:
    values = np.array(column)
    by = fit_scaling(values, "power", clip=1e9, name="x")
    assert isinstance(by, Power)
    near = np.abs(values) <= 20 * by.before.scale  # beyond, a steep curve is too flat for 16 digits
    assert invert(scaled(values, by), by)[near] == pytest.approx(values[near], rel=1e-5, abs=1e-5 * by.before.scale)


@given(columns)
def test_power_stays_finite_and_in_order_at_any_magnitude(column: list[float]) -> None:
    values = np.sort(column)
    by = fit_scaling(values, "power", clip=10, name="x")
    scores = scaled(values, by)
    assert np.isfinite(scores).all()
    assert (np.diff(scores) >= -1e-9).all()
    assert np.isfinite(invert(scores, by)).all()


@given(columns)
def test_quantile_is_undone_between_its_outer_knots(column: list[float]) -> None:
    values = np.array(column)
    by = fit_scaling(values, "quantile", clip=10, name="x")
    low, high = np.quantile(values, (0.0025, 0.9975))
    inside = np.clip(values, low, high)
    error = np.abs(invert(scaled(inside, by), by) - inside)
    assert error.max() <= 1e-6 * np.abs(values).max() + 1e-300


@given(st.sampled_from(METHODS), columns, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(method: Scaling, column: list[float], random: object) -> None:
    shuffled = column.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = (fit_scaling(np.array(c), method, clip=10, name="x") for c in (column, shuffled))
    assert first == second


@given(st.sampled_from(METHODS), columns, numbers)
def test_no_value_gets_past_the_clip_or_becomes_missing(method: Scaling, column: list[float], new: float) -> None:
    by = fit_scaling(np.array(column), method, clip=10, name="x")
    score = scaled(np.array([new]), by)
    assert np.isfinite(score).all()
    assert method in ("none", "unit") or np.abs(score).max() <= 10


@pytest.mark.parametrize("method", METHODS)
def test_a_clipped_value_comes_back_as_the_bound(method: Scaling) -> None:
    by = fit_scaling(SKEWED, method, clip=2, name="x")
    once = invert(scaled(np.array([0.5, 1e9]), by), by)
    assert once[0] == pytest.approx(0.5, abs=0.01)
    assert scaled(once, by) == pytest.approx(scaled(np.array([0.5, 1e9]), by), abs=1e-6)


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("none", "unit", "log", "power", "quantile")])
def test_the_unit_of_a_column_does_not_matter(method: Scaling) -> None:
    assert fitted(1e-3 * SKEWED, method) == pytest.approx(fitted(SKEWED, method), abs=1e-6)


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("none", "unit", "patient", "standard", "robust")])
def test_the_state_holds_no_extreme_value(method: Scaling) -> None:
    """Changing how extreme the largest value is changes no stored bound to it."""
    state = fit_scaling(SKEWED, method, clip=10, name="x").model_dump_json()
    for extreme in (SKEWED.max(), SKEWED.min()):
        assert repr(float(extreme)) not in state


def test_maxabs_keeps_zero_and_the_sign() -> None:
    values = np.array([-4.0, 0, 1, 2] * 100)
    assert fitted(values, "maxabs").tolist() == (values / 4).tolist()


def test_maxabs_of_mostly_zeros_is_not_divided_by_zero() -> None:
    values = np.array([0.0] * 999 + [3.0])
    assert np.isfinite(fitted(values, "maxabs", clip=10)).all()


def test_log_has_mean_0_and_deviation_1_and_mirrors_what_lies_below_0() -> None:
    scores = fitted(SKEWED, "log")
    assert (scores.mean(), scores.std()) == pytest.approx((0, 1))
    raw = np.log1p(SKEWED)
    assert scores == pytest.approx((raw - raw.mean()) / raw.std())
    both = fitted(np.concatenate([SKEWED, -SKEWED]), "log")
    assert both[:400] == pytest.approx(-both[400:])


def test_power_is_yeo_and_johnsons_at_the_greatest_likelihood() -> None:
    by = fit_scaling(SKEWED, "power", clip=100, name="x")
    assert isinstance(by, Power)
    multiples = SKEWED / np.median(SKEWED)
    assert by.exponent == pytest.approx(yeojohnson_normmax(multiples), abs=1e-4)
    bent = yeojohnson(multiples, by.exponent)
    assert scaled(SKEWED, by) == pytest.approx((bent - bent.mean()) / bent.std())
    ranks = norm.ppf((np.argsort(np.argsort(SKEWED)) + 0.5) / 400)
    assert np.corrcoef(ranks, scaled(SKEWED, by))[0, 1] > 0.97 > np.corrcoef(ranks, SKEWED)[0, 1]


def test_power_of_a_column_in_another_unit_is_the_same() -> None:
    assert fitted(1e-3 * SKEWED, "power") == pytest.approx(fitted(SKEWED, "power"), abs=1e-4)


def test_a_constant_becomes_0_and_others_stay_at_their_distance() -> None:
    by = fit_scaling(np.full(10, 0.1), "standard", clip=10, name="x")
    assert by == Scale(center=0.1, scale=1, clip=10)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_gap_is_an_error_that_names_the_column(method: Scaling, wrong: float) -> None:
    with pytest.raises(MedloopError, match="column dose"):
        fit_scaling(np.array([1.0, wrong, 2.0]), method, clip=10, name="dose")


@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=8))
def test_a_row_over_its_length_has_length_1_and_can_be_undone(rows: list[tuple[float, float, float]]) -> None:
    block = np.array(rows) / 2  # the length of three times 1e300 is still a number
    units = block / row_lengths(block)
    lengths = np.linalg.norm(units, axis=1)
    normal = np.abs(block).max(axis=1) > 1e-290
    assert np.allclose(lengths[normal], 1)
    assert (units[(block == 0).all(axis=1)] == 0).all()
    slack = 1e-12 * np.abs(block).max(axis=1, keepdims=True) + 1e-300
    assert (np.abs(units * row_lengths(block) - block) <= slack).all()


def visits() -> pd.DataFrame:
    day = pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-02", "2020-01-04", "2020-01-01", "2020-01-01"])
    return pd.DataFrame({"@group": ["a", "a", "a", "a", "b", "c"], "@time": day})


def test_within_a_patient_only_the_past_counts() -> None:
    values = np.array([1.0, 2, 4, 9, 5, 7])
    center, spread = patient_units(values, visits())
    assert center.tolist() == pytest.approx([0, 7 / 3, 7 / 3, 4, 0, 0])
    assert spread.tolist() == pytest.approx([1, np.std([1, 2, 4]), np.std([1, 2, 4]), np.std([1, 2, 4, 9]), 1, 1])
    later = values.copy()
    later[3] = -1e6
    assert [u[:3].tolist() for u in patient_units(later, visits())] == [center[:3].tolist(), spread[:3].tolist()]


def test_within_a_patient_all_rows_count_where_there_is_no_time() -> None:
    center, spread = patient_units(np.array([1.0, 2, 4, 9, 5, 7]), visits().drop(columns="@time"))
    assert center.tolist() == pytest.approx([4, 4, 4, 4, 0, 0])
    assert spread.tolist() == pytest.approx([np.std([1, 2, 4, 9])] * 4 + [1, 1])


def test_a_row_without_a_time_takes_the_training_units_and_counts_for_no_other() -> None:
    samples = visits()
    samples.loc[3, "@time"] = pd.NaT
    center, spread = patient_units(np.array([1.0, 2, 4, 9, 5, 7]), samples)
    assert (center[3], spread[3]) == (0, 1)
    assert center[1] == pytest.approx(7 / 3)


def test_a_patient_whose_values_do_not_vary_takes_the_training_deviation() -> None:
    center, spread = patient_units(np.full(6, 0.1), visits())
    assert center.tolist() == pytest.approx([0, 0.1, 0.1, 0.1, 0, 0])
    assert spread.tolist() == [1] * 6


patients = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.floats(-1e300, 1e300)), min_size=2, max_size=15
)


@given(patients, st.randoms(use_true_random=False))
def test_within_patients_neither_order_nor_magnitude_matters(
    rows: list[tuple[str, int, float]], random: object
) -> None:
    table = pd.DataFrame(rows, columns=["@group", "@time", "x"])
    place = list(range(len(rows)))
    random.shuffle(place)  # type: ignore[attr-defined]
    by = fit_scaling(table["x"].to_numpy(), "patient", clip=10, name="x")
    scores = scaled_within_patient(table["x"].to_numpy(), by, table)
    shuffled = table.iloc[place].reset_index(drop=True)
    assert scores[place].tolist() == scaled_within_patient(shuffled["x"].to_numpy(), by, shuffled).tolist()
    assert np.abs(scores).max() <= 10
    standard = scaled(table["x"].to_numpy(), by)
    center, spread = patient_units(standard, table)
    bounded = np.abs(scores) < 10
    assert np.allclose((scores * spread + center)[bounded], standard[bounded], atol=1e-9)

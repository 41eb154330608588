"""A column in two units is suspected; honest groups, tails, codes and rounded answers are not."""

import numpy as np
import pytest

from pipelines.units import two_units

rng = np.random.default_rng(0)
GLUCOSE = np.exp(rng.normal(np.log(105), 0.25, 600)).round(0)
HEIGHT = np.r_[rng.normal(163, 6, 300), rng.normal(177, 7, 300)].round(1)
TEMPERATURE = rng.normal(36.9, 0.5, 600).round(1)
BIRTH_WEIGHT = rng.normal(3.4, 0.35, 600).round(2)


def mixed(values: np.ndarray, factor: float, offset: float = 0.0, rows: int = 60) -> np.ndarray:
    """`values` with the first `rows` in another unit."""
    return np.round(np.concatenate([values[:rows] * factor + offset, values[rows:]]), 2)


@pytest.mark.parametrize(
    ("values", "quantity"),
    [
        (mixed(GLUCOSE, 1 / 18.016), "glucose"),
        (mixed(GLUCOSE, 1 / 18.016, rows=12), "glucose"),
        (mixed(GLUCOSE, 1 / 38.67), "cholesterol"),
        (mixed(GLUCOSE, 88.4), "creatinine"),
        (mixed(HEIGHT, 1 / 2.54), "length"),
        (mixed(HEIGHT, 0.01), "a decimal prefix"),
        (mixed(TEMPERATURE, 1.8, 32), "temperature"),
        (mixed(BIRTH_WEIGHT, 2.2046), "weight"),
    ],
)
def test_the_rarer_unit_and_its_conversion_are_found(values: np.ndarray, quantity: str) -> None:
    found = two_units(values)
    assert found is not None
    assert quantity in {conversion.quantity for conversion in found.conversions}
    rows = 12 if not found.fewer[12] else 60
    assert found.fewer[:rows].all()
    assert not found.fewer[rows:].any()


def test_gaps_and_zeros_are_in_no_unit() -> None:
    values = mixed(GLUCOSE, 1 / 18.016)
    values[[0, 100]], values[[1, 101]] = np.nan, 0
    found = two_units(values)
    assert found is not None
    assert not found.fewer[[0, 1, 100, 101]].any()
    assert found.fewer.sum() == 58


@pytest.mark.parametrize(
    "values",
    [
        GLUCOSE,
        HEIGHT,
        TEMPERATURE,
        np.exp(rng.normal(0, 2, 5000)),
        np.r_[GLUCOSE, 5.0, 5.5],  # two typing errors
        np.r_[rng.normal(100, 5, 300), rng.normal(1400, 70, 300)],  # apart, but by no known factor
        np.r_[rng.normal(100, 5, 300), np.exp(rng.normal(np.log(1000), 0.3, 300))],  # by a factor, but unlike
        rng.choice([30.0, 60.0, 300.0, 600.0], 600),  # rounded answers
        rng.normal(0, 1, 600),
        np.array([7.0] * 600),
        np.repeat([1.0, np.nextafter(1.0, 2.0)], 300),
        np.full(600, np.nan),
        np.array([]),
    ],
)
def test_honest_columns_are_not_suspected(values: np.ndarray) -> None:
    assert two_units(values) is None


def test_what_is_told_names_units_and_factor_but_no_value() -> None:
    found = two_units(mixed(TEMPERATURE, 1.8, 32))
    assert found is not None
    assert found.told() == "°C beside °F (temperature, × 1.8 + 32)"

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.signal.vary import VARIATIONS, Variation, blend_signals, vary_signal

HOW: tuple[Variation, ...] = ("jitter", "scaling", "time_warp", "window", "shape_smote")


def series(length: int, seed: int, dtype: str = "float32") -> np.ndarray:
    rng = np.random.default_rng(seed)
    steps = np.cumsum(rng.normal(size=(length, 3)), axis=0).astype(dtype)
    steps[rng.random(steps.shape) < 0.2] = np.nan
    steps[:, 2] = np.nan
    return steps


@given(
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(0, 5),
    st.lists(st.sampled_from(HOW), max_size=3),
    st.sampled_from(["float32", "float64"]),
    st.booleans(),
)
def test_varied_copies_keep_shape_type_gaps_and_what_they_come_from(
    length: int, other: int, seed: int, how: list[Variation], dtype: str, timed: bool
) -> None:
    steps, partner = series(length, seed, dtype), series(other, seed + 1, dtype)
    moments = np.sort(np.random.default_rng(seed).uniform(0, 9, length)) if timed else None
    before = steps.copy(), partner.copy()
    varied = vary_signal(steps, moments, partner, how, np.random.default_rng(7))
    assert varied.shape == steps.shape and varied.dtype == steps.dtype and varied is not steps
    np.testing.assert_array_equal(np.isnan(varied), np.isnan(steps))
    np.testing.assert_array_equal(steps, before[0])
    np.testing.assert_array_equal(partner, before[1])
    np.testing.assert_array_equal(varied, vary_signal(steps, moments, partner, how, np.random.default_rng(7)))


@pytest.mark.parametrize("name", VARIATIONS)
def test_each_variation_changes_a_little_and_differs_by_draw(name: Variation) -> None:
    steps = np.sin(np.arange(200) / 10)[:, None]
    first, second = (vary_signal(steps, None, None, [name], np.random.default_rng(seed)) for seed in (1, 2))
    assert not np.array_equal(first, second) and not np.array_equal(first, steps)
    assert np.abs(first).max() < 1.3


def test_warping_and_windows_only_move_what_is_there() -> None:
    steps = np.linspace(0, 1, 100)[:, None]
    warped = vary_signal(steps, None, None, ["time_warp"], np.random.default_rng(0))
    assert warped[0, 0] == 0 and abs(warped[-1, 0] - 1) < 1e-9 and (np.diff(warped[:, 0]) > 0).all()
    window = vary_signal(steps, None, None, ["window"], np.random.default_rng(0))
    assert abs((window[-1, 0] - window[0, 0]) - 0.9) < 1e-9


@given(st.floats(0, 1), st.integers(-8, 8), st.integers(20, 80))
def test_blending_with_a_delayed_copy_keeps_the_peak(share: float, delay: int, peak: int) -> None:
    at = np.arange(100)
    steps, late = (np.exp(-(((at - place) / 2.0) ** 2))[:, None] for place in (peak, peak + delay))
    blended = blend_signals(steps, late, share)
    assert abs(blended.max() - 1) < 0.02
    assert abs(int(blended.argmax()) - peak) <= 1
    if abs(delay) > 3:
        assert (0.5 * steps + 0.5 * late).max() < 0.8  # what interpolation without alignment makes of it


def test_blending_goes_the_whole_way_or_none_of_it() -> None:
    steps, partner = np.arange(30.0).reshape(15, 2), 100 + np.arange(40.0).reshape(20, 2)
    np.testing.assert_array_equal(blend_signals(steps, partner, 0), steps)
    whole = blend_signals(steps, partner, 1)
    assert whole.min() >= 100 and whole.max() <= 139
    np.testing.assert_array_equal(blend_signals(steps, partner[:0], 1), steps)

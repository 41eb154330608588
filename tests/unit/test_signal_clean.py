import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.errors import MedloopError
from contracts.payloads import Payloads, ragged
from contracts.study import Column
from pipelines.signal.clean import Counted, SignalParams, clean_signals
from pipelines.signal.fill import fill_gaps

LIKE = np.empty((0, 1), dtype=np.float32)
PLAIN = Column(type="sequence")


def one(*series: object, times: list[list[float]] | None = None) -> Payloads:
    pieces = [np.array(steps, dtype=np.float32).reshape(len(steps), 1) for steps in series]
    moments = None if times is None else [np.array(at, dtype=np.float64) for at in times]
    return ragged(pieces, moments, ("x",), like=LIKE)


def clean(payloads: Payloads, column: Column = PLAIN, **params: object) -> tuple[Payloads, list[Counted], dict]:
    return clean_signals(payloads, column, SignalParams.model_validate(params), name="ecg")


def noise(length: int = 400) -> np.ndarray:
    return np.random.default_rng(0).normal(size=length)


def test_nothing_is_done_unless_asked_for() -> None:
    payloads = one(noise(), [1, 1, 1, 1, 900])
    cleaned, counted, faults = clean(payloads)
    np.testing.assert_array_equal(cleaned.values, payloads.values)
    assert counted == [] and faults == {}


def test_flat_runs_become_gaps_but_never_across_sequences() -> None:
    cleaned, counted, _ = clean(one([1, 5, 5, 5, 5, 2], [2, 2, 3]), flat=3)
    np.testing.assert_array_equal(cleaned[0][:, 0], [1, np.nan, np.nan, np.nan, np.nan, 2])
    assert cleaned[1].tolist() == [[2], [2], [3]]
    assert counted == [Counted("flat", 1, 4)]


def test_flat_counts_seconds_where_there_is_a_rate_and_moments_where_there_are_some() -> None:
    steps = [1, 5, 5, 5, 5, 2]
    assert not clean(one(steps), Column(type="sequence", rate=1), flat=4)[1]
    assert clean(one(steps), Column(type="sequence", rate=0.5), flat=4)[1] == [Counted("flat", 1, 4)]
    assert clean(one(steps, times=[[0, 1, 2, 3, 90, 91]]), flat=50)[1] == [Counted("flat", 1, 4)]


def test_a_spike_becomes_a_gap_and_a_step_or_a_coarse_digit_does_not() -> None:
    spiky = noise()
    spiky[[50, 200]] = 40, -35
    level = np.concatenate([noise(200), 50 + noise(200)])
    coarse = np.tile([3.0, 3, 3, 3, 4, 4, 4, 3, 3, 4], 40)
    cleaned, counted, _ = clean(one(spiky, level, coarse), spikes=8)
    assert np.flatnonzero(np.isnan(cleaned[0])).tolist() == [50, 200]
    assert counted == [Counted("spikes", 1, 2)]


def test_spikes_are_found_among_gaps_and_short_sequences_are_no_matter() -> None:
    spiky = noise()
    spiky[50] = 40
    spiky[10:40:2] = np.nan
    cleaned, counted, _ = clean(one(spiky, [7], []), spikes=8)
    assert counted == [Counted("spikes", 1, 1)]
    assert np.isnan(cleaned[0][50, 0]) and cleaned[1].tolist() == [[7]]


def test_a_band_keeps_its_frequencies_without_delay_and_gaps_stay() -> None:
    at = np.arange(1000) / 100
    slow, fast = np.sin(2 * np.pi * 0.1 * at), np.sin(2 * np.pi * 5 * at)
    steps = slow + fast
    steps[500:505] = np.nan
    column = Column(type="sequence", rate=100)
    high, counted, _ = clean(one(steps, [1.0, 2.0]), column, band=(1, None))
    assert np.nanmax(np.abs(high[0][:, 0] - fast)[100:450]) < 0.05
    assert np.flatnonzero(np.isnan(high[0])).tolist() == [500, 501, 502, 503, 504]
    assert counted == [Counted("band", 2, 997)]
    low = clean(one(steps), column, band=(None, 1))[0]
    assert np.nanmax(np.abs(low[0][:, 0] - slow)[100:450]) < 0.05


@pytest.mark.parametrize(
    ("payloads", "column", "told"),
    [
        (one([1, 2], times=[[0, 5]]), Column(type="sequence", rate=100), "moments of their own"),
        (one([1, 2]), PLAIN, "sampling rate"),
        (one([1, 2]), Column(type="sequence", rate=8), "half the sampling rate"),
    ],
)
def test_a_band_that_cannot_be_kept_is_an_error(payloads: Payloads, column: Column, told: str) -> None:
    with pytest.raises(MedloopError, match=told):
        clean(payloads, column, band=(1, 4))


def test_implausible_values_become_gaps_and_a_misspelt_channel_is_an_error() -> None:
    cleaned, counted, _ = clean(one([1, 300, -5]), plausible={"x": (0, 250)})
    np.testing.assert_array_equal(cleaned[0][:, 0], [1, np.nan, np.nan])
    assert counted == [Counted("plausible", 1, 2)]
    with pytest.raises(MedloopError, match="channel xx, which is none"):
        clean(one([1]), plausible={"xx": (0, 1)})


def test_long_sequences_are_cut_and_short_or_empty_ones_named() -> None:
    payloads = one([1, 2, 3, 4], [1], [np.nan, np.nan], [], times=[[0, 1, 2, 3], [0], [0, 1], []])
    cleaned, counted, faults = clean(payloads, longest=3, shortest=2)
    assert cleaned[0].tolist() == [[1], [2], [3]]
    assert cleaned.moments(0).tolist() == [0, 1, 2] and len(cleaned) == 4
    assert counted == [Counted("longest", 1, 1)]
    assert list(faults) == [1, 2, 3]
    assert faults[1] == "1 steps, 2 are the fewest" and faults[2] == "no channel has any value"


@pytest.mark.parametrize(
    "wrong", [{"band": (5, 1)}, {"band": (None, None)}, {"window": 4}, {"shortest": 9, "longest": 3}]
)
def test_settings_that_cannot_be_meant_are_errors(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SignalParams.model_validate(wrong)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.0, 1.0, 50.0, np.nan]), max_size=12), min_size=1, max_size=5))
def test_a_sequence_is_cleaned_the_same_whatever_stands_beside_it(series: list[list[float]]) -> None:
    payloads = one(*series)
    before = payloads.values.copy()
    together = clean(payloads, flat=2, spikes=3, window=5)[0]
    for at, steps in enumerate(series):
        np.testing.assert_array_equal(together[at], clean(one(steps), flat=2, spikes=3, window=5)[0][0])
    np.testing.assert_array_equal(payloads.values, before)


def test_gaps_are_filled_from_the_same_sequence() -> None:
    steps = np.array([[np.nan, 1], [2, np.nan], [np.nan, np.nan], [5, np.nan]], dtype=np.float32)
    linear = fill_gaps(steps, None, "interpolate")
    np.testing.assert_allclose(linear, [[2, 1], [2, 1], [3.5, 1], [5, 1]])
    by_time = fill_gaps(steps, np.array([0.0, 1.0, 3.0, 4.0]), "interpolate")
    np.testing.assert_allclose(by_time[2, 0], 4)
    forward = fill_gaps(steps, None, "forward", empty=np.array([7.0, 8.0]))
    np.testing.assert_allclose(forward, [[7, 1], [2, 1], [2, 1], [5, 1]])
    zero = fill_gaps(steps, None, "zero", empty=np.array([7.0, 8.0]))
    np.testing.assert_allclose(zero, [[7, 1], [2, 8], [7, 8], [5, 8]])
    assert linear.dtype == np.float32 and np.isnan(steps[0, 0])


@given(
    st.lists(st.sampled_from([np.nan, 1.0, 2.0, -3.0]), max_size=8), st.sampled_from(["interpolate", "forward", "zero"])
)
def test_no_gap_is_left_and_no_value_changed(cells: list[float], method: str) -> None:
    steps = np.array(cells, dtype=np.float32).reshape(-1, 1)
    filled = fill_gaps(steps, None, method)  # type: ignore[arg-type]
    assert not np.isnan(filled).any()
    np.testing.assert_array_equal(filled[~np.isnan(steps)], steps[~np.isnan(steps)])

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from contracts.payloads import Payloads, ragged
from pipelines.signal.features import signal_feature_names, signal_features


def figures(payloads: Payloads, at: int = 0) -> dict[str, float]:
    row = signal_features(payloads, np.array([at]))[0]
    return dict(zip(signal_feature_names(payloads), row.tolist(), strict=True))


def regular(*series: np.ndarray, channels: tuple[str, ...] = ("x", "y")) -> Payloads:
    pieces = [np.asarray(steps, dtype=np.float32) for steps in series]
    return ragged(pieces, None, channels, like=pieces[0])


def test_the_figures_of_a_channel_are_those_of_numpy() -> None:
    steps = np.random.default_rng(0).normal(3, 2, (101, 2))
    steps[[4, 50], 0] = np.nan
    known, at = steps[~np.isnan(steps[:, 0]), 0], np.flatnonzero(~np.isnan(steps[:, 0]))
    got = figures(regular(steps[:7], steps), 1)
    expected = {
        "count": 99, "mean": known.mean(), "deviation": known.std(), "first": known[0], "last": known[-1],
        "low": np.quantile(known, 0.05), "median": np.median(known), "high": np.quantile(known, 0.95),
        "slope": np.polyfit(at, known, 1)[0], "step": np.abs(np.diff(known)).mean(),
        "crossings": (np.diff(known >= known.mean())).mean(),
    }  # fmt: skip
    for name, value in expected.items():
        np.testing.assert_allclose(got[f"x {name}"], value, rtol=1e-4, atol=1e-6, err_msg=name)
    both = ~np.isnan(steps).any(axis=1)
    np.testing.assert_allclose(got["x with y"], np.corrcoef(steps[both].T)[0, 1], rtol=1e-4)
    assert got["steps"] == 101


def test_the_spectrum_tells_a_tone_from_noise() -> None:
    at = np.arange(500)
    got = figures(regular(np.stack([np.sin(2 * np.pi * 0.05 * at), np.random.default_rng(0).normal(size=500)], axis=1)))
    assert abs(got["x frequency"] - 0.05) < 0.003
    assert got["x entropy"] < 0.3 < 0.8 < got["y entropy"]
    assert got["x middling"] > 0.95 and got["y fast"] > 0.6


def test_moments_count_where_there_are_some() -> None:
    steps = np.array([[1.0], [3.0], [11.0]], dtype=np.float32)
    payloads = ragged([steps], [np.array([0.0, 1.0, 5.0])], ("x",), like=steps)
    got = figures(payloads)
    assert abs(got["x slope"] - 2) < 1e-6 and got["span"] == 5
    assert "x frequency" not in got


def test_what_cannot_be_computed_is_missing_and_constant_channels_are_no_trouble() -> None:
    constant = np.stack([np.full(20, 0.1), np.arange(20)], axis=1)
    payloads = regular(np.empty((0, 2)), constant, np.array([[np.nan, 4.0]]))
    empty, flat, single = (figures(payloads, at) for at in range(3))
    assert np.isnan(empty["x mean"]) and empty["x count"] == 0 and empty["steps"] == 0
    assert flat["x deviation"] < 1e-6 and np.isnan(flat["x frequency"]) and np.isnan(flat["x with y"])
    assert single["y last"] == 4 and np.isnan(single["y slope"]) and single["x count"] == 0


def test_a_row_without_a_sequence_has_no_figures_and_rows_may_share_one() -> None:
    payloads = regular(np.ones((9, 2)), np.arange(20).reshape(10, 2))
    rows = signal_features(payloads, np.array([1, -1, 0, 1]))
    assert np.isnan(rows[1]).all()
    np.testing.assert_array_equal(rows[0], rows[3])
    assert signal_features(payloads, np.array([-1])).shape == (1, rows.shape[1])


@given(st.permutations(range(4)))
def test_a_sequence_has_the_same_figures_whatever_stands_beside_it(order: list[int]) -> None:
    rng = np.random.default_rng(0)
    payloads = regular(*(rng.normal(size=(length, 2)) for length in (3, 0, 30, 11)))
    whole = signal_features(payloads, np.arange(4))
    np.testing.assert_allclose(signal_features(payloads, np.array(order)), whole[list(order)], rtol=1e-5, atol=1e-6)


def test_many_sparse_channels_are_fast_and_have_the_small_set() -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random((20_000, 100)) < 0.1, rng.normal(size=(20_000, 100)), np.nan).astype(np.float32)
    payloads = Payloads(
        values=values,
        offsets=np.arange(0, 20_001, 5),
        times=rng.random(20_000),
        channels=tuple(map(str, range(100))),
    )
    started = time.perf_counter()
    features = signal_features(payloads, np.arange(4_000))
    assert time.perf_counter() - started < 5
    assert features.shape == (4_000, 402)
    np.testing.assert_allclose(features[:, 0], np.isfinite(values[:, 0]).reshape(-1, 5).sum(axis=1))

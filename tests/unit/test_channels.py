import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.payloads import Payloads, ragged
from pipelines.channels import ChannelMethod, fit_channels, scale_channels, unscale_channels
from pipelines.order_statistics import quantiles, sorted_within

METHODS: tuple[ChannelMethod, ...] = ("standard", "robust", "minmax", "none")


def sequences(seed: int = 0) -> Payloads:
    rng = np.random.default_rng(seed)
    pieces = [rng.normal((5, -300), (2, 40), (length, 2)).astype(np.float32) for length in (40, 0, 7, 100)]
    pieces[0][3, 1] = np.nan
    return ragged(pieces, None, ("x", "y"), like=pieces[0])


def images() -> Payloads:
    rng = np.random.default_rng(1)
    return Payloads(values=rng.integers(0, 256, (6, 3, 5, 4), dtype=np.uint8), channels=("r", "g", "b"))


@pytest.mark.parametrize("payloads", [sequences(), images()])
def test_what_is_learnt_is_what_numpy_says_of_the_training_payloads(payloads: Payloads) -> None:
    positions = np.array([3, -1, 0])
    held = [payloads[at].astype(np.float64) for at in (0, 3)]
    flat = np.concatenate([piece if payloads.offsets is not None else piece.reshape(3, -1).T for piece in held])
    standard, robust, minmax = (fit_channels(payloads, positions, m) for m in ("standard", "robust", "minmax"))
    np.testing.assert_allclose(standard.centre, np.nanmean(flat, axis=0))
    np.testing.assert_allclose(standard.scale, np.nanstd(flat, axis=0))
    low, first, middle, third, high = np.nanquantile(flat, (0.005, 0.25, 0.5, 0.75, 0.995), axis=0)
    np.testing.assert_allclose(robust.centre, middle)
    np.testing.assert_allclose(robust.scale, third - first)
    np.testing.assert_allclose(minmax.centre, low)
    np.testing.assert_allclose(minmax.scale, high - low)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("payloads", [sequences(), images()])
def test_scaling_is_undone_by_its_inverse_and_gaps_stay(method: ChannelMethod, payloads: Payloads) -> None:
    positions = np.arange(len(payloads))
    scale = fit_channels(payloads, positions, method)
    scaled = scale_channels(scale, payloads, positions)
    assert scaled.values.dtype == np.float32
    np.testing.assert_allclose(unscale_channels(scale, scaled).values, payloads.values, rtol=1e-4, atol=1e-3)


@given(st.permutations(range(4)), st.sampled_from(METHODS))
def test_neither_the_order_of_rows_nor_that_of_payloads_matters(order: list[int], method: ChannelMethod) -> None:
    payloads = sequences()
    fitted = fit_channels(payloads, np.arange(4), method)
    assert fit_channels(payloads, np.array(order), method) == fitted
    assert fit_channels(payloads.take(np.array(order)), np.arange(4), method) == fitted


def test_only_the_payloads_of_training_rows_are_seen() -> None:
    payloads = sequences()
    fitted = [fit_channels(payloads, np.array([0, 2]), method) for method in METHODS]
    payloads.values[payloads.offsets[3] :] = 1e9
    assert [fit_channels(payloads, np.array([0, 2]), method) for method in METHODS] == fitted


@pytest.mark.parametrize("method", [*METHODS, "recording"])
def test_a_constant_or_empty_channel_is_only_moved(method: ChannelMethod) -> None:
    steps = np.array([[0.1, np.nan]] * 7, dtype=np.float32)
    payloads = ragged([steps], None, ("x", "y"), like=steps)
    scale = fit_channels(payloads, np.array([0]), method)
    assert scale.scale == (1.0, 1.0)
    scaled = scale_channels(scale, payloads, np.array([0])).values
    assert np.isnan(scaled[:, 1]).all()
    assert np.allclose(scaled[:, 0], 0.1 if method == "none" else 0)


def test_rows_without_a_payload_are_zeros_or_nothing() -> None:
    for payloads in (images(), sequences()):
        scale = fit_channels(payloads, np.array([0]), "standard")
        scaled = scale_channels(scale, payloads, np.array([-1, 0]))
        assert len(scaled) == 2 and not scaled[0].any()
    assert scaled[0].shape == (0, 2)


@pytest.mark.parametrize("payloads", [sequences(), images()])
def test_a_recording_is_scaled_by_itself_alone(payloads: Payloads) -> None:
    scale = fit_channels(payloads, np.array([0, 3]), "recording")
    scaled = scale_channels(scale, payloads, np.array([3]))[0]
    by_channel = scaled if payloads.offsets is not None else scaled.reshape(3, -1).T
    np.testing.assert_allclose(by_channel.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(by_channel.std(axis=0), 1, atol=1e-5)
    with pytest.raises(ValueError, match="not kept"):
        unscale_channels(scale, payloads)


def test_a_small_spread_far_from_zero_is_kept() -> None:
    steps = (1e6 + np.arange(64).reshape(-1, 1)).astype(np.float32)
    payloads = ragged([steps], None, ("x",), like=steps)
    np.testing.assert_allclose(fit_channels(payloads, np.array([0]), "standard").scale, np.arange(64).std())


@given(st.lists(st.floats(width=32, min_value=-(2.0**99), max_value=2.0**99), min_size=1))
def test_quantiles_are_exact_however_the_values_are_cut(values: list[float]) -> None:
    whole = np.array(values, dtype=np.float32)
    shares = (0.0, 0.005, 0.3, 0.5, 1.0)
    found = quantiles(lambda: np.array_split(whole, 3), shares)
    ordered = np.sort(whole).astype(np.float64)
    np.testing.assert_allclose(found, np.quantile(ordered, shares), rtol=1e-6, atol=1e-30)
    owners = np.arange(len(whole)) // 3
    expected = np.concatenate([np.sort(whole[owners == owner]) for owner in np.unique(owners)])
    np.testing.assert_array_equal(sorted_within(whole, owners), expected)

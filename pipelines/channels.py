"""The channels of images and sequences brought to alike size; what is learnt, is learnt on training rows."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contracts.payloads import Allocate, Payloads
from contracts.study import Frozen
from pipelines.order_statistics import Blocks, quantiles

ChannelMethod = Literal["standard", "robust", "minmax", "recording", "none"]
Array = NDArray[np.float64]

_BATCH = 1 << 20  # values of one channel looked at at a time
_CONSTANT = 1e-9  # deviations in means, below which a channel is constant but for rounding


class ChannelScale(Frozen):
    """(x - centre) / scale, a number for each channel; "recording" takes each payload's own mean and deviation.

    standard: mean and deviation. robust: median and distance of the quartiles. minmax: what 0.5 % are below becomes 0,
    what 0.5 % are above becomes 1. A channel of one value is only moved.
    """

    method: ChannelMethod
    centre: tuple[float, ...]
    scale: tuple[float, ...]


def fit_channels(payloads: Payloads, positions: NDArray[np.int64], method: ChannelMethod) -> ChannelScale:
    """What `method` learns from the payloads at these positions (-1: none), the same in whatever order they come.

    Gaps (NaN) count for nothing. Exact, in memory that does not grow with the payloads.
    """
    count = len(payloads.channels) or payloads.values.shape[1]
    if method in ("none", "recording"):
        return ChannelScale(method=method, centre=(0.0,) * count, scale=(1.0,) * count)
    wanted = np.sort(positions[positions >= 0])
    if method == "standard":
        centre, scale = _moments(payloads, wanted, count)
    else:
        centre, scale = _ranks(payloads, wanted, count, method)
    return ChannelScale(method=method, centre=tuple(centre), scale=tuple(scale))


def scale_channels(
    scale: ChannelScale, payloads: Payloads, positions: NDArray[np.int64], allocate: Allocate = np.zeros
) -> Payloads:
    """The payloads at these positions, in this order, scaled to float32; at -1 zeros, or nothing where lengths differ.

    Gaps stay NaN. Values that are too large for float32 become its largest.
    """
    taken = payloads.take(positions) if payloads.offsets is not None else None
    shape = (len(positions), *payloads.values.shape[1:]) if taken is None else taken.values.shape
    values = allocate(shape, np.float32)
    if taken is not None:
        for start, end, piece in _pieces(taken):
            values[start:end] = _scaled(scale, piece.T.astype(np.float64)).T
        return replace(taken, values=values)
    for place, position in enumerate(positions.tolist()):
        if position >= 0:
            image = payloads.values[position]
            values[place] = _scaled(scale, image.reshape(len(image), -1).astype(np.float64)).reshape(image.shape)
    return replace(payloads, values=values)


def unscale_channels(scale: ChannelScale, payloads: Payloads) -> Payloads:
    """The payloads in float64 that `scale_channels` made these of.

    Raises ValueError for "recording", since what each payload was scaled by is not kept.
    """
    if scale.method == "recording":
        raise ValueError("what recordings were scaled by is not kept")
    shape = (-1,) + (1,) * (payloads.values.ndim - 2)
    factor, shift = np.array(scale.scale).reshape(shape), np.array(scale.centre).reshape(shape)
    return replace(payloads, values=payloads.values.astype(np.float64) * factor + shift)


def _pieces(payloads: Payloads) -> Iterator[tuple[int, int, NDArray[Any]]]:
    assert payloads.offsets is not None
    for start, end in zip(payloads.offsets[:-1].tolist(), payloads.offsets[1:].tolist(), strict=True):
        if end > start:
            yield start, end, payloads.values[start:end]


def _scaled(scale: ChannelScale, block: Array) -> NDArray[np.float32]:
    """(C, n) values of one payload, scaled."""
    centre, spread = np.array(scale.centre)[:, None], np.array(scale.scale)[:, None]
    if scale.method == "recording":
        known = ~np.isnan(block)
        count = np.maximum(known.sum(axis=1), 1)
        mean = np.where(known, block, 0).sum(axis=1) / count
        deviation = np.sqrt((np.where(known, block - mean[:, None], 0) ** 2).sum(axis=1) / count)
        centre, spread = mean[:, None], np.where(deviation > _CONSTANT * np.abs(mean), deviation, 1.0)[:, None]
    largest = float(np.finfo(np.float32).max)
    scaled: NDArray[np.float32] = np.clip((block - centre) / spread, -largest, largest).astype(np.float32)
    return scaled


def _block(payloads: Payloads, position: int) -> Array:
    """(C, n) the values of one payload."""
    piece = payloads[position].astype(np.float64)
    return piece.T if payloads.offsets is not None else piece.reshape(len(piece), -1)


def _sums(payloads: Payloads, positions: NDArray[np.int64], count: int, of: Callable[[Array], Array]) -> list[float]:
    """By channel the sum of what `of` makes of each payload (C, n) -> (C,), rounded once, so in any order the same."""
    sums = [of(_block(payloads, position)) for position in positions.tolist()]
    return [math.fsum(column) for column in np.array(sums).reshape(-1, count).T]


def _moments(payloads: Payloads, positions: NDArray[np.int64], count: int) -> tuple[list[float], list[float]]:
    known = np.array(_sums(payloads, positions, count, lambda block: (~np.isnan(block)).sum(axis=1).astype(np.float64)))
    totals = np.array(_sums(payloads, positions, count, lambda block: np.nansum(block, axis=1)))
    means = totals / np.maximum(known, 1)
    squares = _sums(payloads, positions, count, lambda block: np.nansum((block - means[:, None]) ** 2, axis=1))
    deviations = np.sqrt(np.array(squares) / np.maximum(known, 1))
    return means.tolist(), np.where(deviations > _CONSTANT * np.abs(means), deviations, 1.0).tolist()


def _ranks(
    payloads: Payloads, positions: NDArray[np.int64], count: int, method: ChannelMethod
) -> tuple[list[float], list[float]]:
    low, middle, high = (0.005, 0.5, 0.995) if method == "minmax" else (0.25, 0.5, 0.75)
    found = [quantiles(_blocks(payloads, positions, channel), (low, middle, high)) for channel in range(count)]
    centre = [first if method == "minmax" else median for first, median, _ in found]
    if any(third == first for first, _, third in found):
        spreads = _moments(payloads, positions, count)[1]
    else:
        spreads = [1.0] * count
    return centre, [third - first or spread for (first, _, third), spread in zip(found, spreads, strict=True)]


def _blocks(payloads: Payloads, positions: NDArray[np.int64], channel: int) -> Blocks:
    """What gives the known values of one channel, a batch at a time, as often as asked."""
    often = np.bincount(positions, minlength=len(payloads))
    if payloads.offsets is not None:
        often = np.repeat(often, np.diff(payloads.offsets))
    size = max(1, _BATCH // max(1, math.prod(payloads.values.shape[2:])))

    def blocks() -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(often), size):
            end = start + size
            values = np.repeat(payloads.values[start:end, channel], often[start:end], axis=0).astype(np.float32)
            yield values[~np.isnan(values)]

    return blocks

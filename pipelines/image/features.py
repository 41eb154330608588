"""A few numbers that sum up a picture, so that any table model and baseline runs on any study."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.payloads import Payloads
from pipelines.image.likeness import areas

BINS = 8
BATCH = 64


def image_feature_names(payloads: Payloads, *, cells: int) -> list[str]:
    """The names of the F features, without the column's: of each channel `cell_row_column`, `mean`, `std`, `bin_1` …"""
    of_channel = [f"cell_{row + 1}_{column + 1}" for row in range(cells) for column in range(cells)]
    of_channel += ["mean", "std", *(f"bin_{place + 1}" for place in range(BINS))]
    channels = _channels(payloads)
    return of_channel if len(channels) == 1 else [f"{channel}_{name}" for channel in channels for name in of_channel]


def image_features(payloads: Payloads, positions: NDArray[np.int64], *, cells: int) -> NDArray[np.float32]:
    """By channel the means over a grid of cells x cells, mean, deviation, and the shares of pixels in 8 equal bins.

    All from 0 to 1: intensities as a share of what the type can hold. A picture at -1, a missing one, is NaN.

    Shape:
        positions: (N,)
        result: (N, F), F = C * (cells * cells + 10)
    """
    values = payloads.values
    wide = values.shape[1] * (cells * cells + 2 + BINS)
    features = np.full((len(positions), wide), np.nan, dtype=np.float32)
    seen = np.flatnonzero(positions >= 0)
    for start in range(0, len(seen), BATCH):
        batch = seen[start : start + BATCH]
        features[batch] = _of(_shares(values[positions[batch]]), cells).reshape(len(batch), -1)
    return features


def _of(shares: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    """(N, C, H, W) to (N, C, cells * cells + 10)."""
    count, channels, height, width = shares.shape
    grid = areas(height, cells) @ shares @ areas(width, cells).T
    flat = shares.reshape(count, channels, -1)
    bins = np.minimum((flat * BINS).astype(np.int64), BINS - 1)
    place = bins + BINS * np.arange(count * channels).reshape(count, channels, 1)
    histogram = np.bincount(place.ravel(), minlength=count * channels * BINS) / (height * width)
    parts = [
        grid.reshape(count, channels, -1),
        flat.mean(axis=2, keepdims=True),
        flat.std(axis=2, keepdims=True),
        histogram.reshape(count, channels, BINS),
    ]
    return np.concatenate(parts, axis=2).astype(np.float32)


def _shares(values: NDArray[Any]) -> NDArray[np.float32]:
    """Intensities from 0 to 1; floating point is taken as such already."""
    if values.dtype.kind != "u":
        return values.astype(np.float32).clip(0, 1)
    return values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max)


def _channels(payloads: Payloads) -> tuple[str, ...]:
    return payloads.channels or tuple(f"c{channel}" for channel in range(payloads.values.shape[1]))

"""Varied copies of pictures, for training rows of a rare class."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Variation = Callable[[Image, Image, np.random.Generator], Image]

ROTATION = 10.0  # degrees either way
SHIFT = 0.05  # of height and width, either way
ZOOM = (0.9, 1.1)
NOISE = 0.02  # deviation, of the range
INTENSITY = 0.2  # gain and gamma, either way


def vary_image(
    image: NDArray[Any], partner: NDArray[Any], how: Sequence[str], rng: np.random.Generator
) -> NDArray[Any]:
    """A copy of `image` to which the variations named by `how` (of VARIATIONS) are done, in that order.

    `partner` is another picture of the same class and shape, which only `mixup` and `cutmix` look at; both stay as
    they are. Whole numbers are varied as shares of what their type holds, and rounded and clipped to it.

    Shape:
        image, partner, result: (C, H, W), of one type
    """
    whole = image.dtype.kind == "u"
    most = np.iinfo(image.dtype).max if whole else 1
    varied: Image = image.astype(np.float32) / np.float32(most)
    other: Image = partner.astype(np.float32) / np.float32(most)
    for name in how:
        varied = VARIATIONS[name](varied, other, rng)
    return np.rint(varied.clip(0, 1) * most).astype(image.dtype) if whole else varied.astype(image.dtype)


def _flip(image: Image, _: Image, rng: np.random.Generator) -> Image:
    """Left to right, every second time."""
    return image[:, :, ::-1] if rng.random() < 0.5 else image


def _affine(image: Image, _: Image, rng: np.random.Generator) -> Image:
    """Turned, shifted and zoomed about the middle; black comes in at the edges."""
    from scipy.ndimage import affine_transform

    angle = np.deg2rad(rng.uniform(-ROTATION, ROTATION))
    size = np.array(image.shape[1:])
    shift = rng.uniform(-SHIFT, SHIFT, size=2) * size
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / rng.uniform(*ZOOM)
    middle = (size - 1) / 2
    offset = middle - turn @ (middle + shift)
    return np.stack([affine_transform(channel, turn, offset, order=1) for channel in image])


def _noise(image: Image, _: Image, rng: np.random.Generator) -> Image:
    """Gaussian, each pixel and channel apart."""
    return image + NOISE * rng.standard_normal(image.shape, dtype=np.float32)


def _intensity(image: Image, _: Image, rng: np.random.Generator) -> Image:
    """Gain and gamma; black stays black."""
    gain, gamma = rng.uniform(1 - INTENSITY, 1 + INTENSITY, size=2).astype(np.float32)
    brighter: Image = gain * image.clip(0) ** gamma
    return brighter


def _mixup(image: Image, partner: Image, rng: np.random.Generator) -> Image:
    """A mean of the two with a weight from Beta(0.4, 0.4), the picture's own being the larger (Zhang et al. 2018)."""
    weight = np.float32(rng.beta(0.4, 0.4))
    weight = max(weight, 1 - weight)
    mixed: Image = weight * image + (1 - weight) * partner
    return mixed


def _cutmix(image: Image, partner: Image, rng: np.random.Generator) -> Image:
    """A box of at most half the area comes from the other picture (Yun et al. 2019)."""
    side = np.sqrt(min(share := rng.uniform(), 1 - share))
    size = np.array(image.shape[1:])
    middle = rng.uniform(size=2) * size
    top, left = np.rint((middle - side * size / 2).clip(0)).astype(int)
    bottom, right = np.rint(np.minimum(middle + side * size / 2, size)).astype(int)
    cut = image.copy()
    cut[:, top:bottom, left:right] = partner[:, top:bottom, left:right]
    return cut


VARIATIONS: dict[str, Variation] = {
    "flip": _flip,
    "affine": _affine,
    "noise": _noise,
    "intensity": _intensity,
    "mixup": _mixup,
    "cutmix": _cutmix,
}

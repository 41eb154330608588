"""Training rows altered a little at random, as they come, so that a network learns what does not count.

A survey of what helps is Shorten & Khoshgoftaar, Image data augmentation for deep learning (J. Big Data 2019), for
signals Um et al., Data augmentation of wearable sensor data (ICMI 2017). All draws come from torch's random numbers,
which the loop seeds by step, and all work is done on the device that the batch lies on.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from contracts.examples import Form
from models.batches import Batch

SHIFT = 0.1  # of height and width, either way
ROTATION = 15.0  # degrees, either way
ZOOM = 0.15  # either way, as are those below
GAIN = 0.2
LEVEL = 0.2  # deviations of the channel
NOISE = 0.1  # deviations of the channel


def augmented(batch: Batch, forms: Mapping[str, Form], names: Sequence[str]) -> Batch:
    """The batch with its images and sequences altered; names: of `models.params.AUGMENTATIONS`.

    - flip: images, left to right, every second one.
    - shift: images, moved; edges reach outwards.
    - affine: images, turned about the middle and zoomed.
    - intensity: images brighter or darker and of more or less contrast; each channel of sequences by a gain.
    - noise: Gaussian, at each pixel, each step's channel.

    A missing image, steps beyond a sequence's end and the time between steps stay as they are.
    """
    if not names:
        return batch
    altered = dict(batch)
    for name, form in forms.items():
        if form.kind == "image":
            present = batch[f"present/{name}"].view(-1, 1, 1, 1)
            altered[f"image/{name}"] = torch.where(present, _images(batch[f"image/{name}"], names), 0.0)
        elif form.kind == "sequence":
            altered[f"sequence/{name}"] = _sequences(
                batch[f"sequence/{name}"], batch[f"length/{name}"], len(form.channels), names
            )
    return altered


def _images(pixels: Tensor, names: Sequence[str]) -> Tensor:
    """Shape: (B, C, H, W) -> (B, C, H, W)."""
    row = (len(pixels), 1, 1, 1)
    if "flip" in names:
        pixels = torch.where(_even(pixels, row) < 0, pixels.flip(3), pixels)
    if "shift" in names or "affine" in names:
        pixels = _placed(pixels, names)
    if "intensity" in names:
        pixels = pixels * (1 + GAIN * _even(pixels, row)) + LEVEL * _even(pixels, row)
    return pixels + NOISE * torch.randn_like(pixels) if "noise" in names else pixels


def _sequences(steps: Tensor, length: Tensor, channels: int, names: Sequence[str]) -> Tensor:
    """Shape: steps (B, T, C), of which the first `channels` are values, length (B,) -> (B, T, C)."""
    values, rest = steps[..., :channels], steps[..., channels:]
    if "intensity" in names:
        values = values * (1 + GAIN * _even(values, (len(values), 1, channels)))
    if "noise" in names:
        inside = torch.arange(values.shape[1], device=values.device) < length[:, None]
        values = values + NOISE * torch.randn_like(values) * inside[..., None]
    return torch.cat([values, rest], dim=2)


def _placed(pixels: Tensor, names: Sequence[str]) -> Tensor:
    """Shifted, turned and zoomed in one resampling, by linear interpolation. Shape: (B, C, H, W) -> (B, C, H, W)."""
    rows, _, height, width = pixels.shape
    down, right = SHIFT * ("shift" in names) * _even(pixels, (2, rows, 1, 1))
    angle, zoom = ("affine" in names) * _even(pixels, (2, rows, 1, 1))
    angle, zoom = math.radians(ROTATION) * angle, 1 + ZOOM * zoom
    y = (torch.arange(height, device=pixels.device) + 0.5 - height / 2).view(-1, 1)
    x = (torch.arange(width, device=pixels.device) + 0.5 - width / 2).view(1, -1)
    from_x = (x * angle.cos() - y * angle.sin()) / zoom / (width / 2) + 2 * right
    from_y = (x * angle.sin() + y * angle.cos()) / zoom / (height / 2) + 2 * down
    grid = torch.stack([from_x, from_y], dim=3)
    return functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def _even(like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Draws from -1 to 1, all equally likely."""
    return 2 * torch.rand(shape, device=like.device) - 1

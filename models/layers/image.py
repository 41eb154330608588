"""What embeds an image."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from contracts.examples import Form

Design = Literal["plain", "residual"]

CELLS = 4  # a side, of the grid that the plain design's last maps are averaged in
SIDE = 64  # pixels, that the residual design's first block takes less than; larger pictures are halved before it


class Images(nn.Module):
    """One column of images; a row without one has zeros. Shape: (B, C, H, W), present (B,) -> (B, width).

    design: plain, 3×3 convolutions, each followed by max pooling, and the place in the picture kept to the end
        (LeCun et al. 1998); or residual, a stage of two basic blocks for each of `filters`, and the mean over the
        picture (He et al., Deep residual learning for image recognition, CVPR 2016)
    filters: of each block or stage
    dropout: share of the dense layer's units dropped in training
    """

    def __init__(self, form: Form, *, design: Design, filters: Sequence[int], width: int, dropout: float) -> None:
        super().__init__()
        self.dim_out = width
        body, features = {"plain": _plain, "residual": _residual}[design](form, filters)
        self.body = nn.Sequential(*body, nn.Flatten())
        self.dense = nn.Sequential(nn.Linear(features, width), nn.ReLU(), nn.Dropout(dropout))

    @property
    def maps(self) -> nn.Module:
        """What gives the last maps of the picture, (B, D, h, w), before they are averaged."""
        return self.body[-3]

    def forward(self, pixels: Tensor, present: Tensor) -> Tensor:
        """Shape: (B, C, H, W), (B,) -> (B, width)."""
        # Channels last: a convolution on a processor takes two thirds of the time.
        embedded = self.dense(self.body(pixels.contiguous(memory_format=torch.channels_last)))
        return torch.where(present[:, None], embedded, 0.0)


class Residual(nn.Module):
    """The basic block, `relu(x + f(x))`; where it halves or widens, x goes through a 1×1 convolution.

    Group normalisation (Wu & He, ECCV 2018) for batch normalisation: it keeps no running state.

    Shape: (B, C, H, W) -> (B, D, ⌈H / stride⌉, ⌈W / stride⌉).
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_convolved(before, after, stride=stride), nn.ReLU(), *_convolved(after, after))
        same = before == after and stride == 1
        self.short = nn.Identity() if same else nn.Sequential(*_convolved(before, after, size=1, stride=stride))

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (B, C, H, W) -> (B, D, ⌈H / stride⌉, ⌈W / stride⌉)."""
        return torch.relu(self.short(x) + self.body(x))


def _plain(form: Form, filters: Sequence[int]) -> tuple[list[nn.Module], int]:
    """The layers and how many features they end with."""
    layers: list[nn.Module] = []
    for before, after in pairwise([form.width, *filters]):
        convolution, norm = nn.Conv2d(before, after, 3, padding=1), nn.GroupNorm(math.gcd(8, after), after)
        # Pooled before it is normalised: a step takes 0.6 of the time.
        layers += [convolution, nn.MaxPool2d(2, ceil_mode=True), norm, nn.ReLU()]
    sides = [math.ceil(side / 2 ** len(filters)) for side in form.size]
    cell = [math.ceil(side / CELLS) for side in sides]
    cells = [math.ceil(side / by) for side, by in zip(sides, cell, strict=True)]
    # No adaptive pooling: on a GPU its gradient is not the same each time, and ONNX has none.
    return [*layers, nn.AvgPool2d((cell[0], cell[1]), ceil_mode=True)], filters[-1] * cells[0] * cells[1]


def _residual(form: Form, filters: Sequence[int]) -> tuple[list[nn.Module], int]:
    """The layers and how many features they end with. The stem is one of 3×3 convolutions (He et al., CVPR 2019)."""
    halvings = max(0, math.floor(math.log2(max(form.size) / SIDE)) + 1)
    layers: list[nn.Module] = []
    for before, stride in [(form.width, 1)] if not halvings else [(form.width, 2), *[(filters[0], 2)] * (halvings - 1)]:
        layers += [*_convolved(before, filters[0], stride=stride), nn.ReLU()]
    for stage, (before, after) in enumerate(pairwise([filters[0], *filters])):
        layers += [Residual(before, after, stride=2 if stage else 1), Residual(after, after, stride=1)]
    return [*layers, nn.AdaptiveAvgPool2d(1)], filters[-1]


def _convolved(before: int, after: int, *, size: int = 3, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, size, stride=stride, padding=size // 2, bias=False)
    return [convolution, nn.GroupNorm(math.gcd(8, after), after)]

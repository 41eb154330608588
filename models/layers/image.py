"""What embeds an image."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from contracts.examples import Form


class Images(nn.Module):
    """One column of images. Shape: (B, C, H, W) -> (B, width)."""

    def __init__(self, form: Form, *, filters: Sequence[int], width: int, dropout: float) -> None:
        super().__init__()
        channels = [form.width, *filters]
        blocks: list[nn.Module] = []
        for before, after in pairwise(channels):
            norm = nn.GroupNorm(min(8, after), after)
            blocks += [nn.Conv2d(before, after, 3, padding=1), norm, nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
        self.body = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.dense = nn.Sequential(nn.Linear(16 * channels[-1], width), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, pixels: Tensor) -> Tensor:
        """Shape: (B, C, H, W) -> (B, width)."""
        # Channels last: a convolution on a processor takes two thirds of the time.
        y: Tensor = self.dense(self.body(pixels.contiguous(memory_format=torch.channels_last)))
        return y

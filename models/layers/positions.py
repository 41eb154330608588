"""Where a token stands in its column."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

Positioning = Literal["sinusoidal", "learnt", "none"]

SCALE = 0.02  # of a token's first embedding: small, so that what is never trained says little


class Positions(nn.Module):
    """What is added to the tokens of one column by their place in it.

    kind: sinusoidal, sines and cosines of lengths from 2π to 20,000π (Vaswani et al., NeurIPS 2017); learnt, a vector
        a place (Gehring et al., ICML 2017); none, so that the tokens are a set
    most: the places there are

    Shape: (B, T, D) -> (B, T, D), T at most `most`.
    """

    def __init__(self, kind: Positioning, *, most: int, width: int) -> None:
        super().__init__()
        self.kind: Positioning = kind
        if kind == "learnt":
            self.learnt = nn.Parameter(torch.randn(most, width) * SCALE)

    def forward(self, tokens: Tensor) -> Tensor:
        """Shape: (B, T, D) -> (B, T, D)."""
        if self.kind == "none":
            return tokens
        length, width = tokens.shape[1:]
        return tokens + (self.learnt[:length] if self.kind == "learnt" else _waves(length, width, tokens.device))


def _waves(length: int, width: int, device: torch.device) -> Tensor:
    """Shape: (T, D)."""
    place = torch.arange(length, device=device)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10_000) / width))
    waves = torch.stack([torch.sin(place * rate), torch.cos(place * rate)], dim=2).flatten(1)
    return SCALE * math.sqrt(2) * waves[:, :width]

"""What joins the embeddings of several columns into one."""

from typing import Literal

import torch
from torch import Tensor, nn

from models.layers.attention import Block, visible
from models.layers.positions import SCALE

Way = Literal["concatenate", "gate", "attention"]


class Concatenate(nn.Module):
    """All embeddings side by side, each column's place its own; what is not there is a learnt vector.

    Shape: x (B, M, D), there (B, M) bool -> (B, M·D).
    """

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        self.dim_out = columns * width
        self.absent = nn.Parameter(torch.randn(columns, width) * SCALE)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """Shape: (B, M, D), (B, M) -> (B, M·D)."""
        return torch.where(there[..., None], x, self.absent).flatten(1)


class Gate(nn.Module):
    """Their mean, weighed by gates that all embeddings decide on together, of those that are there.

    After Arevalo et al., Gated multimodal units for information fusion (ICLR workshop 2017).

    Shape: x (B, M, D), there (B, M) bool -> (B, D).
    """

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        self.dim_out = width
        self.columns = nn.Parameter(torch.randn(columns, width) * SCALE)
        self.score = nn.Linear(columns * width, columns)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """Shape: (B, M, D), (B, M) -> (B, D)."""
        known = x * there[..., None]
        scores = self.score(known.flatten(1)).masked_fill(~there, torch.finfo(x.dtype).min)
        gates = scores.softmax(dim=1) * there
        y: Tensor = (gates[..., None] * (known + self.columns)).sum(dim=1)
        return y


class Attention(nn.Module):
    """A query of its own that attends to the embeddings that are there, and they to one another.

    Shape: x (B, M, D), there (B, M) bool -> (B, D).
    """

    def __init__(self, columns: int, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.dim_out = width
        self.columns = nn.Parameter(torch.randn(columns, width) * SCALE)
        self.query = nn.Parameter(torch.randn(width) * SCALE)
        self.block = Block(width, heads=heads, feed_forward=2 * width, dropout=dropout)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """Shape: (B, M, D), (B, M) -> (B, D)."""
        x = torch.cat([self.query.expand(len(x), 1, -1), x + self.columns], dim=1)
        keep = torch.cat([torch.ones_like(there[:, :1]), there], dim=1)
        y: Tensor = self.block(x, visible(keep))[:, 0]
        return y


def thinned(there: Tensor, share: float) -> Tensor:
    """Which columns stay when each goes at random with this chance; a row that would lose all keeps what it has.

    Neverova et al., ModDrop: adaptive multi-modal gesture recognition (IEEE TPAMI 2016). Shape: (B, M) -> (B, M).
    """
    left = there & (torch.rand(there.shape, device=there.device) >= share)
    return torch.where(left.any(dim=1, keepdim=True), left, there)

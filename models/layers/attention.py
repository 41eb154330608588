"""Self-attention, alone and in a block: Vaswani et al., Attention is all you need (NeurIPS 2017)."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


def visible(keep: Tensor, *, causal: bool = False) -> Tensor:
    """Which tokens (last axis) each token sees: those kept, with `causal` none after it, and always itself.

    So a row without a token to keep has no empty softmax, which would be NaN.

    Shape: keep (B, T) bool -> (B, 1, T, T) bool.
    """
    length = keep.shape[1]
    every = torch.ones(length, length, dtype=torch.bool, device=keep.device)
    itself = torch.eye(length, dtype=torch.bool, device=keep.device)
    return keep[:, None, None] & (every.tril() if causal else every) | itself


class SelfAttention(nn.Module):
    """Multi-head self-attention, by a fused kernel (flash, memory-efficient) where torch has one for the hardware.

    None of its weights is dropped in training: that takes the slow way on a processor, three times as long. Tokens that
    `mask` leaves out at random do the same.

    Shape: x (B, T, D), mask (B, 1, T, T) bool, True where seen -> (B, T, D).
    """

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Shape: x (B, T, D), mask (B, 1, T, T) -> (B, T, D)."""
        query, key, value = self.project(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        y: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return y

    def weights(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """What the fused kernel weighs by and does not tell, as the mean over the heads.

        Shape: x (B, T, D), mask (B, 1, T, T) -> (B, T, T), rows sum to 1.
        """
        query, key, _ = self.project(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        y: Tensor = scores.softmax(dim=3).mean(dim=1)
        return y


class Block(nn.Module):
    """Attention, then a feed-forward layer, each normalising what it is given and adding to it.

    Normalised first, as Xiong et al., On layer normalization in the transformer architecture (ICML 2020), so that it
    trains without warming up.

    feed_forward: its hidden units; 0 leaves the attention alone

    Shape: x (B, T, D), mask (B, 1, T, T) bool, True where seen -> (B, T, D).
    """

    def __init__(self, width: int, *, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads=heads)
        self.drop = nn.Dropout(dropout)
        self.feed_forward = _feed_forward(width, feed_forward, dropout) if feed_forward else None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Shape: x (B, T, D), mask (B, 1, T, T) -> (B, T, D)."""
        x = x + self.drop(self.attention(self.norm(x), mask))
        return x if self.feed_forward is None else x + self.feed_forward(x)


def _feed_forward(width: int, hidden: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, hidden),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, width),
        nn.Dropout(dropout),
    )

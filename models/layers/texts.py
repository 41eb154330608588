"""What embeds a text."""

from torch import Tensor, nn

from contracts.examples import Form
from models.layers.attention import Block, visible
from models.layers.series import mean_and_max
from models.layers.tokens import TextTokens


class Texts(nn.Module):
    """One column of texts by self-attention over its words, then their mean and maximum.

    A text without a word gives what the dense layer makes of zeros. Shape: (B, L) int64, length (B,) -> (B, width).
    """

    def __init__(self, form: Form, *, width: int, heads: int, layers: int, longest: int, dropout: float) -> None:
        super().__init__()
        self.dim_out = width
        self.tokens = TextTokens(form, width=width, longest=longest, positions="sinusoidal")
        self.blocks = nn.ModuleList(
            Block(width, heads=heads, feed_forward=2 * width, dropout=dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.dense = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, text: Tensor, length: Tensor) -> Tensor:
        """Shape: (B, L), (B,) -> (B, width)."""
        words, keep = self.tokens(text, length)
        mask = visible(keep)
        for block in self.blocks:
            words = block(words, mask)
        y: Tensor = self.dense(mean_and_max(self.norm(words), keep.sum(dim=1)))
        return y

"""What embeds a table's numbers."""

from torch import Tensor, nn


class Block(nn.Module):
    """`x + f(x)`, f normalising, widening nothing. Shape: (B, D) -> (B, D)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (B, D) -> (B, D)."""
        y: Tensor = x + self.body(x)
        return y


class Numbers(nn.Module):
    """Pre-normalised residual blocks on all features at once. Shape: (B, F) -> (B, width)."""

    def __init__(self, features: int, *, width: int, blocks: int, dropout: float, input_dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Dropout(input_dropout),
            nn.Linear(features, width),
            *(Block(width, dropout) for _ in range(blocks)),
            nn.LayerNorm(width),
            nn.ReLU(),
            nn.Dropout(dropout),
        )

    def forward(self, table: Tensor) -> Tensor:
        """Shape: (B, F) -> (B, width)."""
        y: Tensor = self.body(table)
        return y

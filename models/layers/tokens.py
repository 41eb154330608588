"""What makes tokens of one column, for attention: of a text, a sequence, an image, or of a table's columns.

Each gives the tokens and which of them to keep; the others pad, and stand for no payload where there is none.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from contracts.examples import Form
from models.layers.positions import SCALE, Positioning, Positions


class TextTokens(nn.Module):
    """A token a word, by its number in the vocabulary; of texts longer than `longest` the beginning is kept.

    Shape: (B, L) int64, length (B,) -> (B, T, D), (B, T) bool, T the smaller of L and `longest`.
    """

    def __init__(self, form: Form, *, width: int, longest: int, positions: Positioning) -> None:
        super().__init__()
        self.most = min(longest, form.longest)
        self.words = nn.Embedding(form.vocabulary, width)
        nn.init.normal_(self.words.weight, std=SCALE)
        self.column = nn.Parameter(torch.zeros(width))
        self.positions = Positions(positions, most=self.most, width=width)

    def forward(self, text: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Shape: (B, L), (B,) -> (B, T, D), (B, T)."""
        text = text[:, : self.most]
        keep = torch.arange(text.shape[1], device=text.device) < length[:, None]
        return self.positions(self.words(text) + self.column), keep


class SequenceTokens(nn.Module):
    """A token a step, by a linear map; of sequences longer than `longest` the end is kept.

    Shape: (B, L, C), length (B,) -> (B, T, D), (B, T) bool, T the smaller of L and `longest`.
    """

    def __init__(self, form: Form, *, width: int, longest: int, positions: Positioning) -> None:
        super().__init__()
        self.most = min(longest, form.longest)
        self.steps = nn.Linear(form.width, width)
        self.positions = Positions(positions, most=self.most, width=width)

    def forward(self, steps: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Shape: (B, L, C), (B,) -> (B, T, D), (B, T)."""
        place = torch.arange(min(steps.shape[1], self.most), device=steps.device)
        first = (length - self.most).clamp(min=0)
        last = torch.take_along_dim(steps, (first[:, None] + place)[..., None], dim=1)
        return self.positions(self.steps(last)), place < length[:, None]


class ImageTokens(nn.Module):
    """A token a square patch, by a linear map: Dosovitskiy et al., An image is worth 16×16 words (ICLR 2021).

    patches: along the image's longer side; beyond its edges there are zeros

    Shape: (B, C, H, W), present (B,) bool -> (B, T, D), (B, T) bool.
    """

    def __init__(self, form: Form, *, width: int, patches: int, positions: Positioning) -> None:
        super().__init__()
        self.side = -(-max(form.size) // patches)
        self.patches = nn.Conv2d(form.width, width, self.side, stride=self.side)
        down, across = (-(-pixels // self.side) for pixels in form.size)
        self.positions = Positions(positions, most=down * across, width=width)

    def forward(self, pixels: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Shape: (B, C, H, W), (B,) -> (B, T, D), (B, T)."""
        down, across = (-pixels.shape[axis] % self.side for axis in (2, 3))
        tokens = self.patches(pad(pixels, (0, across, 0, down))).flatten(2).transpose(1, 2)
        return self.positions(tokens), present[:, None].expand(-1, tokens.shape[1])


class TableTokens(nn.Module):
    """A token a column of the study: Gorishniy et al., Revisiting deep learning models for tabular data (NeurIPS 2021).

    A number scales a vector of its column's own, a level is one, and what several features tell of one column adds up.

    sources: the column that each of the F features tells of

    Shape: (B, F) -> (B, T, D), T the columns there are.
    """

    def __init__(self, sources: Sequence[str], *, width: int) -> None:
        super().__init__()
        place = {source: number for number, source in enumerate(dict.fromkeys(sources))}
        self.places = [place[source] for source in sources]
        self.features = nn.Parameter(torch.randn(len(sources), width) * SCALE)
        self.columns = nn.Parameter(torch.randn(len(place), width) * SCALE)

    def forward(self, table: Tensor) -> Tensor:
        """Shape: (B, F) -> (B, T, D)."""
        places = torch.tensor(self.places, device=table.device)
        columns = self.columns.expand(len(table), -1, -1)
        return columns.index_add(1, places, table[..., None] * self.features)

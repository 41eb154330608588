"""What embeds a sequence by convolutions, and what every layer over sequences shares.

Steps lie as (B, T, C), rows of unequal lengths beside their `length` (B,). No layer here lets the steps beyond a row's
own change what it makes of the row; a row of length 0 is embedded as a constant.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from contracts.examples import Form


def inside(steps: Tensor, length: Tensor) -> Tensor:
    """Which steps are a row's own. Shape: (B, T, C), (B,) -> (B, T) bool."""
    return torch.arange(steps.shape[1], device=length.device) < length[:, None]


def framed(steps: Tensor, length: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Every `size` steps as one, their numbers side by side, and the new lengths; the last is filled up by zeros.

    Stacked frames as in Sak et al., Fast and accurate recurrent neural network acoustic models (Interspeech 2015).

    Shape: (B, T, C), (B,) -> (B, ceil(T / size), size * C), (B,).
    """
    padded = functional.pad(steps, (0, 0, 0, -steps.shape[1] % size))
    return padded.reshape(len(steps), -1, size * steps.shape[2]), (length + size - 1) // size


def frame_size(form: Form, resolution: int) -> int:
    """How many steps make one, so that a common sequence has no more than `resolution` of them."""
    return max(1, -(-form.longest // resolution))


def mean_and_max(steps: Tensor, length: Tensor) -> Tensor:
    """Of each row's own steps; zeros for a row without any. Shape: (B, T, C), (B,) -> (B, 2 * C)."""
    own = inside(steps, length)[..., None]
    mean = (steps * own).sum(dim=1) / length.clamp(min=1)[:, None]
    most = steps.masked_fill(~own, torch.finfo(steps.dtype).min).amax(dim=1)
    return torch.cat([mean, most.masked_fill(length[:, None] == 0, 0.0)], dim=1)


def over_own(convolution: nn.Module, steps: Tensor, length: Tensor) -> Tensor:
    """A convolution that sees zeros beyond a row's own steps. Shape: (B, T, C), (B,) -> (B, T', C')."""
    seen = steps * inside(steps, length)[..., None]
    made: Tensor = convolution(seen.transpose(1, 2)).transpose(1, 2)
    return made


class Block(nn.Module):
    """Two convolutions beside a shortcut; halves the steps. Shape: (B, T, C), (B,) -> (B, ceil(T / 2), C'), (B,).

    He et al., Identity mappings in deep residual networks (ECCV 2016), with layer normalisation over the channels of
    each step (Ba et al. 2016), which neither mixes rows nor steps.
    """

    def __init__(self, before: int, after: int, *, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(before), nn.LayerNorm(after)])
        self.first = nn.Conv1d(before, after, kernel, stride=2, padding=kernel // 2)
        self.second = nn.Conv1d(after, after, kernel, padding=kernel // 2)
        self.shortcut = nn.Conv1d(before, after, 1, stride=2, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, steps: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Shape: (B, T, C), (B,) -> (B, ceil(T / 2), C'), (B,)."""
        half = (length + 1) // 2
        made = over_own(self.first, self.norms[0](steps).relu(), length)
        made = over_own(self.second, self.dropout(self.norms[1](made).relu()), half)
        return over_own(self.shortcut, steps, length) + made, half


class Convolutions(nn.Module):
    """Residual blocks over the steps of one column; without filters the steps, framed.

    Shape: (B, T, C), (B,) -> (B, T', dim_out), (B,).
    """

    def __init__(self, form: Form, *, filters: Sequence[int], kernel: int, dropout: float, resolution: int) -> None:
        super().__init__()
        self.size = frame_size(form, resolution)
        channels = [*filters[:1], *filters]
        self.dim_out = [self.size * form.width, *filters][-1]
        self.stem = nn.ModuleList(
            nn.Conv1d(self.size * form.width, first, kernel, padding=kernel // 2) for first in filters[:1]
        )
        self.blocks = nn.ModuleList(
            Block(before, after, kernel=kernel, dropout=dropout) for before, after in pairwise(channels)
        )
        self.norm = nn.Sequential(nn.LayerNorm(self.dim_out), nn.ReLU()) if filters else nn.Identity()

    def forward(self, steps: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Shape: (B, T, C), (B,) -> (B, T', dim_out), (B,)."""
        steps, length = framed(steps, length, self.size)
        for convolution in self.stem:
            steps = over_own(convolution, steps, length)
        for block in self.blocks:
            steps, length = block(steps, length)
        return self.norm(steps), length


class Signals(nn.Module):
    """One column of sequences by convolutions, then mean and maximum. Shape: (B, T, C), (B,) -> (B, width)."""

    def __init__(
        self, form: Form, *, filters: Sequence[int], kernel: int, width: int, dropout: float, resolution: int
    ) -> None:
        super().__init__()
        self.body = Convolutions(form, filters=filters, kernel=kernel, dropout=dropout, resolution=resolution)
        self.dim_out = width
        self.dense = nn.Sequential(nn.Linear(2 * self.body.dim_out, width), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, steps: Tensor, length: Tensor) -> Tensor:
        """Shape: (B, T, C), (B,) -> (B, width)."""
        y: Tensor = self.dense(mean_and_max(*self.body(steps, length)))
        return y

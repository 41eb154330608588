"""What restores a row's columns from few numbers, and how far from the row that is.

An error is the mean of squared differences, in the units that the column is scaled to, over the cells, pixels or own
steps of a row; without a payload it is 0.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from contracts.examples import Form
from models.layers.numbers import Numbers
from models.layers.positions import Positions
from models.layers.recurrent import Recurrent
from models.layers.series import frame_size, framed, inside

SIDE = 64  # pixels, that a picture is restored at most: no few numbers hold finer details
FRAMES = 64  # that a common sequence is restored in at most


class Code(nn.Module):
    """The few numbers that a row is restored from.

    variational: they are drawn, in training, from a normal distribution of mean and variance by row, which is held near
        the standard one (Kingma & Welling, Auto-encoding variational Bayes, ICLR 2014); else they are its mean

    Shape: (B, D) -> (B, width), and the divergence from the standard normal, in nats a number, (B,).
    """

    def __init__(self, dim_in: int, *, width: int, variational: bool) -> None:
        super().__init__()
        self.mean = nn.Linear(dim_in, width)
        self.log_variance = nn.Linear(dim_in, width) if variational else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Shape: (B, D) -> (B, width), (B,)."""
        mean = self.mean(x)
        if self.log_variance is None:
            return mean, torch.zeros_like(mean[:, 0])
        log_variance = self.log_variance(x)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).mean(dim=1) / 2
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        return mean + noise * (log_variance / 2).exp(), divergence


class TableDecoder(nn.Module):
    """A table's cells. Shape: code (B, K), table (B, F) -> (B,)."""

    def __init__(self, features: int, *, code: int, width: int) -> None:
        super().__init__()
        body = Numbers(code, width=width, blocks=0, dropout=0.0, input_dropout=0.0)
        self.body = nn.Sequential(body, nn.Linear(width, features))

    def forward(self, code: Tensor, table: Tensor) -> Tensor:
        """Shape: (B, K), (B, F) -> (B,)."""
        error: Tensor = (self.body(code) - table).square().mean(dim=1)
        return error


class ImageDecoder(nn.Module):
    """A picture's pixels, by convolutions that double each side. Shape: code (B, K), (B, C, H, W), (B,) -> (B,).

    filters: of the encoder's blocks, here from the last to the first
    """

    def __init__(self, form: Form, *, code: int, filters: Sequence[int]) -> None:
        super().__init__()
        self.coarse = math.ceil(max(form.size) / SIDE)
        sides = [math.ceil(side / self.coarse) for side in form.size]
        shape = [math.ceil(side / 2 ** len(filters)) for side in sides]
        layers: list[nn.Module] = [
            nn.Linear(code, filters[-1] * math.prod(shape)),
            nn.Unflatten(1, (filters[-1], *shape)),
        ]
        for before, after in pairwise([*reversed(filters), form.width]):
            norm = nn.GroupNorm(math.gcd(8, before), before)
            # Pieces that do not overlap: nothing is summed in an order of its own, and no checkerboard comes about.
            layers += [norm, nn.ReLU(), nn.ConvTranspose2d(before, after, 2, stride=2)]
        self.body = nn.Sequential(*layers)

    def forward(self, code: Tensor, pixels: Tensor, present: Tensor) -> Tensor:
        """Shape: (B, K), (B, C, H, W), (B,) -> (B,)."""
        coarse = functional.avg_pool2d(pixels, self.coarse, ceil_mode=True) if self.coarse > 1 else pixels
        restored = self.body(code)[..., : coarse.shape[2], : coarse.shape[3]]
        error: Tensor = (restored - coarse).square().mean(dim=(1, 2, 3)) * present
        return error


class SequenceDecoder(nn.Module):
    """A sequence's steps, by a recurrent layer that is shown the code at each of them, and the place.

    After Srivastava et al., Unsupervised learning of video representations using LSTMs (ICML 2015).

    Shape: code (B, K), steps (B, T, C), length (B,) -> (B,).
    """

    def __init__(self, form: Form, *, code: int, width: int) -> None:
        super().__init__()
        self.size = frame_size(form, FRAMES)
        self.first = nn.Linear(code, width)
        self.positions = Positions("sinusoidal", most=FRAMES, width=width)
        self.body = Recurrent(width, cell="gru", width=width, layers=1, bidirectional=False, dropout=0.0)
        self.last = nn.Linear(width, self.size * form.width)

    def forward(self, code: Tensor, steps: Tensor, length: Tensor) -> Tensor:
        """Shape: (B, K), (B, T, C), (B,) -> (B,)."""
        frames, own = framed(steps * inside(steps, length)[..., None], length, self.size)
        shown = self.positions(self.first(code)[:, None].expand(-1, frames.shape[1], -1))
        squares = (self.last(self.body(shown, own)) - frames).square().unflatten(2, (self.size, -1)).flatten(1, 2)
        of_steps = squares[:, : steps.shape[1]].mean(dim=2) * inside(steps, length)
        error: Tensor = of_steps.sum(dim=1) / length.clamp(min=1)
        return error

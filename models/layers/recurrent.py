"""What embeds a sequence by recurrent layers."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from contracts.examples import Form
from models.layers.series import Convolutions, inside

Cell = Literal["rnn", "lstm", "gru"]
Pool = Literal["attention", "last"]
CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def backwards(steps: Tensor, length: Tensor) -> Tensor:
    """Each row's own steps in reverse, those beyond where they were. Shape: (B, T, C), (B,) -> (B, T, C)."""
    place = torch.arange(steps.shape[1], device=length.device).expand(len(length), -1)
    place = torch.where(inside(steps, length), length[:, None] - 1 - place, place)
    return steps.gather(1, place[..., None].expand_as(steps))


class Recurrent(nn.Module):
    """Stacked layers of one cell: Elman's (Cognitive Science 1990), the LSTM (Hochreiter & Schmidhuber, Neural
    Computation 1997) or the GRU (Cho et al., EMNLP 2014), also in both directions (Schuster & Paliwal, IEEE
    Transactions on Signal Processing 1997).

    A state knows the steps up to its own, so what pads a row's end cannot reach it; the second direction reads the
    row's own steps reversed. That equals packed sequences and takes a tenth of their time on a processor.

    Shape: (B, T, C), (B,) -> (B, T, dim_out), where states beyond a row's own steps mean nothing.
    """

    def __init__(
        self, dim_in: int, *, cell: Cell, width: int, layers: int, bidirectional: bool, dropout: float
    ) -> None:
        super().__init__()
        directions = 2 if bidirectional else 1
        self.dim_out, self.width = directions * width, width
        dims = [dim_in, *[self.dim_out] * (layers - 1)]
        self.onward = nn.ModuleList(CELLS[cell](dim, width, batch_first=True) for dim in dims)
        self.reverse = nn.ModuleList(CELLS[cell](dim, width, batch_first=True) for dim in dims if bidirectional)
        self.dropout = nn.Dropout(dropout)

    def forward(self, steps: Tensor, length: Tensor) -> Tensor:
        """Shape: (B, T, C), (B,) -> (B, T, dim_out)."""
        for depth, onward in enumerate(self.onward):
            states = [onward(steps)[0]]
            for reverse in self.reverse[depth : depth + 1]:
                states.append(backwards(reverse(backwards(steps, length))[0], length))
            steps = self.dropout(torch.cat(states, dim=2))
        return steps

    def last(self, states: Tensor, length: Tensor) -> Tensor:
        """What each direction knows at its end; zeros for a row without steps. Shape: (B, T, D), (B,) -> (B, D)."""
        place = (length - 1).clamp(min=0)[:, None, None].expand(-1, 1, self.width)
        ends = [states[..., : self.width].gather(1, place)[:, 0], states[:, 0, self.width :]]
        return torch.cat(ends, dim=1) * (length > 0)[:, None]


class Attention(nn.Module):
    """The mean of each row's own steps, weighed by what a step itself says: additive attention as in Bahdanau et al.,
    Neural machine translation by jointly learning to align and translate (ICLR 2015), with a learnt query as in Yang
    et al., Hierarchical attention networks (NAACL 2016).

    Shape: (B, T, D), (B,) -> (B, D); zeros for a row without steps.
    """

    def __init__(self, dim_in: int, *, width: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(dim_in, width), nn.Tanh(), nn.Linear(width, 1, bias=False))

    def weights(self, states: Tensor, length: Tensor) -> Tensor:
        """Of a row's own steps, summing to 1; 0 beyond them. Shape: (B, T, D), (B,) -> (B, T)."""
        own = inside(states, length)
        scores = self.score(states)[..., 0].masked_fill(~own, torch.finfo(states.dtype).min)
        weights: Tensor = scores.softmax(dim=1) * own
        return weights

    def forward(self, states: Tensor, length: Tensor) -> Tensor:
        """Shape: (B, T, D), (B,) -> (B, D)."""
        y: Tensor = (self.weights(states, length)[..., None] * states).sum(dim=1)
        return y


class Sequences(nn.Module):
    """One column of sequences: convolutions where there are filters, recurrent layers, then one state.

    Shape: (B, T, C), (B,) -> (B, dim_out).
    """

    def __init__(
        self,
        form: Form,
        *,
        cell: Cell,
        width: int,
        layers: int,
        bidirectional: bool,
        pool: Pool,
        dropout: float,
        resolution: int,
        filters: Sequence[int] = (),
        kernel: int = 1,
    ) -> None:
        super().__init__()
        self.body = Convolutions(form, filters=filters, kernel=kernel, dropout=dropout, resolution=resolution)
        self.recurrent = Recurrent(
            self.body.dim_out, cell=cell, width=width, layers=layers, bidirectional=bidirectional, dropout=dropout
        )
        self.dim_out = self.recurrent.dim_out
        self.pool = Attention(self.dim_out, width=width) if pool == "attention" else self.recurrent.last

    def forward(self, steps: Tensor, length: Tensor) -> Tensor:
        """Shape: (B, T, C), (B,) -> (B, dim_out)."""
        steps, length = self.body(steps, length)
        y: Tensor = self.pool(self.recurrent(steps, length), length)
        return y

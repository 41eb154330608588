"""An encoder for each column of pictures, sequences and texts and one for the table, joined into one embedding.

A row that lacks a kind is scored by what it has: columns are left out at random in training (Neverova et al., ModDrop:
adaptive multi-modal gesture recognition, IEEE TPAMI 2016).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from contracts.examples import Form, Inputs, Kind
from models.batches import Batch
from models.layers.columns import Columns
from models.layers.image import Images
from models.layers.joining import Attention, Concatenate, Gate, Way, thinned
from models.layers.numbers import Numbers
from models.layers.recurrent import Sequences
from models.layers.texts import Texts

READS: tuple[Kind, ...] = ("table", "image", "sequence", "text")
HEADS = 4


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults suit some thousand rows: small, and strongly regularised.

    join: concatenate; gate, a mean weighed by what all columns say; or attention, a query that attends to them
    width: numbers that a column is embedded in, a multiple of 4
    filters: of the blocks of convolutions over a picture, of which each halves it
    layers: of self-attention over a text's words
    longest: words of a text that are read, from its beginning
    resolution: steps that a sequence has at most; of longer ones several neighbouring steps become one
    dropout: share of hidden units dropped in training
    column_dropout: the chance that a training row lacks a column (the table being one), so that no one is leant on
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    join: Way = "concatenate"
    width: int = 64
    filters: tuple[int, ...] = (16, 32, 64)
    layers: int = 1
    longest: int = 512
    resolution: int = 256
    dropout: float = 0.3
    column_dropout: float = 0.2

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.longest, self.resolution, *self.filters) < 1 or self.width % HEADS:
            raise ValueError("width is a multiple of 4; layers, longest, resolution and filters are 1 or more")
        if not self.filters:
            raise ValueError("filters names one at least")
        if not (0 <= self.dropout < 1 and 0 <= self.column_dropout < 1):
            raise ValueError(f"dropout lies in [0, 1); got {self.dropout} and {self.column_dropout}")


class Encoder(nn.Module):
    """Embeds a row of every kind; the table without the features that only sum up payloads.

    Shape: as `models.batches` -> (B, dim_out).
    """

    def __init__(self, inputs: Inputs, config: Config) -> None:
        super().__init__()
        self.own, self.column_dropout = inputs.own, config.column_dropout
        self.payloads = Columns(inputs.payloads, [_column(form, config) for form in inputs.payloads.values()])
        self.present = [f"present/{name}" for name in inputs.payloads]
        self.table = _table(len(self.own), config) if self.own else None
        columns = len(self.present) + (self.table is not None)
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(columns))
        self.join = _joined(columns, config)
        self.dim_out = self.join.dim_out

    def forward(self, batch: Batch) -> Tensor:
        """Shape: as `models.batches` -> (B, dim_out)."""
        parts, there = self.payloads.each(batch), [batch[key] for key in self.present]
        if self.table is not None:
            parts.append(self.table(batch["table"][:, self.own]))
            there.append(torch.ones(len(parts[-1]), dtype=torch.bool, device=parts[-1].device))
        known = torch.stack(there, dim=1)
        if self.training:
            known = thinned(known, self.column_dropout)
        x = torch.stack([norm(part) for norm, part in zip(self.norms, parts, strict=True)], dim=1)
        y: Tensor = self.join(x, known)
        return y


def _table(features: int, config: Config) -> Numbers:
    # No feature is dropped: the whole table is, at times.
    return Numbers(features, width=config.width, blocks=1, dropout=config.dropout, input_dropout=0.0)


def _column(form: Form, config: Config) -> Images | Sequences | Texts:
    width, dropout = config.width, config.dropout
    if form.kind == "image":
        return Images(form, design="residual", filters=config.filters, width=width, dropout=dropout)
    if form.kind == "text":
        return Texts(form, width=width, heads=HEADS, layers=config.layers, longest=config.longest, dropout=dropout)
    return Sequences(
        form,
        cell="gru",
        width=width // 2,
        layers=1,
        bidirectional=True,
        pool="attention",
        dropout=dropout,
        resolution=config.resolution,
    )


def _joined(columns: int, config: Config) -> Concatenate | Gate | Attention:
    if config.join == "attention":
        return Attention(columns, config.width, heads=HEADS, dropout=config.dropout)
    return (Gate if config.join == "gate" else Concatenate)(columns, config.width)

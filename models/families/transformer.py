"""A transformer encoder over one sequence of tokens from every column that there is.

Vaswani et al., Attention is all you need (NeurIPS 2017); a text's words, a sequence's steps, an image's patches and a
table's columns are tokens alike (`models/layers/tokens.py` names the papers), each with an embedding of its column. One
sequence, and not an encoder a column: a value is read in the light of the others from the first layer on, with one set
of weights for some thousand rows to learn, and a column that a row lacks has no tokens, which attention passes over.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from contracts.errors import MedloopError
from contracts.examples import Form, Inputs, Kind
from models.batches import Batch, keys
from models.layers.attention import Block, visible
from models.layers.positions import SCALE, Positioning
from models.layers.tokens import ImageTokens, SequenceTokens, TableTokens, TextTokens

READS: tuple[Kind, ...] = ("table", "image", "sequence", "text")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults suit some thousand rows: small, and strongly regularised.

    width: numbers of a token, a multiple of `heads`
    heads: of the attention, each over its own share of `width`
    layers: blocks of attention and feed-forward layer
    feed_forward: hidden units of the latter; 0 leaves self-attention alone
    positions: sinusoidal; learnt; none
    causal: let a token see none after it; columns follow in the study's order
    longest: words of a text and steps of a sequence that are read, from its beginning and up to its end; beyond what
        99 of 100 training rows have, none are
    patches: along an image's longer side
    recurrent: what reads the attention's context in the tokens' order: none, gru, lstm
    dropout: share of hidden units and of each layer's outputs dropped in training
    token_dropout: share of the tokens that a row lacks in training, so that no one word or column is leant on
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    width: int = 64
    heads: int = 4
    layers: int = 2
    feed_forward: int = 128
    positions: Positioning = "sinusoidal"
    causal: bool = False
    longest: int = 512
    patches: int = 8
    recurrent: Literal["none", "gru", "lstm"] = "none"
    dropout: float = 0.2
    token_dropout: float = 0.2

    def __post_init__(self) -> None:
        if min(self.width, self.heads, self.layers, self.longest, self.patches) < 1 or self.feed_forward < 0:
            raise ValueError("width, heads, layers, longest and patches are 1 or more, feed_forward 0 or more")
        if self.width % self.heads:
            raise ValueError(f"width is a multiple of heads; got {self.width} and {self.heads}")
        if not (0 <= self.dropout < 1 and 0 <= self.token_dropout < 1):
            raise ValueError(f"dropout lies in [0, 1); got {self.dropout} and {self.token_dropout}")


class Encoder(nn.Module):
    """Embeds a row of every kind. A last token of its own, [CLS], sees all others and is there in every row.

    Shape: as `models.batches` -> (B, dim_out).
    """

    def __init__(self, inputs: Inputs, config: Config) -> None:
        super().__init__()
        self.dim_out, self.causal, self.token_dropout = config.width, config.causal, config.token_dropout
        self.tokens = Tokens(inputs, config)
        self.cls = nn.Parameter(torch.randn(config.width) * SCALE)
        self.blocks = nn.ModuleList(
            Block(config.width, heads=config.heads, feed_forward=config.feed_forward, dropout=config.dropout)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.recurrent = None if config.recurrent == "none" else Recurrent(config.recurrent, config.width)

    def forward(self, batch: Batch) -> Tensor:
        """Shape: as `models.batches` -> (B, dim_out)."""
        tokens, keep = self.tokens(batch)
        if self.training:
            keep = keep & (torch.rand(keep.shape, device=keep.device) >= self.token_dropout)
        x = torch.cat([tokens, self.cls.expand(len(tokens), 1, -1)], dim=1)
        keep = torch.cat([keep, torch.ones_like(keep[:, :1])], dim=1)
        mask = visible(keep, causal=self.causal)
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x)
        y: Tensor = x[:, -1] if self.recurrent is None else self.recurrent(x, keep)
        return y

    def columns_of_tokens(self, batch: Batch) -> list[str]:
        """The column that each token tells of, [CLS] left out. Shape: as `models.batches` -> T - 1."""
        return self.tokens.columns(batch)


class Tagger(nn.Module):
    """A state for each word of a text, of the first `longest`.

    A convolution tells a word its neighbours, as in Gulati et al., Conformer (Interspeech 2020): which word stands just
    before is what tags go by most, and positions that are added to words tell attention of it only after many texts.

    Shape: batch["text/COLUMN"] (B, L) -> (B, T, dim_out).
    """

    def __init__(self, inputs: Inputs, config: Config) -> None:
        super().__init__()
        if config.recurrent != "none":
            raise MedloopError(
                "recurrent reads all words into one state, and tagging tells of each",
                mend="recurrent: none, or model rnn",
            )
        ((_, form),) = inputs.of_kind("text").items()
        ((self.text, self.length),) = keys(inputs.of_kind("text"))
        self.dim_out, self.causal, self.token_dropout = config.width, config.causal, config.token_dropout
        self.tokens = TextTokens(form, width=config.width, longest=config.longest, positions=config.positions)
        self.blocks = nn.ModuleList(
            Block(config.width, heads=config.heads, feed_forward=config.feed_forward, dropout=config.dropout)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.beside = nn.Conv1d(config.width, config.width, 3)

    def forward(self, batch: Batch) -> Tensor:
        """Shape: as `models.batches` -> (B, T, dim_out)."""
        x, keep = self.tokens(batch[self.text], batch[self.length])
        around = pad((x * keep[..., None]).transpose(1, 2), (2, 0) if self.causal else (1, 1))
        x = x + self.beside(around).transpose(1, 2)
        if self.training:
            keep = keep & (torch.rand(keep.shape, device=keep.device) >= self.token_dropout)
        mask = visible(keep, causal=self.causal)
        for block in self.blocks:
            x = block(x, mask)
        y: Tensor = self.norm(x)
        return y


class Tokens(nn.Module):
    """The tokens of every column in one sequence: the table's, then each payload's.

    Columns of the table that only sum up payloads are left out, since these are read themselves.

    Shape: as `models.batches` -> (B, T, D), (B, T) bool, which of them to keep.
    """

    def __init__(self, inputs: Inputs, config: Config) -> None:
        super().__init__()
        self.own, all_sources = inputs.own, inputs.sources or inputs.columns
        self.sources, self.names = [all_sources[place] for place in self.own], list(inputs.payloads)
        self.table = TableTokens(self.sources, width=config.width) if self.own else None
        self.payloads = nn.ModuleList(_tokens(form, config) for form in inputs.payloads.values())
        self.keys = keys(inputs.payloads)

    def each(self, batch: Batch) -> list[tuple[Tensor, Tensor]]:
        """Those of each column of payloads. Shape: as `models.batches` -> (B, T, D), (B, T) each."""
        return [of(batch[payload], batch[there]) for of, (payload, there) in zip(self.payloads, self.keys, strict=True)]

    def columns(self, batch: Batch) -> list[str]:
        """The column that each token tells of. Shape: as `models.batches` -> T."""
        lengths = [tokens.shape[1] for tokens, _ in self.each(batch)]
        of_payloads = [[name] * length for name, length in zip(self.names, lengths, strict=True)]
        return [*dict.fromkeys(self.sources), *(name for names in of_payloads for name in names)]

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Shape: as `models.batches` -> (B, T, D), (B, T)."""
        parts = self.each(batch)
        if self.table is not None:
            table = self.table(batch["table"][:, self.own])
            parts = [(table, torch.ones_like(table[..., 0], dtype=torch.bool)), *parts]
        tokens, keep = zip(*parts, strict=True)
        return torch.cat(tokens, dim=1), torch.cat(keep, dim=1)


def _tokens(form: Form, config: Config) -> nn.Module:
    if form.kind == "image":
        return ImageTokens(form, width=config.width, patches=config.patches, positions=config.positions)
    made = TextTokens if form.kind == "text" else SequenceTokens
    return made(form, width=config.width, longest=config.longest, positions=config.positions)


class Recurrent(nn.Module):
    """A recurrent layer over the tokens that are kept, in their order; its state after the last of them.

    Shape: x (B, T, D), keep (B, T) bool -> (B, D).
    """

    def __init__(self, kind: Literal["gru", "lstm"], width: int) -> None:
        super().__init__()
        self.layer = (nn.GRU if kind == "gru" else nn.LSTM)(width, width, batch_first=True)

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        """Shape: x (B, T, D), keep (B, T) -> (B, D)."""
        # The kept ones first: what follows them cannot change the state after them.
        order = torch.argsort((~keep).int(), dim=1, stable=True)
        states, _ = self.layer(torch.take_along_dim(x, order[..., None], dim=1))
        last = keep.sum(dim=1) - 1
        return torch.take_along_dim(states, last[:, None, None], dim=1)[:, 0]

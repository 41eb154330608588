"""A recurrent network for sequences: vanilla, LSTM or GRU, stacked, in one direction or both.

It tags the words of texts by the same layers over their embeddings: Huang, Xu & Yu, Bidirectional LSTM-CRF models for
sequence tagging (2015), without the CRF.
"""

from dataclasses import asdict, dataclass

from torch import Tensor, nn

from contracts.examples import Inputs, Kind
from models.batches import Batch, keys
from models.layers.columns import Columns
from models.layers.recurrent import Cell, Pool, Recurrent, Sequences

READS: tuple[Kind, ...] = ("sequence",)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults suit some thousand rows of some hundred steps, such as visits.

    cell: rnn (vanilla), lstm or gru
    width: units of a layer, in each direction
    layers: one on the other
    bidirectional: whether a second layer reads the steps from the end
    pool: what stands for a row: attention, its states weighed; or last, the state after the last step; words that are
        tagged stand for themselves
    dropout: share of each layer's units dropped in training
    resolution: steps that a sequence has at most; of longer ones several neighbouring steps become one; texts are read
        word by word, whatever their length
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    cell: Cell = "lstm"
    width: int = 64
    layers: int = 1
    bidirectional: bool = True
    pool: Pool = "attention"
    dropout: float = 0.3
    resolution: int = 256

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.resolution) < 1:
            raise ValueError("width, layers and resolution are 1 or more")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout lies in [0, 1); got {self.dropout}")


class Encoder(Columns):
    """Embeds every column of sequences. Shape: batch["sequence/COLUMN"] (B, T, C) -> (B, dim_out)."""

    def __init__(self, inputs: Inputs, config: Config) -> None:
        forms = inputs.of_kind("sequence")
        super().__init__(forms, [Sequences(form, **asdict(config)) for form in forms.values()])


class Tagger(nn.Module):
    """A state for each word of a text. Shape: batch["text/COLUMN"] (B, T) -> (B, T, dim_out)."""

    def __init__(self, inputs: Inputs, config: Config) -> None:
        super().__init__()
        ((_, form),) = inputs.of_kind("text").items()
        ((self.text, self.length),) = keys(inputs.of_kind("text"))
        self.words = nn.Embedding(form.vocabulary, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.recurrent = Recurrent(
            config.width,
            cell=config.cell,
            width=config.width,
            layers=config.layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
        )
        self.dim_out = self.recurrent.dim_out

    def forward(self, batch: Batch) -> Tensor:
        """Shape: as `models.batches` -> (B, T, dim_out)."""
        y: Tensor = self.recurrent(self.dropout(self.words(batch[self.text])), batch[self.length])
        return y

"""A recurrent network for sequences: vanilla, LSTM or GRU, stacked, in one direction or both."""

from dataclasses import asdict, dataclass

from contracts.examples import Inputs, Kind
from models.layers.columns import Columns
from models.layers.recurrent import Cell, Pool, Sequences

READS: tuple[Kind, ...] = ("sequence",)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults suit some thousand rows of some hundred steps, such as visits.

    cell: rnn (vanilla), lstm or gru
    width: units of a layer, in each direction
    layers: one on the other
    bidirectional: whether a second layer reads the steps from the end
    pool: what stands for a row: attention, its states weighed; or last, the state after the last step
    dropout: share of each layer's units dropped in training
    resolution: steps that a sequence has at most; of longer ones several neighbouring steps become one
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

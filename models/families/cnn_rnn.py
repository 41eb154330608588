"""Convolutions that find patterns of a signal, and a recurrent layer that reads their order.

After Ordóñez & Roggen, Deep convolutional and LSTM recurrent neural networks for multimodal wearable activity
recognition (Sensors 2016).
"""

from dataclasses import asdict, dataclass

from contracts.examples import Inputs, Kind
from models.layers.columns import Columns
from models.layers.recurrent import Cell, Pool, Sequences

READS: tuple[Kind, ...] = ("sequence",)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults suit some hundred to some thousand recordings of up to some thousand steps.

    filters: of each residual block, of which each halves the steps
    kernel: steps that a convolution sees, an odd number
    cell: of the recurrent layers: rnn (vanilla), lstm or gru
    width: units of a recurrent layer, in each direction
    layers: recurrent ones, one on the other
    bidirectional: whether a second layer reads the steps from the end
    pool: what stands for a row: attention, its states weighed; or last, the state after the last step
    dropout: share of units dropped in training
    resolution: steps that a sequence has at most; of longer ones several neighbouring steps become one at once
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    filters: tuple[int, ...] = (32, 64)
    kernel: int = 7
    cell: Cell = "lstm"
    width: int = 64
    layers: int = 1
    bidirectional: bool = True
    pool: Pool = "attention"
    dropout: float = 0.3
    resolution: int = 512

    def __post_init__(self) -> None:
        if not self.filters or min(*self.filters, self.width, self.layers, self.resolution) < 1:
            raise ValueError("filters, width, layers and resolution are 1 or more, and there is one filter at least")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"kernel is an odd number; got {self.kernel}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout lies in [0, 1); got {self.dropout}")


class Encoder(Columns):
    """Embeds every column of sequences. Shape: batch["sequence/COLUMN"] (B, T, C) -> (B, dim_out)."""

    def __init__(self, inputs: Inputs, config: Config) -> None:
        forms = inputs.of_kind("sequence")
        super().__init__(forms, [Sequences(form, **asdict(config)) for form in forms.values()])

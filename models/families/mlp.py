"""A multi-layer perceptron of pre-normalised residual blocks, for numeric tables.

The block is the ResNet of Gorishniy et al., Revisiting Deep Learning Models for Tabular Data
(NeurIPS 2021), with layer normalisation (Ba et al. 2016) for their batch normalisation: it keeps
no running state, so a batch of one row trains and a resumed run is exact.
"""

from dataclasses import asdict, dataclass

from torch import Tensor, nn

from contracts.examples import Inputs, Kind
from models.batches import Batch
from models.layers.numbers import Numbers

READS: tuple[Kind, ...] = ("table",)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults suit some thousand rows of some hundred columns: small, and strongly regularised.

    width: units of each layer
    blocks: residual blocks
    dropout: share of hidden units dropped in training
    input_dropout: share of input cells dropped in training, so that no one column is leant on
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    width: int = 128
    blocks: int = 1
    dropout: float = 0.5
    input_dropout: float = 0.2

    def __post_init__(self) -> None:
        if self.width < 1 or self.blocks < 0:
            raise ValueError(f"width is 1 or more and blocks 0 or more; got {self.width} and {self.blocks}")
        if not (0 <= self.dropout < 1 and 0 <= self.input_dropout < 1):
            raise ValueError(f"dropout lies in [0, 1); got {self.dropout} and {self.input_dropout}")


class Encoder(nn.Module):
    """Embeds the table.

    Shape: batch["table"] (B, F) -> (B, dim_out).
    """

    def __init__(self, inputs: Inputs, config: Config) -> None:
        super().__init__()
        self.dim_out = config.width
        self.table = Numbers(len(inputs.columns), **asdict(config))

    def forward(self, batch: Batch) -> Tensor:
        """Shape: batch["table"] (B, F) -> (B, dim_out)."""
        y: Tensor = self.table(batch["table"])
        return y

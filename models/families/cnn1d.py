"""A one-dimensional residual network for signals and other sequences, pooled over each row's own steps.

After Wang, Yan & Oates, Time series classification from scratch with deep neural networks (IJCNN 2017).
"""

from dataclasses import asdict, dataclass

from contracts.examples import Inputs, Kind
from models.layers.columns import Columns
from models.layers.series import Signals

READS: tuple[Kind, ...] = ("sequence",)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults suit some hundred to some thousand recordings of up to some thousand steps.

    filters: of each residual block, of which each halves the steps
    kernel: steps that a convolution sees, an odd number
    width: units of the dense layer
    dropout: share of units dropped in training, in the blocks and of the dense layer
    resolution: steps that a sequence has at most; of longer ones several neighbouring steps become one at once
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    filters: tuple[int, ...] = (32, 64, 128)
    kernel: int = 7
    width: int = 128
    dropout: float = 0.3
    resolution: int = 512

    def __post_init__(self) -> None:
        if not self.filters or min(self.filters) < 1 or min(self.width, self.resolution) < 1:
            raise ValueError("filters, width and resolution are 1 or more, and there is one filter at least")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"kernel is an odd number; got {self.kernel}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout lies in [0, 1); got {self.dropout}")


class Encoder(Columns):
    """Embeds every column of sequences. Shape: batch["sequence/COLUMN"] (B, T, C) -> (B, dim_out)."""

    def __init__(self, inputs: Inputs, config: Config) -> None:
        forms = inputs.of_kind("sequence")
        super().__init__(forms, [Signals(form, **asdict(config)) for form in forms.values()])

"""A convolutional network for images: 3×3 convolutions with 32, 64 and 128 filters, plain or residual, a dense layer.

The designs of LeCun et al., Gradient-based learning applied to document recognition (Proc. IEEE 1998), and He et al.,
Deep residual learning for image recognition (CVPR 2016), with group normalisation (Wu & He, ECCV 2018) instead of
batch normalisation: it keeps no running state, so a batch of one row trains and a resumed run is exact.
"""

from dataclasses import asdict, dataclass
from typing import get_args

from contracts.examples import Inputs, Kind
from models.layers.columns import Columns
from models.layers.image import Design, Images

READS: tuple[Kind, ...] = ("image",)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults suit some thousand images of 28 to 224 pixels a side.

    design: plain, convolutions and max pooling; or residual, two basic blocks for each of `filters`, pictures of 64
        pixels and more halved before them: with half as many filters it takes as long as the plain one
    filters: of each block, which halves the picture; residual: of each stage, of which all but the first halve it
    width: units of the dense layer
    dropout: share of its units dropped in training
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    design: Design = "plain"
    filters: tuple[int, ...] = (32, 64, 128)
    width: int = 128
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if self.design not in get_args(Design):
            raise ValueError(f"design is one of {', '.join(get_args(Design))}; got {self.design}")
        if self.width < 1 or not self.filters or min(self.filters) < 1:
            raise ValueError(f"width and filters are 1 or more; got {self.width} and {list(self.filters)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout lies in [0, 1); got {self.dropout}")


class Encoder(Columns):
    """Embeds every column of images. Shape: batch["image/COLUMN"] (B, C, H, W) -> (B, dim_out)."""

    def __init__(self, inputs: Inputs, config: Config) -> None:
        forms = inputs.of_kind("image")
        super().__init__(forms, [Images(form, **asdict(config)) for form in forms.values()])

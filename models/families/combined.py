"""Networks trained on their own, then as one: their embeddings side by side, and a head on them all.

Stacking (Wolpert, Neural Networks 5, 1992) whose second level is trained by gradients, through the first one too. It
begins as the mean of what its networks say, in logits, and learns from there what each of them is good for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contracts.examples import Inputs, Kind
from models.batches import Batch
from models.family import is_network, load
from models.members import Fitted, members
from models.params import TrainParams

READS: tuple[Kind, ...] = ("table", "image", "sequence", "text")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults read any study.

    models: the networks by name, each with its settings, and beside those `train`, what goes before the whole's
        settings of the training, and `seeds`, how many of it there are
    rate: the share of the learning rate at which the networks are trained on; 0 leaves them as they were trained
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    models: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"mlp": {}, "transformer": {}})
    rate: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate is a share, from 0 to 1; got {self.rate}")
        for member in members(self.models, TrainParams()).values():
            if not is_network(load(member.family)):
                raise ValueError(f"{member.family} is no network, to be trained on; the model ensemble takes it")


class Encoder(nn.Module):
    """What each of the networks embeds, side by side. Shape: as `models.batches` -> (B, dim_out)."""

    def __init__(self, inputs: Inputs, config: Config) -> None:
        super().__init__()
        made = members(config.models, TrainParams()).values()
        encoders = [load(member.family).Encoder(inputs, member.config) for member in made]
        self.dim_out = sum(encoder.dim_out for encoder in encoders)
        self.parts = nn.ModuleList(encoders)
        self.rate_shares = {"parts": config.rate}
        self.parts.requires_grad_(config.rate > 0)

    def forward(self, batch: Batch) -> Tensor:
        """Shape: as `models.batches` -> (B, dim_out)."""
        return torch.cat([part(batch) for part in self.parts], dim=1)


def start(fitted: Mapping[str, Fitted]) -> dict[str, NDArray[Any]]:
    """The weights to begin with: those of the networks, and a head that takes the mean of their heads' outputs."""
    begun: dict[str, NDArray[Any]] = {}
    heads = []
    for place, of in enumerate(fitted.values()):
        encoder = {name: array for name, array in of.arrays.items() if name.startswith("encoder.")}
        begun |= {f"encoder.parts.{place}.{name.removeprefix('encoder.')}": array for name, array in encoder.items()}
        heads.append({name: array for name, array in of.arrays.items() if name.startswith("head.")})
    for name in heads[0]:
        each = [head[name] for head in heads]
        joined = np.concatenate(each, axis=1) / len(each) if each[0].ndim > 1 else np.mean(each, axis=0)
        begun[name] = joined.astype(each[0].dtype)
    return begun

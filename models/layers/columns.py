"""Columns of payloads, each embedded apart."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from contracts.examples import Form
from models.batches import Batch, keys
from models.layers.image import Images
from models.layers.recurrent import Sequences
from models.layers.series import Signals
from models.layers.texts import Texts


class Columns(nn.Module):
    """Embeds each column by its own module, side by side. Shape: as `models.batches` -> (B, dim_out)."""

    def __init__(self, forms: Mapping[str, Form], columns: list[Images | Signals | Sequences | Texts]) -> None:
        super().__init__()
        self.keys = keys(forms)
        self.columns = nn.ModuleList(columns)
        self.dim_out = sum(column.dim_out for column in columns)

    def each(self, batch: Batch) -> list[Tensor]:
        """Each column's embedding. Shape: as `models.batches` -> (B, dim_out of the column) each."""
        pairs = zip(self.columns, self.keys, strict=True)
        return [column(batch[payload], batch[extent]) for column, (payload, extent) in pairs]

    def forward(self, batch: Batch) -> Tensor:
        """Shape: as `models.batches` -> (B, dim_out)."""
        return torch.cat(self.each(batch), dim=1)

"""The part of a training that needs no labels: a family's autoencoder learns to restore the rows."""

from dataclasses import replace

import torch

from models.batches import Rows
from models.loop import Loop
from models.network import outputs


class Pretraining(Loop):
    """The loop of a network that gives each row's own loss, whatever the label."""

    def validated(self) -> dict[str, float]:
        """The validation rows' mean loss."""
        given = outputs(self.average, self.validation).double()
        return {"validation_loss": self.devices.gathered(given, self.validation_rows).mean().item()}


def unweighted(rows: Rows) -> Rows:
    """The rows, each as much as any other: weights are for the sake of labels."""
    return replace(rows, weight=torch.ones_like(rows.weight))

"""A network: a family's encoder, and a linear head on what it embeds."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contracts.errors import MedloopError
from contracts.examples import Inputs

ROWS_AT_ONCE = 4096


class Network(nn.Module):
    """Encoder, then head. Two classes have two logits, as any other number of classes.

    Shape: batch[kind] (B, …) -> logits (B, C).
    """

    def __init__(self, family: ModuleType, inputs: Inputs, config: object) -> None:
        super().__init__()
        self.encoder = family.Encoder(inputs, config)
        self.head = nn.Linear(self.encoder.dim_out, len(inputs.classes))

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Shape: batch[kind] (B, …) -> (B, C)."""
        logits: Tensor = self.head(self.encoder(batch))
        return logits


def restored(family: ModuleType, inputs: Inputs, config: object, arrays: Mapping[str, NDArray[Any]]) -> Network:
    """The network with these weights, ready to score.

    Made without drawing a random number, so that scoring cannot disturb a training in another thread.
    Raises MedloopError when the arrays are not this network's.
    """
    with torch.device("meta"):
        network = Network(family, inputs, config)
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise MedloopError("the weights do not fit the model's settings", mend="train the model again") from error
    return network.eval()


@torch.no_grad()
def probabilities(network: Network, features: Mapping[str, Tensor]) -> NDArray[np.float64]:
    """What the network says, a slice of rows at a time, in evaluation mode. Shape: (N, …) -> (N, C)."""
    training = network.training
    network.eval()
    rows = len(next(iter(features.values())))
    slices = [slice(start, start + ROWS_AT_ONCE) for start in range(0, rows, ROWS_AT_ONCE)]
    parts = [network({kind: tensor[part] for kind, tensor in features.items()}) for part in slices]
    network.train(training)
    return np.asarray(torch.cat(parts).double().softmax(dim=1).cpu().numpy(), dtype=np.float64)


def predict_proba(network: Network, features: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
    """Probabilities, on the GPU when there is one. Shape: (N, …) -> (N, C)."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tensors = {kind: torch.from_numpy(np.ascontiguousarray(array)).to(device) for kind, array in features.items()}
    return probabilities(network.to(device), tensors)

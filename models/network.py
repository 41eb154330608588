"""A network: a family's encoder, and a linear head on what it embeds."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from contracts.errors import MedloopError
from contracts.examples import Examples, Inputs
from models.batches import Batch, Rows, laid_out
from models.family import AUTOENCODER, reads
from models.layers.series import inside
from models.tasks import task_of

Module = TypeVar("Module", bound=nn.Module)


class Network(nn.Module):
    """Encoder, then a linear head, of as many outputs as the task asks for; of tagging so many for each word.

    Nothing is said of words that are not read, beyond a text's own or a cap: zeros.

    Shape: as `models.batches` -> (B, K), of tagging (B, T, K).
    """

    def __init__(self, family: ModuleType, inputs: Inputs, config: object) -> None:
        super().__init__()
        self.length = f"length/{next(iter(inputs.of_kind('text')))}" if inputs.task == "tagging" else ""
        self.encoder = family.Tagger(inputs, config) if self.length else family.Encoder(inputs, config)
        self.head = nn.Linear(self.encoder.dim_out, task_of(inputs).outputs(inputs))

    def forward(self, batch: Batch) -> Tensor:
        """Shape: as `models.batches` -> (B, K), of tagging (B, T, K)."""
        outputs: Tensor = self.head(self.encoder(batch))
        return outputs * inside(outputs, batch[self.length])[..., None] if self.length else outputs


def restored(family: ModuleType, inputs: Inputs, config: object, arrays: Mapping[str, NDArray[Any]]) -> Network:
    """The network with these weights, ready to score.

    Made without drawing a random number, so that scoring cannot disturb a training in another thread.
    Raises MedloopError when the arrays are not this network's.
    """
    with torch.device("meta"):
        network = Network(family, inputs, config)
    return filled(network, {name: array for name, array in arrays.items() if not name.startswith(AUTOENCODER)})


def filled(network: Module, arrays: Mapping[str, NDArray[Any]]) -> Module:
    """A network made on torch's meta device, with these weights, ready to score.

    Raises MedloopError when the arrays are not this network's.
    """
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise MedloopError("the weights do not fit the model's settings", mend="train the model again") from error
    return network.eval()


@torch.no_grad()
def outputs(network: nn.Module, rows: Rows) -> Tensor:
    """What the network gives, a slice of rows at a time, in evaluation mode. Shape: N rows -> (N, …)."""
    training = network.training
    network.eval()
    parts = [network(rows.batch(part)) for part in rows.slices()]
    network.train(training)
    return torch.cat(_as_long(parts))


def _as_long(parts: list[Tensor]) -> list[Tensor]:
    """The parts, of words (B, T, K) all with as many as the longest."""
    if parts[0].ndim < 3:
        return parts
    most = max(part.shape[1] for part in parts)
    return [functional.pad(part, (0, 0, 0, most - part.shape[1])) for part in parts]


def outputs_of(network: nn.Module, rows: Rows) -> NDArray[np.float64]:
    """The same as numbers in the processor's memory. Shape: N rows -> (N, K), of tagging (N, T, K)."""
    return np.asarray(outputs(network, rows).double().cpu().numpy(), dtype=np.float64)


def scored(network: Network, family: ModuleType, inputs: Inputs, examples: Examples) -> NDArray[np.float64]:
    """The same of examples, on the GPU when there is one. Shape: N rows -> (N, K)."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return outputs_of(network.to(device), laid_out(examples, inputs, reads(family, inputs.task)).to(device))

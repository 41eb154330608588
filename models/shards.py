"""Tensors of which each process holds a share (torch's DTensor), beside plain ones, which are whole everywhere.

Several of torch's functions take lists of the one or of the other only.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer


def is_shared(tensor: Tensor) -> bool:
    """Whether other processes hold the rest of it."""
    return hasattr(tensor, "device_mesh")


def apart(tensors: Iterable[Tensor]) -> list[list[Tensor]]:
    """The plain ones, then the shared ones, in lists that are not empty."""
    every = list(tensors)
    kinds = [[tensor for tensor in every if is_shared(tensor) is shared] for shared in (False, True)]
    return [kind for kind in kinds if kind]


def whole(tensor: Any) -> Tensor:
    """A copy of all of it, off the device; every process must ask."""
    full: Tensor = tensor.detach()
    return (full.full_tensor() if is_shared(full) else full).cpu().clone()  # type: ignore[attr-defined]


def own(tensor: Any) -> Tensor:
    """What this process holds of it."""
    held: Tensor = tensor.to_local() if is_shared(tensor) else tensor
    return held


def shared_like(tensor: Tensor, like: Any) -> Tensor:
    """This process's share of a tensor that is whole everywhere, where `like` is shared."""
    if not is_shared(like) or tensor.shape != like.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    made: Tensor = distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
    return made


def clip(network: nn.Module, length: float) -> None:
    """Cuts the gradients, all together, to `length`."""
    kinds = apart(tensor for tensor in network.parameters() if tensor.grad is not None)
    if len(kinds) == 1 and not is_shared(kinds[0][0]):
        clip_grad_norm_(kinds[0], length)
        return
    norms = [whole(get_total_norm([tensor.grad for tensor in kind if tensor.grad is not None])) for kind in kinds]
    for kind in kinds:
        clip_grads_with_norm_(kind, length, torch.tensor(math.hypot(*norms), device=kind[0].device))


# -- a training's state, whole, whoever holds it -----------------------------------------------------------------------


def weights(network: nn.Module) -> dict[str, Tensor]:
    """Copies of the weights by name."""
    return {name: whole(tensor) for name, tensor in network.state_dict().items()}


def load_weights(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Gives a network such weights."""
    there = network.state_dict()
    network.load_state_dict({name: shared_like(tensor, there[name]) for name, tensor in tensors.items()})


def moments(optimizer: Optimizer) -> dict[str, Tensor]:
    """Copies of an optimiser's moments, as `PARAMETER/MOMENT`, in an order that is every process's."""
    return {
        f"{index}/{name}": whole(moment)
        for index, held in sorted(optimizer.state_dict()["state"].items())
        for name, moment in sorted(held.items())
        if moment is not None
    }


def load_moments(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Gives an optimiser such moments."""
    of = [tensor for group in optimizer.param_groups for tensor in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, moment = name.partition("/")
        state.setdefault(int(index), {})[moment] = shared_like(tensor, of[int(index)])
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})

"""Optimisers, their steps, and the course of the learning rate."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from models.params import TrainParams, of_epochs
from models.shards import apart, is_shared


def optimizer(network: nn.Module, params: TrainParams, rate: float) -> Optimizer:
    """The optimiser of `params`, fused into one kernel where torch has one; weight matrices decayed, biases not.

    - adamw: Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019.
    - adam: Kingma & Ba, ICLR 2015. Its decay, and that of all below, is added to the gradient (L2).
    - sgd, full_batch: the gradient, of a batch or of all rows.
    - momentum: Polyak 1964. nesterov: as Sutskever et al., ICML 2013, have it.
    - rmsprop: Hinton's lecture 6e, 2012.
    """
    groups = [
        {"params": alike, "weight_decay": params.weight_decay * is_matrix, "share": share}
        for (share, is_matrix), tensors in _groups(network).items()
        for alike in apart(tensors)
    ]
    fused = not any(is_shared(tensor) for tensor in network.parameters())  # of shared tensors torch has no fused SGD
    match params.optimizer:
        case "adamw":
            return AdamW(groups, lr=rate, fused=True)
        case "adam":
            return Adam(groups, lr=rate, fused=True)
        case "rmsprop":
            return RMSprop(groups, lr=rate)
        case "momentum" | "nesterov":
            nesterov = params.optimizer == "nesterov"
            return SGD(groups, lr=rate, momentum=params.momentum, nesterov=nesterov, fused=fused)
        case "sgd" | "full_batch":
            return SGD(groups, lr=rate, fused=fused)


def _groups(network: nn.Module) -> dict[tuple[float, bool], list[Tensor]]:
    """The weights by their share of the learning rate, and whether penalties bear on them.

    A family whose parts were trained before may train these on at a smaller rate: `rate_shares` of its encoder.
    """
    shares = getattr(getattr(network, "encoder", None), "rate_shares", {})
    found: dict[tuple[float, bool], list[Tensor]] = {(1.0, True): [], (1.0, False): []}
    for name, tensor in network.named_parameters():
        share = next((share for part, share in shares.items() if name.startswith(f"encoder.{part}.")), 1.0)
        found.setdefault((share, tensor.ndim > 1), []).append(tensor)
    return found


_Group = tuple[dict[str, Any], list[Tensor], list[Tensor], list[Tensor], list[Tensor], Tensor]


class Steps:
    """An optimiser's steps; those of Adam and AdamW by their kernels alone, to the same bits.

    torch's own `step` and `zero_grad` look up and sort all tensors anew each time, which takes a small network longer
    than the kernels do.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.weights: list[Tensor] = [tensor for group in optimizer.param_groups for tensor in group["params"]]
        self.has_kernel = isinstance(optimizer, Adam) and not any(map(is_shared, self.weights))
        self.state: object = None
        self.groups: list[_Group] = []

    def begin(self) -> None:
        """Forget the gradients of the step before."""
        for tensor in self.weights:
            tensor.grad = None

    @torch.no_grad()
    def take(self) -> None:
        """One step by the gradients that there are."""
        if not self._ready():
            self.optimizer.step()
            return
        for group, weights, means, squares, steps, count in self.groups:
            count += 1
            (torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_)(
                weights,
                [tensor.grad for tensor in weights if tensor.grad is not None],
                means,
                squares,
                [],
                steps,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )

    def _ready(self) -> bool:
        """Whether every weight has moments, which the first step makes, and a gradient."""
        state = self.optimizer.state
        if not self.has_kernel or len(state) < len(self.weights):
            return False
        if self.state is not state:  # others were loaded
            self.state, self.groups = state, [_gathered(group, state) for group in self.optimizer.param_groups]
        return all(tensor.grad is not None for tensor in self.weights)


def _gathered(group: dict[str, Any], state: Mapping[Tensor, dict[str, Tensor]]) -> _Group:
    """A group, and its tensors as the kernels take them; the counts of steps as one."""
    held = [state[tensor] for tensor in group["params"]]
    count = torch.stack([of["step"] for of in held])
    for of, step in zip(held, count, strict=True):
        of["step"] = step
    means, squares, steps = ([of[name] for of in held] for name in ("exp_avg", "exp_avg_sq", "step"))
    return group, group["params"], means, squares, steps, count


def matrices(network: nn.Module) -> Iterable[Tensor]:
    """The weights that penalties bear on: all but biases and normalisations."""
    return (tensor for tensor in network.parameters() if tensor.ndim > 1)


def add_l1(network: nn.Module, strength: float) -> None:
    """Add to the gradients that of `strength` times the sum of the weights' absolute values (Tibshirani 1996)."""
    for tensor in matrices(network):
        if tensor.grad is not None:
            tensor.grad.add_(torch.sign(tensor.detach()), alpha=strength)


def share_of_rate(params: TrainParams, step: int, steps_per_epoch: int) -> float:
    """The share of the learning rate that step `step`, from 0, takes; of (step, number of steps) alone.

    - constant: 1. linear: falls evenly to 0. cosine: falls along half a cosine (Loshchilov & Hutter, ICLR 2017).
    - one_cycle: rises along a cosine from 1/25 in the warm-up, then falls along one to 0 (Smith & Topin 2019; the rate
      alone, not the momentum).
    The others rise evenly from 0 in the warm-up (Goyal et al. 2017).
    """
    steps = params.epochs * steps_per_epoch
    rising = round(of_epochs(params.warmup, params.epochs) * steps_per_epoch)
    if params.schedule == "one_cycle":
        rising = rising or round(0.3 * steps)
    if step < rising:
        done = (step + 1) / rising
        return 1 / 25 + 24 / 25 * (1 - _falling(done)) if params.schedule == "one_cycle" else done
    done = (step - rising) / max(steps - rising, 1)
    return {"constant": 1.0, "linear": 1 - done}.get(params.schedule, _falling(done))


def _falling(done: float) -> float:
    """Half a cosine, from 1 at 0 to 0 at 1."""
    return (1 + math.cos(math.pi * done)) / 2

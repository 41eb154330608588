"""Averages of the weights over steps or epochs: they often score better than any step's own."""

import torch
from torch import nn

from models.params import TrainParams, of_epochs
from models.shards import apart


def share_of_step(params: TrainParams, step: int) -> float:
    """How much of the difference to its weights the average takes over after step `step`, counted from 1.

    ema: 1 − decay, but more in the first steps, so that the initial weights are soon forgotten
    (Polyak & Juditsky 1992; the warm-up is TensorFlow's). swa takes nothing over between epochs.
    """
    return 1 - min(params.average_decay, (1 + step) / (10 + step)) if params.average == "ema" else 0.0


def share_of_epoch(params: TrainParams, epoch: int) -> float:
    """The same after epoch `epoch`, counted from 1.

    swa: the plain mean of the weights at the ends of the epochs after `average_start` (Izmailov et al., "Averaging
    weights leads to wider optima and better generalization", UAI 2018); before it, the weights themselves.
    """
    if params.average != "swa":
        return 0.0
    return 1 / max(epoch - int(of_epochs(params.average_start, params.epochs)), 1)


@torch.no_grad()
def take_over(average: nn.Module, network: nn.Module, share: float) -> None:
    """Move the average's weights by `share` of the way to the network's."""
    if share:
        for averages, weights in zip(apart(average.parameters()), apart(network.parameters()), strict=True):
            torch._foreach_lerp_(averages, weights, share)

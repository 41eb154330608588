"""A learning rate found by trying: the range test of Smith, "Cyclical learning rates for training neural networks"
(WACV 2017)."""

import math
from itertools import chain, count
from typing import TYPE_CHECKING

import torch

from models.sampling import epoch_rows

if TYPE_CHECKING:
    from models.loop import Loop

LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 100
SMOOTHED = 0.9  # what a step leaves of the running mean of the losses
LOST = 2.0  # times the lowest loss, from where the rate is too high
BELOW_LOWEST = 10  # the loss is lowest where training is about to diverge; a tenth of that rate is safe


def found_rate(loop: "Loop") -> float:
    """The rate that suits the loop's training rows, from (seed, rows, settings) alone; the loop is left as it was.

    The rate rises from step to step, evenly in its logarithm, until the smoothed loss has doubled; a tenth of the rate
    at which that loss was lowest is taken.
    """
    before, mean, lowest = loop.checkpoint(), 0.0, math.inf
    chosen = LOWEST
    for step, rows in zip(range(STEPS), _steps(loop), strict=False):
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1))
        loop.set_rate(rate)
        mean = SMOOTHED * mean + (1 - SMOOTHED) * loop.devices.summed(loop._step(rows)).item()
        smoothed = mean / (1 - SMOOTHED ** (step + 1))
        if not smoothed <= LOST * lowest:  # a loss that is no number too
            break
        if smoothed < lowest:
            lowest, chosen = smoothed, rate
    loop.resume(before)
    return chosen / BELOW_LOWEST


def _steps(loop: "Loop") -> "chain[torch.Tensor]":
    """Rows of one step after another, in the order of the training's first epochs."""
    target = loop.rows.target.cpu().numpy()
    epochs = (torch.from_numpy(epoch_rows(target, loop.params, epoch)) for epoch in count())
    return chain.from_iterable(torch.split(order.to(loop.device), loop.rows_per_step) for order in epochs)

"""An epoch's rows, in the portions that one call of the loop takes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from models.sampling import epoch_rows

if TYPE_CHECKING:
    from models.loop import Loop


class Chunks:
    """The rows of an epoch that are still to come, in an order that follows from (seed, epoch) alone."""

    def __init__(self, loop: "Loop") -> None:
        self.loop = loop

    def __iter__(self) -> Iterator[Tensor]:
        """Row numbers for `steps_at_once` steps each. Shape: (at most steps_at_once * rows_per_step,)."""
        loop, done = self.loop, len(self.loop.history)
        order = epoch_rows(loop.rows.target.cpu().numpy(), loop.params, done)
        start = (loop.step - done * loop.steps_per_epoch) * loop.rows_per_step
        yield from torch.split(torch.from_numpy(order[start:]), loop.steps_at_once * loop.rows_per_step)

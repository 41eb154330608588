"""The training loop of small networks: Lightning drives it, with many steps to one of Lightning's.

A table of some thousand rows trains at a millisecond a step, of which a data loader and Lightning's
hooks would cost three. So the table is one tensor on the device, a batch an index selection,
and one `training_step` takes up to `STEPS_AT_ONCE` steps of the optimiser.
"""

import copy
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor, nn

from contracts.errors import MedloopError
from models.acceleration import Forward, arithmetic, compiled
from models.augment import augmented
from models.averages import share_of_epoch, share_of_step, take_over
from models.batches import Rows
from models.checkpoint import Checkpoint
from models.chunks import Chunks
from models.devices import Devices
from models.memory import is_exhausted
from models.network import outputs_of
from models.optimizers import Steps, add_l1, optimizer, share_of_rate
from models.params import LOWER_IS_BETTER, TrainParams
from models.rate_finder import found_rate
from models.sampling import mixed
from models.shards import clip, load_moments, load_weights, moments, own, weights

STEPS_AT_ONCE = 32
PAYLOADS_COST = 8  # a batch of images, sequences or texts takes as long as that many of a table, or longer
Scores = Callable[[NDArray[np.float64]], dict[str, float]]


class Loop(pl.LightningModule):  # type: ignore[misc]
    """Loss, optimiser, metrics, early stopping and checkpoints of one training.

    Everything that decides the next step is in `checkpoint()`; random numbers follow from (seed, step) and
    (seed, epoch) alone, so a resumed training ends with the bits of one that never stopped.

    train, validation: the rows; of those for validation `scores` gets what the network says
    loss: of each row, from what the network says of it and its label
    save: told every checkpoint that is due; report: told every finished epoch's row
    devices: the processes that train this network; each has a loop
    """

    def __init__(
        self,
        network: nn.Module,
        params: TrainParams,
        *,
        train: Rows,
        validation: Rows,
        loss: nn.Module,
        scores: Scores,
        save: Callable[[Checkpoint], None],
        report: Callable[[list[dict[str, float]]], None],
        save_every: float,
        devices: Devices,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network, self.params, self.devices = network, params, devices
        self.rows, self.validation, self.scores, self.loss = train, validation, scores, loss
        self.save, self.report, self.save_every = save, report, save_every
        batches = math.ceil(len(train) / params.batch_size) if params.optimizer == "full_batch" else params.accumulate
        self.rows_per_step, self.rows_at_once = batches * params.batch_size, params.batch_size
        self.steps_at_once = max(1, STEPS_AT_ONCE // (PAYLOADS_COST if train.stores else 1) // batches)
        self.steps_per_epoch = math.ceil(len(train) / self.rows_per_step)
        self.rate = 0.0 if params.learning_rate == "auto" else params.learning_rate
        self.average = network if params.average == "none" else copy.deepcopy(network)
        for each in dict.fromkeys((network, self.average)):
            devices.spread(each)
        self.optimizer = optimizer(network, params, self.rate)
        self.steps = Steps(self.optimizer)
        self.forwarded: Forward = network.forward
        self.arithmetic: AbstractContextManager[None] = nullcontext()
        self.ran_on: dict[str, str] = {}
        self.step, self.loss_sum = 0, 0.0
        self.history: list[dict[str, float]] = []
        self.best = weights(network)
        self.saved_at = time.monotonic()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """That of the settings, for Lightning to move between devices."""
        return self.optimizer

    def on_fit_start(self) -> None:
        """Lay the rows on the device, once, and see what the device can do."""
        # Lightning has moved a resumed optimiser's moments, but not its step count, which fused AdamW wants there too.
        self.optimizer.load_state_dict(self.optimizer.state_dict())
        self.rows = self.rows.to(self.device)
        self.validation_rows, self.validation = len(self.validation), self.devices.part(self.validation).to(self.device)
        self.arithmetic, precision = arithmetic(self.params, self.device)
        if self.devices.size > 1:
            self.forwarded = self.devices.forward(self.network).__call__
            was_compiled = "no: several devices" if self.params.compile else ""
        else:
            with self.arithmetic:
                some = torch.arange(min(len(self.rows), self.rows_at_once), device=self.device)
                self.forwarded, was_compiled = compiled(self.network, self.rows.batch(some), self.params)
        self.ran_on = {name: word for name, word in (("precision", precision), ("compiled", was_compiled)) if word}
        self.rate = self.rate or found_rate(self)
        self.good = self.checkpoint()

    def on_train_start(self) -> None:
        """After Lightning has seen to signals."""
        self.devices.listen()

    def train_dataloader(self) -> Chunks:
        """What is left of the epoch, as row numbers."""
        return Chunks(self)

    def training_step(self, chunk: Tensor) -> None:
        """Up to `steps_at_once` steps. Shape: chunk (at most steps_at_once * rows_per_step,) row numbers.

        Raises MedloopError naming the step when a loss is not finite.
        """
        self._seed()
        first, taken = self.step, []
        for rows in torch.split(chunk, self.rows_per_step):
            self.set_rate(self.rate * share_of_rate(self.params, self.step, self.steps_per_epoch))
            taken.append(self._step(rows))
            self.step += 1
        losses = self.devices.summed(torch.stack(taken)).tolist()
        for offset, loss in enumerate(losses):
            if not math.isfinite(loss):
                self._diverged(first + offset)
        self.loss_sum += sum(losses)
        if self.step < (len(self.history) + 1) * self.steps_per_epoch:
            self._save_if_due()
            if self.devices.any(self.devices.terminated):
                raise SIGTERMException

    def _seed(self) -> None:
        """Random numbers of this step; of other rows, others."""
        torch.manual_seed(mixed(self.params.seed, self.step, *([self.devices.share] if self.devices.share else [])))

    def set_rate(self, rate: float) -> None:
        """The learning rate of the steps that follow; what was trained before may take a share of it."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]

    def _step(self, rows: Tensor) -> Tensor:
        """One step of the optimiser on these rows; their loss. Shape: (B,) -> ()."""
        loss = self._gradients(rows)
        while loss is None:
            loss = self._gradients(rows)
        if self.params.l1:
            add_l1(self.network, self.params.l1)
        if self.params.clip_norm:
            clip(self.network, self.params.clip_norm)
        self.steps.take()
        take_over(self.average, self.network, share_of_step(self.params, self.step + 1))
        return loss

    def _gradients(self, rows: Tensor) -> Tensor | None:
        """Computes the gradients of the rows' mean loss, and returns that; None where memory lacked.

        The next call then takes half as many rows at once. Shape: (B,) -> ().
        Raises MedloopError when memory does not hold one row.
        """
        try:
            self.steps.begin()
            if len(rows) <= self.rows_at_once:
                return self._backward(rows, len(rows))
            parts = [self._backward(part, len(rows)) for part in torch.split(rows, self.rows_at_once)]
            return torch.stack(parts).sum()
        except (RuntimeError, MemoryError) as error:
            if not is_exhausted(error):
                raise
        self._halve()
        return None

    def _backward(self, rows: Tensor, of: int) -> Tensor:
        """Adds the gradients of these rows' share in the mean loss of `of` rows; that share. Shape: (B,) -> ()."""
        rows, weight = self.devices.own(rows, self.rows.weight)
        batch = augmented(self.rows.batch(rows), self.rows.forms, self.params.augment)
        target = self.rows.target.index_select(0, rows)
        with self.arithmetic:
            outputs = self.forwarded(batch)
        losses: Tensor = self.loss(outputs.float(), target)
        mean = (losses * weight).mean()
        loss = mean if len(rows) == of else mean * (len(rows) / of)
        self.devices.backward(loss)
        return loss.detach()

    def _halve(self) -> None:
        """Half as many rows at once, from the random numbers of this step on."""
        self.steps.begin()
        alone = self.devices.size == 1
        if not alone or self.rows_at_once == 1:  # others are in the midst of the step
            mend = "take a smaller model, smaller images or shorter sequences, or end what else takes memory"
            raise MedloopError(
                f"the memory of {self.device} does not hold the network and "
                f"{'one row' if alone else 'its share of a batch'} (step {self.step})",
                mend=mend if alone else "lower train.batch_size and raise train.accumulate as much, or " + mend,
            )
        self.rows_at_once = math.ceil(self.rows_at_once / 2)
        self.ran_on["rows at once"] = f"{self.rows_at_once}, for want of memory"
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self._seed()

    def on_train_epoch_end(self) -> None:
        """Score the validation rows, keep the weights if they are the best, stop if nothing gets better."""
        row = {"epoch": float(len(self.history) + 1), "train_loss": self.loss_sum / self.steps_per_epoch}
        take_over(self.average, self.network, share_of_epoch(self.params, len(self.history) + 1))
        scores = self.devices.first(self.validated())
        if not math.isfinite(scores["validation_loss"]):
            self._diverged(self.step)
        self.history.append(row | scores)
        self.loss_sum = 0.0
        if best_epoch(self.history, self.params) == len(self.history):
            self.best = weights(self.average)
        self.good = self.checkpoint()
        if self.finished():  # what is made of this model may be killed later, and begins again with its weights
            self.save_now()
        else:
            self._save_if_due()
        self.report(self.history)
        self.trainer.should_stop = self.finished()

    def validated(self) -> dict[str, float]:
        """The validation rows' metrics, of the weights that would be kept."""
        given = torch.from_numpy(outputs_of(self.average, self.validation))
        return self.scores(self.devices.gathered(given, self.validation_rows).numpy())

    def finished(self) -> bool:
        """Whether all epochs are done, or `patience` of them brought nothing better."""
        epochs = len(self.history)
        waited = epochs - best_epoch(self.history, self.params) if epochs else 0
        return epochs >= self.params.epochs or waited >= self.params.patience

    def checkpoint(self) -> Checkpoint:
        """A copy of everything that decides what comes next."""
        tensors = {f"network/{name}": tensor for name, tensor in weights(self.network).items()}
        tensors |= {f"best/{name}": tensor for name, tensor in self.best.items()}
        if self.average is not self.network:
            tensors |= {f"average/{name}": tensor for name, tensor in weights(self.average).items()}
        tensors |= {f"optimizer/{name}": moment for name, moment in moments(self.optimizer).items()}
        return Checkpoint(
            step=self.step,
            loss_sum=self.loss_sum,
            rate=self.rate,
            rows_at_once=self.rows_at_once,
            history=list(self.history),
            tensors=tensors,
        )

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from `checkpoint`."""
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "best": {}, "optimizer": {}}
        for name, tensor in checkpoint.tensors.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = tensor
        load_weights(self.network, parts["network"])
        load_weights(self.average, parts["average"] or parts["network"])
        self.best, self.history = parts["best"], list(checkpoint.history)
        self.step, self.loss_sum = checkpoint.step, checkpoint.loss_sum
        self.rate, self.rows_at_once = checkpoint.rate, checkpoint.rows_at_once
        load_moments(self.optimizer, parts["optimizer"])

    def _save_if_due(self) -> None:
        if self.devices.any(time.monotonic() - self.saved_at >= self.save_every):
            self.save_now()

    def save_now(self) -> None:
        """Save a checkpoint, unless the last step has spoilt the weights."""
        if self.devices.any(not all(bool(own(tensor).isfinite().all()) for tensor in self.network.parameters())):
            self._diverged(self.step)
        self.save(self.checkpoint())
        self.saved_at = time.monotonic()

    def _diverged(self, step: int) -> None:
        self.save(self.good)
        raise MedloopError(
            f"the loss stopped being a finite number at step {step} (epoch {len(self.history) + 1})",
            mend="lower train.learning_rate; the weights of the last good epoch are kept among the checkpoints",
        )


def best_epoch(history: list[dict[str, float]], params: TrainParams) -> int:
    """The epoch, from 1, that the last improvement by more than `min_delta` came with."""
    best, chosen = -math.inf, 0
    for number, row in enumerate(history, start=1):
        value = row[f"validation_{params.monitor}"] * (-1 if params.monitor in LOWER_IS_BETTER else 1)
        if value > best + params.min_delta:
            best, chosen = value, number
    return chosen

"""The training loop of small networks: Lightning drives it, with many steps to one of Lightning's.

A table of some thousand rows trains at a millisecond a step, of which a data loader and Lightning's
hooks would cost three. So the table is one tensor on the device, a batch an index selection,
and one `training_step` takes `STEPS_AT_ONCE` steps of the optimiser.
"""

import hashlib
import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from contracts.errors import MedloopError
from models.augment import augmented
from models.batches import Rows
from models.checkpoint import Checkpoint
from models.losses import row_losses
from models.network import Network, probabilities
from models.params import TrainParams
from models.sampling import class_shares, epoch_rows

STEPS_AT_ONCE = 32
Scores = Callable[[NDArray[np.float64]], dict[str, float]]


class Loop(pl.LightningModule):  # type: ignore[misc]
    """Loss, optimiser, metrics, early stopping and checkpoints of one training.

    Everything that decides the next step is in `checkpoint()`; random numbers follow from (seed, step) and
    (seed, epoch) alone, so a resumed training ends with the bits of one that never stopped.

    train, validation: the rows; of those for validation `scores` gets the probabilities
    save: told every checkpoint that is due; report: told every finished epoch's row
    """

    def __init__(
        self,
        network: Network,
        params: TrainParams,
        *,
        train: Rows,
        validation: Rows,
        scores: Scores,
        save: Callable[[Checkpoint], None],
        report: Callable[[list[dict[str, float]]], None],
        save_every: float,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network, self.params = network, params
        self.rows, self.validation, self.scores = train, validation, scores
        self.save, self.report, self.save_every = save, report, save_every
        shares = class_shares(train.target.numpy(), train.weight.numpy(), params)
        self.register_buffer("log_shares", torch.from_numpy(shares).float().log(), persistent=False)
        self.steps_per_epoch = math.ceil(len(train) / params.batch_size)
        self.adamw = _adamw(network, params)
        self.step, self.loss_sum = 0, 0.0
        self.history: list[dict[str, float]] = []
        self.best = _copied(network)
        self.saved_at = time.monotonic()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW (Loshchilov & Hutter, ICLR 2019), weight matrices decayed, biases and norms not."""
        return self.adamw

    def on_fit_start(self) -> None:
        """Lay the rows on the device, once."""
        # Lightning has moved a resumed optimiser's moments, but not its step count, which fused AdamW wants there too.
        self.adamw.load_state_dict(self.adamw.state_dict())
        self.rows = self.rows.to(self.device)
        self.validation = self.validation.to(self.device)
        self.good = self.checkpoint()

    def train_dataloader(self) -> "Chunks":
        """What is left of the epoch, as row numbers."""
        return Chunks(self)

    def training_step(self, chunk: Tensor) -> None:
        """Up to STEPS_AT_ONCE steps. Shape: chunk (at most STEPS_AT_ONCE * batch_size,) row numbers.

        Raises MedloopError naming the step when a loss is not finite.
        """
        torch.manual_seed(_mixed(self.params.seed, self.step))
        losses = torch.stack([self._step(rows) for rows in torch.split(chunk, self.params.batch_size)]).tolist()
        for offset, loss in enumerate(losses):
            if not math.isfinite(loss):
                self._diverged(self.step + offset)
        self.step += len(losses)
        self.loss_sum += sum(losses)
        if self.step < (len(self.history) + 1) * self.steps_per_epoch:
            self._save_if_due()

    def _step(self, rows: Tensor) -> Tensor:
        """One step of the optimiser on these rows; their loss. Shape: (B,) -> ()."""
        batch = augmented(self.rows.batch(rows), self.rows.forms, self.params.augment)
        target, weight = self.rows.target.index_select(0, rows), self.rows.weight.index_select(0, rows)
        losses = row_losses(self.network(batch), target, self.log_shares, self.params)
        loss = (losses * weight).mean()
        self.adamw.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.adamw.step()
        return loss.detach()

    def on_train_epoch_end(self) -> None:
        """Score the validation rows, keep the weights if they are the best, stop if nothing gets better."""
        row = {"epoch": float(len(self.history) + 1), "train_loss": self.loss_sum / self.steps_per_epoch}
        scores = self.scores(probabilities(self.network, self.validation))
        if not math.isfinite(scores["validation_loss"]):
            self._diverged(self.step)
        self.history.append(row | scores)
        self.loss_sum = 0.0
        if best_epoch(self.history, self.params) == len(self.history):
            self.best = _copied(self.network)
        self.good = self.checkpoint()
        self._save_if_due()
        self.report(self.history)
        self.trainer.should_stop = self.finished()

    def finished(self) -> bool:
        """Whether all epochs are done, or `patience` of them brought nothing better."""
        epochs = len(self.history)
        waited = epochs - best_epoch(self.history, self.params) if epochs else 0
        return epochs >= self.params.epochs or waited >= self.params.patience

    def checkpoint(self) -> Checkpoint:
        """A copy of everything that decides what comes next."""
        tensors = {f"network/{name}": tensor for name, tensor in _copied(self.network).items()}
        tensors |= {f"best/{name}": tensor for name, tensor in self.best.items()}
        for index, moments in self.adamw.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{name}": moment.detach().cpu().clone() for name, moment in moments.items()}
        return Checkpoint(step=self.step, loss_sum=self.loss_sum, history=list(self.history), tensors=tensors)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from `checkpoint`; called before Lightning starts."""
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimizer": {}}
        for name, tensor in checkpoint.tensors.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = tensor
        self.network.load_state_dict(parts["network"])
        self.best, self.history = parts["best"], list(checkpoint.history)
        self.step, self.loss_sum = checkpoint.step, checkpoint.loss_sum
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["optimizer"].items():
            index, _, moment = name.partition("/")
            state.setdefault(int(index), {})[moment] = tensor
        self.adamw.load_state_dict({"state": state, "param_groups": self.adamw.state_dict()["param_groups"]})

    def _save_if_due(self) -> None:
        if time.monotonic() - self.saved_at >= self.save_every:
            self.save(self.checkpoint())
            self.saved_at = time.monotonic()

    def _diverged(self, step: int) -> None:
        self.save(self.good)
        raise MedloopError(
            f"the loss stopped being a finite number at step {step} (epoch {len(self.history) + 1})",
            mend="lower train.learning_rate; the weights of the last good epoch are kept among the checkpoints",
        )


class Chunks:
    """The rows of an epoch that are still to come, in an order that follows from (seed, epoch) alone."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop

    def __iter__(self) -> Iterator[Tensor]:
        """Row numbers for STEPS_AT_ONCE steps each. Shape: (at most STEPS_AT_ONCE * batch_size,)."""
        loop, done = self.loop, len(self.loop.history)
        order = epoch_rows(loop.rows.target.cpu().numpy(), loop.params, done)
        batch = loop.params.batch_size
        start = (loop.step - done * loop.steps_per_epoch) * batch
        yield from torch.split(torch.from_numpy(order[start:]), STEPS_AT_ONCE * batch)


def best_epoch(history: list[dict[str, float]], params: TrainParams) -> int:
    """The epoch, from 1, that the last improvement by more than `min_delta` came with."""
    best, chosen = -math.inf, 0
    for number, row in enumerate(history, start=1):
        value = row[f"validation_{params.monitor}"] * (-1 if params.monitor == "loss" else 1)
        if value > best + params.min_delta:
            best, chosen = value, number
    return chosen


def _adamw(network: Network, params: TrainParams) -> torch.optim.AdamW:
    tensors = list(network.parameters())
    groups = [
        {"params": [tensor for tensor in tensors if tensor.ndim > 1], "weight_decay": params.weight_decay},
        {"params": [tensor for tensor in tensors if tensor.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=params.learning_rate, fused=True)


def _copied(network: Network) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}


def _mixed(seed: int, step: int) -> int:
    """A seed for this step: neighbouring steps and seeds share nothing."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{step}".encode()).digest()[:7], "big")

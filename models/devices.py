"""Several devices that train one network: a process each, which torchrun, Slurm or medloop started.

A step takes the same rows as on one device, whatever their number, and the same weights come out but for rounding
(and but for dropout, which each process draws for its own rows). What decides how a training goes on, such as a loss
that is no number, a checkpoint that is due or a better epoch, is decided by all processes together.
"""

import hashlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from contracts.errors import MedloopError
from models.batches import Rows
from models.params import TrainParams
from models.ranks import ALONE, STORE, PartnerLostError, Place, place

WAIT = timedelta(minutes=30)  # for the slowest process
UNIT = 1 << 16  # parameters from which on a part of a network is gathered by itself
ELEMENTWISE = (nn.ReLU, nn.GELU, nn.Tanh, nn.Dropout)


class Devices:
    """The processes of a training; of one alone, nothing is different.

    strategy, of several:
    - ddp: each holds the network and computes the gradients of its share of a step's rows; these are averaged (Li et
      al., PyTorch Distributed, VLDB 2020).
    - fsdp: so too, but each holds only its share of the weights, gradients and moments; a part of the network is
      gathered while it is computed with (Zhao et al., PyTorch FSDP, VLDB 2023).
    - tensor: all take all rows; of two linear layers in a row, each holds a share of the units between them (Shoeybi
      et al., Megatron-LM, 2019). Dropout between them drops the units of all shares alike.
    """

    def __init__(self, params: TrainParams, at: Place = ALONE, device: torch.device | None = None) -> None:
        self.strategy, self.rank, self.size = params.strategy, at.rank, at.size
        self.device = device or torch.device("cpu")
        self.local = at.local
        self.shares = 1 if self.strategy == "tensor" else at.size  # among which rows are divided
        self.share = at.rank % self.shares
        self.terminated = False

    # -- the network ---------------------------------------------------------------------------------------------------

    def spread(self, network: nn.Module) -> None:
        """Leaves this process its share of the network, where the strategy divides it.

        Raises MedloopError for a network that `tensor` cannot divide.
        """
        if self.size == 1 or self.strategy == "ddp":
            return
        mesh = dist.device_mesh.init_device_mesh(self.device.type, (self.size,))
        network.to(self.device)
        if self.strategy == "fsdp":
            from torch.distributed.fsdp import fully_shard

            for part in _units(network):
                fully_shard(part, mesh=mesh)
            fully_shard(network, mesh=mesh)
        else:
            from torch.distributed.tensor.parallel import (
                ColwiseParallel,
                ParallelStyle,
                RowwiseParallel,
                parallelize_module,
            )

            pairs = list(_pairs(network, self.size))
            if not pairs:
                raise MedloopError(
                    f"tensor divides two linear layers in a row by their units; none here divides by {self.size}",
                    where="train.strategy",
                    mend="take fsdp, or a width that is a multiple of train.devices",
                )
            plan: dict[str, ParallelStyle] = {a: ColwiseParallel() for a, _ in pairs}
            plan |= {b: RowwiseParallel() for _, b in pairs}
            parallelize_module(network, mesh, plan)

    def forward(self, network: nn.Module) -> nn.Module:
        """What computes the network, and its gradients over all processes."""
        if self.strategy != "ddp":
            return network
        return DistributedDataParallel(network, forward_sync_buffers=False, gradient_as_bucket_view=True)

    def backward(self, loss: Tensor) -> None:
        """The gradients of the sum of all processes' losses; torch takes their mean."""
        (loss if self.shares == 1 else loss * self.shares).backward()  # type: ignore[no-untyped-call]

    # -- rows ----------------------------------------------------------------------------------------------------------

    def own(self, rows: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """This process's share of a batch and of its weights; as long for all, filled up by a row of weight 0.

        Shape: rows (B,), weight (N,) of all rows -> (ceil(B / shares),) twice.
        """
        if self.shares == 1:
            return rows, weight.index_select(0, rows)
        places = self._places(len(rows)).to(rows.device)
        rows, there = rows[places.clamp(max=len(rows) - 1)], places < len(rows)
        return rows, weight.index_select(0, rows) * there

    def part(self, rows: Rows) -> Rows:
        """This process's share of rows to be scored; `gathered` puts together what it says of them."""
        if self.shares == 1:
            return rows
        places = self._places(len(rows)).clamp(max=len(rows) - 1)
        held = {name: getattr(rows, name)[places] for name in ("table", "at", "target", "weight")}
        return replace(rows, **held)

    def gathered(self, values: Tensor, rows: int) -> Tensor:
        """What all processes say of their shares, in the order of the rows. Shape: (ceil(N / shares), …) -> (N, …)."""
        if self.shares == 1:
            return values
        mine = values.to(self.device)
        every = [torch.empty_like(mine) for _ in range(self.shares)]
        dist.all_gather(every, mine)
        return torch.stack(every, dim=1).flatten(0, 1)[:rows].to(values.device)

    def _places(self, rows: int) -> Tensor:
        return torch.arange(self.share, self.shares * -(-rows // self.shares), self.shares)

    # -- what is decided together --------------------------------------------------------------------------------------

    def summed(self, losses: Tensor) -> Tensor:
        """The losses of steps, of which each process has its share. Shape: (S,) -> (S,)."""
        if self.shares > 1:
            dist.all_reduce(losses)
        elif self.size > 1:
            dist.broadcast(losses, 0)
        return losses

    def any(self, here: bool) -> bool:
        """Whether it is so for one of the processes."""
        if self.size == 1:
            return here
        there = torch.tensor([int(here)], device=self.device)
        dist.all_reduce(there, dist.ReduceOp.MAX)
        return bool(there.item())

    def first(self, values: dict[str, float]) -> dict[str, float]:
        """What the first process found, by which all go on."""
        if self.size == 1:
            return values
        told = torch.tensor(list(values.values()), dtype=torch.float64, device=self.device)
        dist.broadcast(told, 0)
        return dict(zip(values, told.tolist(), strict=True))

    def check_same(self, text: str) -> None:
        """Raises MedloopError where a process works on other data or settings, or sees another checkpoint."""
        mine = torch.tensor(list(hashlib.sha256(text.encode()).digest()), device=self.device)
        there = mine.clone()
        if self.size > 1:
            dist.broadcast(there, 0)
        if self.any(not torch.equal(mine, there)):
            raise MedloopError(
                "the processes have other data, settings or checkpoints than the first one",
                mend="let all machines see the same workspace, on a file system that they share",
            )

    def listen(self) -> None:
        """From here on a SIGTERM only sets `terminated`, for all to stop at the same step."""
        if self.size > 1:
            signal.signal(signal.SIGTERM, lambda number, frame: setattr(self, "terminated", True))


@contextmanager
def together(params: TrainParams) -> Iterator[Devices]:
    """The processes that this one trains with, found as its environment says; they stay joined until `leave`.

    Raises MedloopError where their number is not that of the settings, PartnerLostError where one of them ends.
    """
    at = place(os.environ)
    if at.size != params.devices:
        raise MedloopError(
            f"train.devices is {params.devices}; {at.size} {'process trains' if at.size == 1 else 'processes train'}",
            mend="start that many processes, by medloop run, torchrun or srun, or set train.devices to their number",
        )
    if at.size == 1:
        yield Devices(params)
        return
    try:
        device = _device(params, at)
        _join(at, device)
        yield Devices(params, at, device)
        dist.barrier()  # before one of them parts
    except RuntimeError as error:
        if not _is_lost(error):
            raise
        raise PartnerLostError(
            "another process of this training is gone",
            mend="what that process said tells why; run again, and training goes on from the last checkpoint",
        ) from error


def _join(at: Place, device: torch.device) -> None:
    if not dist.is_initialized():
        store = os.environ.get(STORE)
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            init_method=f"file://{store}" if store else "env://",
            rank=at.rank,
            world_size=at.size,
            timeout=WAIT,
        )


def leave() -> None:
    """Parts from the other processes, if there are any."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _is_lost(error: RuntimeError) -> bool:
    told = str(error).lower()
    return isinstance(error, dist.DistError) or any(word in told for word in ("gloo", "nccl", "closed by peer"))


def _device(params: TrainParams, at: Place) -> torch.device:
    if params.accelerator == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    there = torch.cuda.device_count()
    if at.local >= there:
        raise MedloopError(
            f"process {at.local + 1} of this machine has no GPU of its own: there are {there}",
            where="train.devices",
            mend=f"set train.devices to {there}, or accelerator: cpu",
        )
    torch.cuda.set_device(at.local)
    return torch.device("cuda", at.local)


def _units(network: nn.Module) -> Iterator[nn.Module]:
    """The larger parts of a network, inner ones first; a list of layers is none."""
    for part in network.children():
        if sum(tensor.numel() for tensor in part.parameters()) >= UNIT:
            yield from _units(part)
            if not isinstance(part, nn.ModuleList | nn.ModuleDict):
                yield part


def _pairs(network: nn.Module, shares: int) -> Iterator[tuple[str, str]]:
    """Names of two linear layers with nothing between them that needs to see all units."""
    for name, chain in network.named_modules():
        if not isinstance(chain, nn.Sequential):
            continue
        first: tuple[str, Any] | None = None
        for number, layer in chain.named_children():
            if isinstance(layer, nn.Linear):
                if first and first[1].out_features % shares == 0:
                    yield first[0], f"{name}.{number}"
                    first = None
                else:
                    first = f"{name}.{number}", layer
            elif not isinstance(layer, ELEMENTWISE):
                first = None

"""Trainings to be timed: medloop's loop, the loop that a person writes, and several processes."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from contracts.examples import Examples, Inputs
from models.params import TrainParams
from models.training import fit

COLUMNS = 64
INPUTS = Inputs(columns=[f"c{i}" for i in range(COLUMNS)], classes=["no", "yes"], positive=1)


def examples(rows: int, seed: int) -> Examples:
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(rows, COLUMNS)).astype(np.float32)
    return Examples(table=table, target=(table[:, 0] + rng.normal(size=rows) > 0).astype(np.int64))


def ours(rows: int, config: dict[str, Any], clock: Callable[[], float], say: object = None, **settings: Any) -> float:
    """Seconds of an epoch, the median of those after the first."""
    ends = []
    with TemporaryDirectory() as folder:
        fit(
            "mlp",
            config,
            TrainParams(**{"epochs": 6, "patience": 99, **settings}),
            inputs=INPUTS,
            train=examples(rows, 0),
            validation=examples(256, 1),
            checkpoints=Path(folder),
            history=lambda row: ends.append(clock()),
        )
    return statistics.median(np.diff(ends))


def as_worker(rows: int, config: dict[str, Any], settings: dict[str, Any], say: object) -> float:
    """The same by the clock on the wall, in one of several processes."""
    return ours(rows, config, time.perf_counter, **settings)


def by_hand(rows: int, config: dict[str, Any], clock: Callable[[], float], batch_size: int = 64) -> float:
    """The same network and optimiser in the shortest loop: the table one tensor, batches selected from it."""
    import torch

    from models.family import load
    from models.network import Network

    torch.set_num_threads(1)
    family, data = load("mlp"), examples(rows, 0)
    network = Network(family, INPUTS, family.Config(**config)).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-4, weight_decay=0.1, fused=True)
    assert data.target is not None
    table, target, ends = torch.from_numpy(data.table), torch.from_numpy(data.target), []
    for _ in range(6):
        for chosen in torch.randperm(rows).split(batch_size):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(network({"table": table[chosen]}), target[chosen])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        ends.append(clock())
    return statistics.median(np.diff(ends))

"""Trainings to be timed: medloop's loop, the loops that people write, scikit-learn's, and several processes.

Each gives the seconds of an epoch, the median of those after the first.
"""

import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts.examples import Examples, Form, Inputs, Kind
from contracts.payloads import Payloads, ragged
from models.params import TrainParams
from models.training import fit

if TYPE_CHECKING:
    from torch import Tensor, nn

COLUMNS, EPOCHS, BATCH, RATE = 64, 6, 64, 5e-4
FORMS = {
    "image": Form(kind="image", channels=["grey"], size=[28, 28], centre=[128.0], spread=[74.0]),
    "sequence": Form(kind="sequence", channels=["a", "b", "c", "d"], longest=32),
    "text": Form(kind="text", longest=32, vocabulary=1000),
}
Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Work:
    """A network of this family, on rows with a column of this kind."""

    family: str
    kind: Kind
    rows: int
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> Inputs:
        """Of two classes."""
        columns = [f"c{i}" for i in range(COLUMNS)] if self.kind == "table" else []
        payloads = {kind: form for kind, form in FORMS.items() if kind == self.kind}
        return Inputs(columns=columns, classes=["no", "yes"], positive=1, payloads=payloads)

    def examples(self, rows: int, seed: int) -> Examples:
        """Rows drawn at random; sequences and texts are 8 to 32 long."""
        rng = np.random.default_rng(seed)
        table = rng.normal(size=(rows, len(self.inputs.columns))).astype(np.float32)
        return Examples(table=table, payloads=self._payloads(rows, rng), target=rng.integers(0, 2, rows))

    def _payloads(self, rows: int, rng: np.random.Generator) -> dict[str, Payloads]:
        lengths = rng.integers(8, 33, rows)
        if self.kind == "image":
            return {
                "image": Payloads(values=rng.integers(1, 256, (rows, 1, 28, 28)).astype(np.uint8), channels=("grey",))
            }
        if self.kind == "sequence":
            steps = [rng.normal(size=(length, 4)).astype(np.float32) for length in lengths]
            return {"sequence": ragged(steps, None, ("a", "b", "c", "d"), like=steps[0])}
        if self.kind == "text":
            words = [rng.integers(2, 1000, length).astype(np.int32) for length in lengths]
            return {"text": ragged(words, like=words[0])}
        return {}


WORKS = {
    "mlp": Work(family="mlp", kind="table", rows=8192),
    "cnn": Work(family="cnn", kind="image", rows=512),
    "lstm": Work(family="rnn", kind="sequence", rows=1024),
    "transformer": Work(family="transformer", kind="text", rows=512),
}


def ours(work: Work, clock: Clock, say: object = None, **settings: Any) -> float:
    """medloop's training, of one thread: with validation, metrics, reports, the best weights and a checkpoint."""
    ends = []
    with TemporaryDirectory() as folder:
        fit(
            work.family,
            work.config,
            TrainParams(**{"epochs": EPOCHS, "patience": 99, **settings}),
            inputs=work.inputs,
            train=work.examples(work.rows, 0),
            validation=work.examples(BATCH, 1),
            checkpoints=Path(folder),
            history=lambda row: ends.append(clock()),
        )
    return statistics.median(np.diff(ends))


def as_worker(work: Work, settings: dict[str, Any], say: object) -> float:
    """The same by the clock on the wall, in one of several processes."""
    return ours(work, time.perf_counter, **settings)


def by_hand(work: Work, clock: Clock) -> float:
    """The same network and optimiser in the shortest loop: all rows one tensor, batches selected from it."""
    import torch

    network, whole, target = _laid_out(work)
    optimizer, ends = _optimizer(network), []
    for _ in range(EPOCHS):
        for chosen in torch.randperm(work.rows).split(BATCH):
            optimizer.zero_grad()
            batch = _trimmed({name: tensor[chosen] for name, tensor in whole.items()})
            loss = torch.nn.functional.cross_entropy(network(batch), target[chosen])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        ends.append(clock())
    return statistics.median(np.diff(ends))


def lightning(work: Work, clock: Clock) -> float:
    """The same as Lightning's guide has it: a data loader, automatic optimisation, the loss logged."""
    import pytorch_lightning as pl
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    network, whole, target = _laid_out(work)
    ends: list[float] = []

    class Module(pl.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def training_step(self, rows: "list[Tensor]", number: int) -> "Tensor":
            *tensors, labels = rows
            outputs = self.network(_trimmed(dict(zip(whole, tensors, strict=True))))
            loss = torch.nn.functional.cross_entropy(outputs, labels)
            self.log("train_loss", loss)
            return loss

        def on_train_epoch_end(self) -> None:
            ends.append(clock())

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return _optimizer(self.network)

    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    rows = DataLoader(TensorDataset(*whole.values(), target), batch_size=BATCH, shuffle=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        trainer = pl.Trainer(max_epochs=EPOCHS, accelerator="cpu", enable_model_summary=False, **quiet)
        trainer.fit(Module(), rows)
    return statistics.median(np.diff(ends))


def scikit(work: Work, clock: Clock) -> float:
    """scikit-learn's network of about as many weights (three layers of 128 units), by Adam."""
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    data, ends = work.examples(work.rows, 0), []
    network = MLPClassifier((128, 128, 128), solver="adam", batch_size=BATCH, learning_rate_init=RATE)
    with threadpool_limits(1):
        for _ in range(EPOCHS):
            network.partial_fit(data.table, data.target, classes=[0, 1])
            ends.append(clock())
    return statistics.median(np.diff(ends))


def _laid_out(work: Work) -> "tuple[nn.Module, dict[str, Tensor], Tensor]":
    """The network, all rows as one batch, and their labels."""
    import torch

    from models.batches import laid_out
    from models.family import load
    from models.network import Network

    torch.set_num_threads(1)
    family = load(work.family)
    rows = laid_out(work.examples(work.rows, 0), work.inputs, family.READS)
    network = Network(family, work.inputs, family.Config(**work.config)).train()
    return network, rows.batch(torch.arange(work.rows)), rows.target


def _trimmed(batch: "dict[str, Tensor]") -> "dict[str, Tensor]":
    """Without the steps that none of its rows has."""
    for name in [name for name in batch if name.startswith("length/")]:
        longest = int(batch[name].max())
        ragged = [key for key in batch if key.startswith(("sequence/", "text/"))]
        batch |= {key: batch[key][:, :longest] for key in ragged}
    return batch


def _optimizer(network: "nn.Module") -> Any:
    import torch

    return torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.1, fused=True)

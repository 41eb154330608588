"""Rows on the device, and what a network is given of some of them.

A batch is a mapping of tensors, so that it can be traced and exported:
    table               (B, F) float32
    image/COLUMN        (B, C, H, W) float32, scaled by channel
    sequence/COLUMN     (B, T, C) float32, 0 beyond a row's own steps; where steps carry moments, the last channel is
                        the logarithm of the time since the step before
    text/COLUMN         (B, L) int64, 0 beyond a row's own tokens
    length/COLUMN       (B,) int64, the steps or tokens of a row
    present/COLUMN      (B,) bool, whether the row has a payload; an image of zeros alone is none
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contracts.examples import Examples, Form, Inputs, Kind
from contracts.payloads import Payloads

Batch = dict[str, Tensor]

SHARE_OF_DEVICE = 0.5  # of a GPU's free memory that payloads may take; larger ones stay beside it
SCORED_AT_ONCE = 1 << 26  # bytes of input, of which activations take a multiple


def keys(forms: Mapping[str, Form]) -> list[tuple[str, str]]:
    """What each column's encoder is given of a batch: the payload, and whether it is there or how long it is."""
    return [(f"{form.kind}/{n}", f"{'present' if form.kind == 'image' else 'length'}/{n}") for n, form in forms.items()]


@dataclass(frozen=True, kw_only=True)
class Store:
    """One column of payloads. Shape: as `contracts.payloads` has them; present (N,) bool, of images; elapsed (S,)."""

    form: Form
    values: Tensor
    present: Tensor | None = None
    offsets: Tensor | None = None
    elapsed: Tensor | None = None

    def to(self, device: torch.device) -> "Store":
        """The same payloads on `device`, unless they would fill it."""
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if self.values.nbytes > SHARE_OF_DEVICE * free:
                return self
        present, offsets, elapsed = (
            None if t is None else t.to(device) for t in (self.present, self.offsets, self.elapsed)
        )
        values = self.values.to(device)
        return replace(self, values=values, present=present, offsets=offsets, elapsed=elapsed)

    def batch(self, name: str, at: Tensor, device: torch.device) -> Batch:
        """The payloads at these places. Shape: at (B,)."""
        at = at.to(self.values.device)
        made = self._images(name, at, device) if self.offsets is None else self._ragged(name, at)
        return {key: tensor.to(device) for key, tensor in made.items()}

    def _images(self, name: str, at: Tensor, device: torch.device) -> Batch:
        assert self.present is not None
        present = self.present.index_select(0, at).to(device)
        centre, spread = torch.tensor([self.form.centre, self.form.spread], device=device)[..., None, None]
        pixels = self.values.index_select(0, at).to(device).float().sub_(centre).div_(spread)
        return {f"image/{name}": pixels.mul_(present.view(-1, 1, 1, 1)), f"present/{name}": present}

    def _ragged(self, name: str, at: Tensor) -> Batch:
        assert self.offsets is not None
        start = self.offsets.index_select(0, at)
        length = self.offsets.index_select(0, at + 1) - start
        steps = torch.arange(max(int(length.max()), 1), device=at.device)
        inside = steps < length[:, None]
        place = torch.where(inside, start[:, None] + steps, 0)
        made = {f"length/{name}": length, f"present/{name}": length > 0}
        if self.form.kind == "text":
            return {**made, f"text/{name}": torch.where(inside, self.values[place].long(), 0)}
        parts = [self.values[place]] if self.elapsed is None else [self.values[place], self.elapsed[place][..., None]]
        return {**made, f"sequence/{name}": torch.cat(parts, dim=2) * inside[..., None]}


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows as tensors; only the kinds of columns that a family reads.

    Shape: table (N, F), at (N,) places in the stores, target (N,), weight (N,) of mean 1.
    """

    table: Tensor
    stores: dict[str, Store]
    at: Tensor
    target: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.at)

    @property
    def forms(self) -> dict[str, Form]:
        """What is known of each column of payloads."""
        return {name: store.form for name, store in self.stores.items()}

    def to(self, device: torch.device) -> "Rows":
        """The same rows on `device`."""
        own = {name: getattr(self, name).to(device) for name in ("table", "at", "target", "weight")}
        return Rows(**own, stores={name: store.to(device) for name, store in self.stores.items()})

    def batch(self, rows: Tensor) -> Batch:
        """What a network is given of these rows. Shape: rows (B,) their numbers."""
        batch = {"table": self.table.index_select(0, rows)} if self.table.shape[1] else {}
        if self.stores:
            at = self.at.index_select(0, rows)
            for name, store in self.stores.items():
                batch |= store.batch(name, at, rows.device)
        return batch

    def slices(self) -> list[Tensor]:
        """All row numbers in pieces that can be scored at once."""
        bytes_of_row = 4 * self.table.shape[1]
        for store in self.stores.values():
            numbers = store.values[:1].numel() * (store.form.longest or 1)
            bytes_of_row += 4 * numbers
        rows = max(1, min(4096, SCORED_AT_ONCE // max(bytes_of_row, 1)))
        return list(torch.split(torch.arange(len(self), device=self.at.device), rows))


def laid_out(examples: Examples, inputs: Inputs, reads: Sequence[Kind]) -> Rows:
    """The rows as tensors, of the kinds of columns in `reads`; without "table" the table has no columns."""
    rows = len(examples)
    at = np.arange(rows) if examples.at is None else examples.at
    table = examples.table if "table" in reads else examples.table[:, :0]
    weight = np.ones(rows, dtype=np.float32) if examples.weight is None else examples.weight
    target = np.zeros(rows, dtype=np.int64) if examples.target is None else examples.target
    return Rows(
        table=torch.from_numpy(np.ascontiguousarray(table)),
        stores={
            name: _store(examples.payloads[name], form) for name, form in inputs.payloads.items() if form.kind in reads
        },
        at=torch.from_numpy(np.ascontiguousarray(at)),
        target=torch.from_numpy(np.array(target)),
        weight=torch.from_numpy(np.array(weight)),
    )


def _store(payloads: Payloads, form: Form) -> Store:
    values = payloads.values
    if values.dtype == np.uint16:  # of which torch can select no rows
        values = values.astype(np.int32)
    if payloads.offsets is None:
        present = values.reshape(len(values), -1).any(axis=1)
        return Store(form=form, values=_shared(values), present=torch.from_numpy(present))
    if not len(values):  # a row without a step looks at the first one, and leaves it out
        values = np.zeros((1, *values.shape[1:]), values.dtype)
    offsets = torch.from_numpy(np.array(payloads.offsets))
    return Store(form=form, values=_shared(values), offsets=offsets, elapsed=_elapsed(payloads, form))


def _shared(values: NDArray[Any]) -> Tensor:
    """A tensor over the same memory, also where that is a file that may only be read; nothing here writes to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(values))


def _elapsed(payloads: Payloads, form: Form) -> Tensor | None:
    """log(1 + time since the step before / pace); 0 at the first step. Shape: (S,)."""
    if not form.pace:
        return None
    assert payloads.times is not None and payloads.offsets is not None
    since = np.diff(payloads.times, prepend=payloads.times[:1])
    first = payloads.offsets[:-1][np.diff(payloads.offsets) > 0]
    since[first] = 0
    logs = np.log1p(np.maximum(since, 0) / form.pace).astype(np.float32)
    return torch.from_numpy(logs if len(logs) else np.zeros(1, dtype=np.float32))

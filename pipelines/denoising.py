"""Gaps of numeric columns filled by a denoising autoencoder that learnt to restore hidden cells of training rows.

MIDA: Gondara and Wang, PAKDD 2018; here the network is told which cells are missing, the loss counts hidden cells that
have a value only, and a linear way from input to output stands beside the hidden layers, since a clinical table is
mostly linear.
"""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.study import Frozen
from pipelines.regression import Array, Gaps, renewed, units

if TYPE_CHECKING:
    import torch

LEAST_HIDDEN, MOST_HIDDEN = 16, 64
BATCH, STEPS, CHECKS, PATIENCE = 256, 20, 60, 10  # at most so many steps between checks on the rows held out
RATE, DECAY, MOST_HELD = 8e-3, 1e-3, 2000
HIDDEN_SHARES = (0.1, 0.5)  # of a row's cells, drawn anew for each row and step
FURTHEST = 4.0  # standard deviations from the mean: no input and no fill lies beyond


class Layer(Frozen):
    """Weights (outputs, inputs) and bias (outputs,) as base64 of little-endian float32."""

    inputs: int
    weight: str
    bias: str


class Denoiser(Frozen):
    """A network on K columns in standard units, gaps at 0, and K signs of where a value is.

    center, scale: by column. filled: the columns that it fills. layers: two hidden ones (tanh) and the output; `linear`
    leads from the input to the output directly.
    """

    center: dict[str, float]
    scale: dict[str, float]
    filled: tuple[str, ...]
    layers: tuple[Layer, ...]
    linear: Layer


def fit_denoiser(train: pd.DataFrame, columns: list[str], filled: list[str], *, seed: int) -> Denoiser:
    """Train on the rows of nine tenths of the patients until the others' hidden cells are restored no better."""
    center, scale, gaps = units(train, columns)
    standard = (train[columns].to_numpy(dtype=np.float64) - center) / scale
    values = np.clip(np.nan_to_num(standard), -FURTHEST, FURTHEST).astype(np.float32)
    patients = train["@group"] if "@group" in train else train["@id"]
    layers = _trained(values, ~gaps, pd.factorize(patients, sort=True)[0], seed)
    return Denoiser(
        center=dict(zip(columns, center.tolist(), strict=True)),
        scale=dict(zip(columns, scale.tolist(), strict=True)),
        filled=tuple(filled),
        layers=tuple(layers[:-1]),
        linear=layers[-1],
    )


def fill_denoised(denoiser: Denoiser, samples: pd.DataFrame) -> dict[str, "pd.Series[Any]"]:
    """The columns of `denoiser.filled` without gaps; each row on its own."""

    def renew(standard: Array, gaps: Gaps) -> None:
        restored = _restore(denoiser, np.where(gaps, 0, standard.clip(-FURTHEST, FURTHEST)), ~gaps)
        standard[gaps] = restored[gaps].clip(-FURTHEST, FURTHEST)

    restored = renewed(samples, denoiser.center, denoiser.scale, denoiser.center, renew)
    return {name: samples[name].fillna(restored[name]) for name in denoiser.filled}


def _restore(denoiser: Denoiser, values: Array, known: Gaps) -> Array:
    inputs = np.hstack([values, known])
    hidden = inputs
    for layer in denoiser.layers[:-1]:
        hidden = np.tanh(_through(layer, hidden))
    return _through(denoiser.layers[-1], hidden) + _through(denoiser.linear, inputs)


def _through(layer: Layer, inputs: Array) -> Array:
    """(N, outputs) in sums that do not depend on how many rows there are."""
    weight = _numbers(layer.weight).reshape(-1, layer.inputs)
    return np.asarray(np.einsum("ni,oi->no", inputs, weight) + _numbers(layer.bias))


def _numbers(text: str) -> Array:
    return np.frombuffer(base64.b64decode(text), dtype="<f4").astype(np.float64)


def _text(numbers: "torch.Tensor") -> str:
    return base64.b64encode(numbers.detach().numpy().astype("<f4").tobytes()).decode()


def _trained(values: NDArray[np.float32], known: Gaps, patient: NDArray[np.int64], seed: int) -> list[Layer]:
    rng = np.random.default_rng(seed)
    order = rng.permutation(patient.max() + 1)
    aside = np.isin(patient, order[: len(order) // 10])
    held = np.flatnonzero(aside if aside.any() else ~aside)
    held = rng.permutation(held)[:MOST_HELD]
    with _one_thread(seed):
        layers = _network(values.shape[1])
        _descend(layers, values, known, np.flatnonzero(~aside), held, rng)
        return [Layer(inputs=one.in_features, weight=_text(one.weight), bias=_text(one.bias)) for one in layers]


@contextmanager
def _one_thread(seed: int) -> Iterator[None]:
    """The order of summation depends on the number of threads; torch's own state is left as it was."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def _network(columns: int) -> "list[torch.nn.Linear]":
    from torch.nn import Linear, init

    hidden = int(np.clip(2 * columns, LEAST_HIDDEN, MOST_HIDDEN))
    layers = [
        Linear(2 * columns, hidden),
        Linear(hidden, hidden),
        Linear(hidden, columns),
        Linear(2 * columns, columns),
    ]
    for output in layers[2:]:
        init.zeros_(output.weight)
        init.zeros_(output.bias)
    return layers


def _descend(
    layers: "list[torch.nn.Linear]",
    values: NDArray[np.float32],
    known: Gaps,
    rows: NDArray[np.int64],
    held: NDArray[np.int64],
    rng: np.random.Generator,
) -> None:
    """Adam on `rows` until the error on those `held` out falls no more; the best weights stay."""
    import torch

    weights = [weight for layer in layers for weight in layer.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=RATE, weight_decay=DECAY, fused=True)
    shown = known[held] & ~_hidden(rng, *known[held].shape)
    best, since = np.inf, 0
    kept = [weight.detach().clone() for weight in weights]
    for check in range(CHECKS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - check / CHECKS)
        for _ in range(min(STEPS, 4 + len(rows) // 64)):
            batch = rng.choice(rows, BATCH)
            optimiser.zero_grad()
            seen = known[batch] & ~_hidden(rng, BATCH, known.shape[1])
            _error(layers, values[batch], known[batch], seen).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.no_grad():
            error = float(_error(layers, values[held], known[held], shown))
        since += 1
        if error < best:
            best, since, kept = error, 0, [weight.detach().clone() for weight in weights]
        if since == PATIENCE:
            break
    torch.nn.utils.vector_to_parameters(torch.nn.utils.parameters_to_vector(kept), weights)


def _hidden(rng: np.random.Generator, rows: int, columns: int) -> Gaps:
    return rng.random((rows, columns)) < rng.uniform(*HIDDEN_SHARES, (rows, 1))


def _error(layers: "list[torch.nn.Linear]", values: NDArray[np.float32], known: Gaps, shown: Gaps) -> "torch.Tensor":
    """The mean squared error over the cells that have a value and are not shown."""
    import torch

    inputs = torch.from_numpy(np.hstack([values * shown, shown.astype(np.float32)]))
    restored = layers[2](torch.tanh(layers[1](torch.tanh(layers[0](inputs))))) + layers[3](inputs)
    asked = torch.from_numpy((known & ~shown).astype(np.float32))
    error: torch.Tensor = ((restored - torch.from_numpy(values)) ** 2 * asked).sum() / asked.sum().clamp(min=1)
    return error

"""How badly a pre-trained autoencoder restores a row, which tells how unlike the training rows it is.

The row's error is compared with those of the validation rows, which the weights were not fitted to: the share of them
with a smaller one is 1 minus the conformal p-value of Laxhammar & Falkman, Conformal prediction for distribution
independent anomaly detection (2010). Training rows are restored better than new ones, the more so the larger the
network and the fewer the rows.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contracts.examples import Inputs
from models.batches import Rows
from models.family import AUTOENCODER
from models.network import filled, outputs

PERCENTILES = "percentiles"  # of the validation rows' errors, from the 0th to the 100th; shape (101,)


def named(weights: Mapping[str, NDArray[Any]], usual: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """An autoencoder's weights and the percentiles of errors, by the names that they have in a model."""
    return {AUTOENCODER + name: array for name, array in [*weights.items(), (PERCENTILES, usual)]}


def encoder_of(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """The weights of the autoencoder's encoder, by the names that they have in the encoder."""
    begin = f"{AUTOENCODER}encoder."
    return {name.removeprefix(begin): torch.from_numpy(arrays[name]) for name in arrays if name.startswith(begin)}


def percentiles(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shape: (N,) -> (101,); of the rows that have anything to restore."""
    some = errors[errors > 0]
    return np.percentile(some if len(some) else [0.0], np.arange(101))


def errors(
    family: ModuleType, inputs: Inputs, config: object, weights: Mapping[str, NDArray[Any]], rows: Rows
) -> NDArray[np.float64]:
    """Each row's error, on the GPU when there is one; 0 where it has nothing to restore. Shape: N rows -> (N,)."""
    with torch.device("meta"):
        network = family.Autoencoder(inputs, config)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    given = outputs(filled(network, weights).to(device), rows.to(device))
    return np.asarray(given.double().cpu().numpy(), dtype=np.float64)


def unusual(
    family: ModuleType, inputs: Inputs, config: object, arrays: Mapping[str, NDArray[Any]], rows: Rows
) -> NDArray[np.float64]:
    """The share of validation rows that were restored better, NaN where there is nothing to restore. Shape: (N,)."""
    own = {name.removeprefix(AUTOENCODER): array for name, array in arrays.items() if name.startswith(AUTOENCODER)}
    usual = own.pop(PERCENTILES)
    error = errors(family, inputs, config, own, rows)
    return np.where(error > 0, np.interp(error, usual, np.linspace(0, 1, len(usual))), np.nan)

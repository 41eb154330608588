"""What a model is given and gives back: plain arrays, so that `models` runs without pandas."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Rows ready for a model.

    Shape:
        features: by kind of column; "table" is (N, F) float32
        target: (N,) int64, the class's index; None when scoring new rows
        weight: (N,) float32, None for ones
    """

    features: dict[str, NDArray[np.float32]]
    target: NDArray[np.int64] | None = None
    weight: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.features.values())))


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a model must know of its inputs before it sees them; saved beside its weights.

    `columns` names the columns of each kind ("table": the F features), `classes` the labels by index.
    """

    columns: dict[str, list[str]]
    classes: list[str]
    positive: int

"""The metrics that a training is watched by."""

import numpy as np
from numpy.typing import NDArray

from contracts.examples import Examples


def scores(probabilities: NDArray[np.float64], examples: Examples, positive: int) -> dict[str, float]:
    """`validation_` auroc, average_precision and loss (nats a row).

    Two classes: of the positive one. More: the mean, one class against the rest, of those that occur.

    Shape: probabilities (N, C).
    """
    from torch import from_numpy
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    assert examples.target is not None
    classes = [positive] if probabilities.shape[1] == 2 else np.unique(examples.target).tolist()
    given, target = from_numpy(probabilities), from_numpy(examples.target)
    pairs = [(given[:, c], (target == c).long()) for c in classes]
    own = probabilities[np.arange(len(examples)), examples.target]
    return {
        "validation_auroc": float(np.mean([binary_auroc(*pair).item() for pair in pairs])),
        "validation_average_precision": float(np.mean([binary_average_precision(*pair).item() for pair in pairs])),
        "validation_loss": float(np.average(-np.log(np.maximum(own, 1e-15)), weights=examples.weight)),
    }

"""Training a model of any family: checks, the fit itself, the threshold."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError, listed
from contracts.examples import Examples, Inputs
from models.family import configured, is_network
from models.family import load as load_family
from models.store import Trained, check_features, score
from models.threshold import ThresholdMetric, choose

Row = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class TrainParams:
    """How to train. A baseline heeds `seed`, `threads` and `threshold` alone.

    epochs: most passes over the training rows
    batch_size: rows a step
    learning_rate, weight_decay: AdamW's; the decay spares biases and normalisations
    label_smoothing: share of the label spread over all classes (Szegedy et al., CVPR 2016)
    monitor: the validation metric by which the best epoch is chosen
    patience: epochs without a better one after which training stops
    min_delta: by how much an epoch must be better to count
    threshold: the metric that the decision's threshold maximises on validation rows, or the threshold itself
    seed: of the initial weights, the order of rows and dropout
    threads: CPU threads; another number gives other last bits
    deterministic: let torch use only algorithms that give the same bits each time
    accelerator: Lightning's: auto takes a GPU when there is one
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 5e-4
    weight_decay: float = 0.1
    label_smoothing: float = 0.0
    monitor: Literal["auroc", "average_precision", "loss"] = "auroc"
    patience: int = 15
    min_delta: float = 0.0
    threshold: ThresholdMetric | float = "balanced_accuracy"
    seed: int = 0
    threads: int = 1
    deterministic: bool = True
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size, self.patience, self.threads) < 1:
            raise ValueError("epochs, batch_size, patience and threads are 1 or more")
        if self.learning_rate <= 0 or self.weight_decay < 0 or self.min_delta < 0 or self.seed < 0:
            raise ValueError("learning_rate is above 0, weight_decay, min_delta and seed 0 or more")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing lies in [0, 1); got {self.label_smoothing}")
        if isinstance(self.threshold, float | int) and not 0 < self.threshold < 1:
            raise ValueError(f"a fixed threshold lies between 0 and 1; got {self.threshold}")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a training is: `value` and `best` are of `metric`, on validation rows."""

    epoch: int
    epochs: int
    metric: str
    value: float
    best: float


def fit(
    family: str,
    config: object,
    params: TrainParams,
    *,
    inputs: Inputs,
    train: Examples,
    validation: Examples,
    checkpoints: Path,
    history: Callable[[Row], None],
    progress: Callable[[Progress], None] | None = None,
    save_every: float = 10.0,
) -> Trained:
    """Train, keep the weights of the best epoch, choose the threshold on the validation rows.

    A training that was killed goes on from `checkpoints` when called again with the same data and settings,
    to the bits it would have had; the folder is the caller's to remove afterwards. `history` gets each
    epoch's row once, those before a resumption too; a baseline gives one row.

    config: the family's `Config` or its keys; save_every: seconds between checkpoints

    Raises MedloopError: an unknown model or setting, unusable cells, a class without rows, a loss that is not finite.
    """
    settings = configured(family, config)
    for name, part in (("training", train), ("validation", validation)):
        check_features(part, inputs, where=f"{name} rows")
    check_classes(train, validation, inputs)
    train = _weighed(train)
    module = load_family(family)
    ran_on = {"device": "cpu"}
    if is_network(module):
        from models.loop import Watch, fit_network

        recipe = _recipe(family, settings, params, inputs, train, validation)
        watch = Watch(checkpoints, recipe, save_every, history, progress)
        arrays, facts, ran_on = fit_network(module, settings, params, inputs, train, validation, watch)
    else:
        arrays, facts = module.fit(
            train, validation, config=settings, inputs=inputs, seed=params.seed, threads=params.threads
        )
    probabilities = score(family, settings, inputs, arrays, validation)
    if not is_network(module):
        facts |= scores(probabilities, validation, inputs.positive)
        history({"epoch": 1.0, **facts})
    return Trained(
        family=family,
        config=_plain(settings),
        params=_plain(params),
        inputs=inputs,
        arrays=arrays,
        threshold=_threshold(params, inputs, validation, probabilities),
        facts=facts,
        versions=_versions(module),
        ran_on=ran_on,
    )


def check_classes(train: Examples, validation: Examples, inputs: Inputs) -> None:
    """Raises MedloopError for a label beyond `classes`, a class without training rows, a validation part of one class."""
    for name, part in (("training", train), ("validation", validation)):
        if part.target is None or len(part.target) != len(part):
            raise MedloopError(f"expected a label for each of the {len(part)} {name} rows")
        found = set(np.unique(part.target).tolist())
        if not found <= set(range(len(inputs.classes))):
            raise MedloopError(f"a label is none of the {len(inputs.classes)} classes", where=f"{name} rows")
        absent = [label for index, label in enumerate(inputs.classes) if index not in found]
        if len(found) < 2 or (absent and part is train):
            raise MedloopError(
                f"no {name} rows of class {listed(absent)}",
                where=f"{name} rows",
                mend="gather more rows, split by class (stratified) or leave the class out of the study",
            )


def scores(probabilities: NDArray[np.float64], examples: Examples, positive: int) -> Row:
    """`validation_` auroc, average_precision and loss (nats a row).

    Two classes: of the positive one. More: the mean, one class against the rest, of those that occur.

    Shape: probabilities (N, C).
    """
    from torch import from_numpy
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    assert examples.target is not None
    classes = [positive] if probabilities.shape[1] == 2 else np.unique(examples.target).tolist()
    pairs = [(from_numpy(probabilities[:, c].copy()), from_numpy((examples.target == c).astype(np.int64))) for c in classes]
    own = probabilities[np.arange(len(examples)), examples.target]
    return {
        "validation_auroc": float(np.mean([binary_auroc(*pair).item() for pair in pairs])),
        "validation_average_precision": float(np.mean([binary_average_precision(*pair).item() for pair in pairs])),
        "validation_loss": float(np.average(-np.log(np.maximum(own, 1e-15)), weights=examples.weight)),
    }


def _weighed(train: Examples) -> Examples:
    """The same rows with weights of mean 1, so that their scale changes neither step size nor penalty."""
    if train.weight is None:
        return train
    if not (np.isfinite(train.weight).all() and train.weight.min() >= 0 and train.weight.sum() > 0):
        raise MedloopError("weights are finite, 0 or more, and not all 0", where="training rows")
    return replace(train, weight=(train.weight / train.weight.mean(dtype=np.float64)).astype(np.float32))


def _threshold(
    params: TrainParams, inputs: Inputs, validation: Examples, probabilities: NDArray[np.float64]
) -> float | None:
    if len(inputs.classes) > 2:
        return None
    if not isinstance(params.threshold, str):
        return float(params.threshold)
    assert validation.target is not None
    return choose(validation.target == inputs.positive, probabilities[:, inputs.positive], params.threshold)


def _recipe(family: str, settings: object, params: TrainParams, inputs: Inputs, *parts: Examples) -> str:
    """The hash of everything that the weights follow from: only the same recipe may be resumed."""
    described = [family, _plain(settings), _plain(params), asdict(inputs)]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for part in parts:
        arrays = [*(part.features[kind] for kind in sorted(part.features)), part.target, part.weight]
        for array in arrays:
            digest.update(b"-" if array is None else np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _plain(settings: Any) -> dict[str, Any]:
    """A settings dataclass as JSON gives it back."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return plain


def _versions(module: ModuleType) -> dict[str, str]:
    """Of the libraries that the weights depend on."""
    used = ["numpy", *(["torch", "pytorch-lightning"] if is_network(module) else ["scikit-learn"])]
    return {name: version(name) for name in used}

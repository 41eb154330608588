"""The weighed mean of what several models say, baselines and networks alike, or one model trained with several seeds.

Networks of several seeds: Lakshminarayanan, Pritzel & Blundell, Simple and scalable predictive uncertainty estimation
using deep ensembles (NeurIPS 2017); how far the members differ shows how sure they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from contracts.examples import Examples, Inputs, Kind
from contracts.tasks import Task
from models.calibration import apply, prior
from models.members import Fitted, arrays_of, members, named
from models.params import LOWER_IS_BETTER, TrainParams
from models.tasks import task_of

READS: tuple[Kind, ...] = ("table", "image", "sequence", "text")
TASKS: tuple[Task, ...] = ("classes", "ordinal", "regression")
Floats = NDArray[np.float64]
Weights = Literal["equal", "greedy"]
ROUNDS = 50


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults read any study whose label is of classes.

    models: by name, each with its settings, and beside those `train`, what goes before the ensemble's settings of the
        training, and `seeds`, how many times it is trained, each time with another seed
    weights: equal; or greedy, chosen on validation rows by `train.monitor`: with fewer than some thousand of these
        equal ones are the better choice
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    models: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {"logistic": {}, "boosting": {"seeds": 3}, "mlp": {"seeds": 2}}
    )
    weights: Weights = "equal"

    def __post_init__(self) -> None:
        if self.weights not in get_args(Weights):
            raise ValueError(f"weights are {' or '.join(get_args(Weights))}; got {self.weights}")
        members(self.models, TrainParams())


def fit(
    fitted: Mapping[str, Fitted],
    validation: Examples,
    *,
    config: Config,
    inputs: Inputs,
    monitor: str,
    shifts: Floats | None = None,
) -> Fitted:
    """The members' arrays under their names, and `weights` (M,), which sum to 1.

    shifts: (M, C) what each member's classes are multiplied by before the mean; kept where it is given
    """
    arrays = {key: array for name, of in fitted.items() for key, array in named(name, of.arrays).items()}
    if shifts is not None:
        arrays["shifts"] = shifts
    weights = np.full(len(fitted), 1 / len(fitted))
    if config.weights == "greedy":
        given = each(arrays, validation, config=config, inputs=inputs)
        scores = task_of(inputs).scores
        weights = chosen(given, lambda predicted: _merit(scores(predicted, validation, inputs), monitor))
    facts = {"members": float(len(fitted))}
    for (name, of), weight in zip(fitted.items(), weights.tolist(), strict=True):
        facts |= {f"{name}/{key}": fact for key, fact in {"weight": weight, **of.facts}.items()}
    ran_on = {key: word for of in fitted.values() for key, word in of.ran_on.items()}
    return Fitted({**arrays, "weights": weights}, facts, ran_on)


def each(arrays: Mapping[str, NDArray[Any]], examples: Examples, *, config: Config, inputs: Inputs) -> Floats:
    """What each member says, its own shift taken back. Shape: N rows -> (M, N, K), K as the task says."""
    from models.store import score

    made = members(config.models, TrainParams())
    given = np.stack(
        [score(of.family, of.config, inputs, arrays_of(name, arrays), examples) for name, of in made.items()]
    )
    if "shifts" not in arrays:
        return given
    return np.stack([apply(prior(shift), of) for shift, of in zip(arrays["shifts"], given, strict=True)])


def chosen(each: Floats, merit: Callable[[Floats], float]) -> Floats:
    """The weights whose mean scores best: members are added one by one, whichever helps most, any of them repeatedly.

    Caruana et al., Ensemble selection from libraries of models (ICML 2004). Shape: (M, N, K) -> (M,).
    """
    counts, total = np.zeros(len(each)), np.zeros_like(each[0])
    weights, best = counts, -np.inf
    for taken in range(1, ROUNDS + 1):
        merits = [merit((total + one) / taken) for one in each]
        pick = int(np.argmax(merits))
        counts[pick] += 1
        total += each[pick]
        if merits[pick] > best:
            weights, best = counts / taken, merits[pick]
    return weights


def _merit(row: Mapping[str, float], monitor: str) -> float:
    return row[f"validation_{monitor}"] * (-1 if monitor in LOWER_IS_BETTER else 1)

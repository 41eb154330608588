"""What an evaluation holds whatever the task, and a model's predictions beside it, as models are compared by."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contracts.errors import MedloopError
from contracts.study import Frozen
from contracts.tasks import Task
from pipelines.bootstrap import Interval, bootstrap, interval

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], dict[str, Floats]]


class EvaluateParams(Frozen):
    """Settings of the evaluation.

    `resamples`: patient-level bootstrap resamples. `confidence`: of every interval. `seed`: of the
    resamples; models are compared on the same ones. `bins`: calibration bins, of equal width; of predicted numbers, of
    equally many rows.
    `min_patients`: a bin of fewer patients shows its count only, for a mean of one is that patient's value.
    """

    resamples: int = Field(default=2000, ge=100)
    confidence: float = Field(default=0.95, gt=0, lt=1)
    seed: int = Field(default=0, ge=0)
    bins: int = Field(default=10, ge=2, le=100)
    min_patients: int = Field(default=5, ge=1)


class Counts(Frozen):
    """Test rows and patients; of classes, rows of the positive one and of each."""

    rows: int
    patients: int
    positives: int = 0
    by_class: dict[str, int] = Field(default={})


class Result(Frozen):
    """A model's test result. Holds no row's value.

    `baseline`: the model is one of the simple ones, which are preferred where a network is no better.
    `spread`: of an ensemble, how far its members differ in what they tell of a row: the mean of the deviations.
    """

    task: ClassVar[Task]
    metrics: dict[str, Interval]
    counts: Counts
    params: EvaluateParams
    baseline: bool = False
    spread: Interval | None = None

    @property
    def measured(self) -> dict[str, Interval]:
        """All that is measured, by name: what runs are compared by."""
        return self.metrics | ({"spread": self.spread} if self.spread else {})

    @property
    @abstractmethod
    def question(self) -> tuple[object, ...]:
        """What was asked: results are compared where it is the same."""

    @abstractmethod
    def asked_of(
        self, target: NDArray[Any], predicted: Floats, group: NDArray[Any], params: EvaluateParams, peers: Sequence[Any]
    ) -> Self:
        """The same question asked of other rows, as of all folds together; `peers` are evaluations of this kind, whose
        decisions are averaged where there is a threshold. Shape: target (N,), predicted (N, K), group (N,).
        """

    @abstractmethod
    def statistic(self, target: NDArray[Any], predicted: Floats, metric: str) -> Statistic:
        """The metric from row weights (B, N) to (B,), by its name; `predicted` (N, K) as the task gives it."""

    def statistics(self, target: NDArray[Any], predicted: Floats, metrics: Sequence[str]) -> Statistic:
        """Several metrics at once; a task that works all of them out together says so."""
        each = [self.statistic(target, predicted, metric) for metric in metrics]
        return lambda weight: {name: value for one in each for name, value in one(weight).items()}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One model's evaluation and the predictions behind it.

    Shape: `target` (N,) class indices or numbers, `predicted` (N, K) what the task tells of each row, such as a
    probability a class, `group` (N,) the patient; rows in the same order for all.
    """

    evaluation: Result
    target: NDArray[Any]
    predicted: Floats
    group: NDArray[Any]


def check_rows(target: NDArray[Any], predicted: Floats, group: NDArray[Any], columns: int) -> None:
    """Raises MedloopError where arrays do not fit together. Shape: target (N,), predicted (N, columns), group (N,)."""
    if predicted.shape != (len(target), columns) or len(group) != len(target) or not len(target):
        raise MedloopError(
            f"expected {len(target)} rows of {columns} predicted numbers, got {predicted.shape} for "
            f"{len(group)} patients' rows",
            mend="evaluate the model on the very rows whose labels and patients are given",
        )


def mean_interval(values: Floats, group: NDArray[Any], params: EvaluateParams) -> Interval:
    """Their mean, with an interval by patient. Shape: values (N,), group (N,)."""
    drawn = bootstrap(
        lambda w: {"mean": w @ values / w.sum(axis=1)}, group, resamples=params.resamples, seed=params.seed
    )
    return interval(float(values.mean()), drawn["mean"], params.confidence)

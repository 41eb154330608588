"""What a model tells of a label: one module a task, found by the task's name; all that differs by task lies there.

A network's head gives `outputs(inputs)` numbers a row, on whatever scale the task's loss works, and a baseline as many.
`predicted` makes of them what is told of a row, such as the probability of each class.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError
from contracts.examples import Examples, Inputs
from contracts.names import nearest
from contracts.tasks import Asked, Task
from models.calibration import Calibration
from models.held_out import HeldOut
from models.params import TrainParams
from models.tasks import classes, forecasting, multilabel, ordinal, regression, survival, tagging
from models.threshold import Threshold

if TYPE_CHECKING:
    from torch import Tensor, nn

Floats = NDArray[np.float64]


class TaskModule(Protocol):
    """What a module here has.

    SETTINGS: by setting of training, the values that fit the task, its usual one first.
    HEADLINE: how the fact that sums up a training is called, and its key.
    """

    SETTINGS: Mapping[str, tuple[str, ...]]
    HEADLINE: tuple[str, str]

    def outputs(self, inputs: Inputs) -> int:
        """How many numbers the head gives a row."""

    def informed(self, inputs: Inputs, train: Examples) -> Inputs:
        """`inputs` with what is learnt of the training rows' labels."""

    def check(self, train: Examples, validation: Examples, inputs: Inputs, params: TrainParams) -> None:
        """Raises MedloopError for labels that nothing can be trained on."""

    def loss(self, inputs: Inputs, params: TrainParams, target: "Tensor", weight: "Tensor") -> "nn.Module":
        """(outputs (B, K), target as `Examples` has it) -> (B,), the loss; `target`, `weight` of training rows."""

    def predicted(self, outputs: Floats, inputs: Inputs) -> Floats:
        """What is told of each row, before calibration."""

    def scores(self, predicted: Floats, examples: Examples, inputs: Inputs) -> dict[str, float]:
        """The metrics that a training is watched by, `validation_loss` among them."""

    def finished(self, held: HeldOut) -> tuple[Calibration | None, Threshold]:
        """How predictions are mended, and the threshold of a decision; learnt on validation rows."""

    def columns(self, target: Asked) -> dict[str, str]:
        """What new rows are given, `predicted` first: by column "string" or "double".

        Those that are double hold the numbers of `predicted`, after calibration, in their order.
        """

    def answers(self, predicted: Floats, inputs: Inputs, threshold: Threshold) -> list[NDArray[Any]]:
        """These columns, each (N,)."""


MODULES: dict[Task, TaskModule] = {
    "classes": classes,
    "ordinal": ordinal,
    "regression": regression,
    "forecasting": forecasting,
    "survival": survival,
    "multilabel": multilabel,
    "tagging": tagging,
}


def task_of(inputs: Inputs) -> TaskModule:
    """The module of the task that these inputs are for."""
    return MODULES[inputs.task]


def check_params(task: Task, params: TrainParams) -> None:
    """Raises MedloopError for a setting of training that is another task's."""
    for name, fitting in MODULES[task].SETTINGS.items():
        value = str(getattr(params, name))
        if value not in fitting:
            raise MedloopError(
                f"{name}: {value} does not fit the task {task}{nearest(value, fitting)}",
                where=f"train.{name}",
                mend=f"one of: {', '.join(fitting)}",
            )

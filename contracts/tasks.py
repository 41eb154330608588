"""What a model can be asked to tell of a label; each has a module of its name in `models/tasks`, `pipelines/tasks`."""

from collections.abc import Sequence
from typing import Literal, Protocol, get_args

Task = Literal["classes", "ordinal", "regression", "survival", "multilabel", "forecasting", "tagging"]
TASKS: tuple[Task, ...] = get_args(Task)


class Asked(Protocol):
    """What of a study's label the columns of its predictions are named by; see `contracts.target`."""

    @property
    def classes(self) -> Sequence[str]:
        """The classes there are."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns of several yes or no answers."""

    @property
    def horizon(self) -> float | None:
        """The time by which the risk of an event is told; of a forecast, how many values."""

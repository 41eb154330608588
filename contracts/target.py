"""The label of a study: which column it is, and what a model is to tell of it."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from contracts.frozen import Frozen, Text
from contracts.names import nearest
from contracts.tasks import TASKS, Task


class Target(Frozen):
    """The label: which column, and what is to be told of it.

    `task` "classes": which of the `classes`, as they are written in the source; of two, which is the `positive` one.
    "ordinal": which of the `classes`, three or more, lowest first.
    "regression": the number itself; unit, range, conversions and codes are declared under `columns` like any other's.
    """

    column: str
    task: Task = Field(default="classes", exclude_if=lambda task: task == "classes")
    classes: tuple[Text, ...] = ()
    positive: Text | None = None

    @field_validator("task", mode="before")
    @classmethod
    def _known(cls, task: object) -> object:
        if task not in TASKS:
            raise ValueError(f"unknown task {task}{nearest(str(task), TASKS)}; one of: {', '.join(TASKS)}")
        return task

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.task != "classes" and self.positive is not None:
            raise ValueError(f"positive is said of a label of two classes, this one's task is {self.task}")
        if self.task == "regression":
            if self.classes:
                raise ValueError("classes are said of a label of classes, this one's task is regression")
            return self
        if self.task == "ordinal" and len(set(self.classes)) < 3:
            raise ValueError("a label of classes in order has three or more: classes: [low, middle, high]")
        if len(set(self.classes)) < 2:
            raise ValueError("a label has two classes or more")
        if len(self.classes) == 2 and self.positive is None:
            raise ValueError("a label of two classes says which is `positive`")
        if self.positive is not None and self.positive not in self.classes:
            raise ValueError(f"positive: {self.positive} is none of the classes {list(self.classes)}")
        return self

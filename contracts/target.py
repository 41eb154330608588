"""The label of a study: which column it is, and what a model is to tell of it."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from contracts.answers import MOST
from contracts.frozen import Frozen, Text
from contracts.names import nearest
from contracts.tasks import TASKS, Task


class Target(Frozen):
    """The label: which column, and what is to be told of it.

    `task` "classes": which of the `classes`, as they are written in the source; of two, which is the `positive` one.
    "ordinal": which of the `classes`, three or more, lowest first.
    "regression": the number itself; unit, range, conversions and codes are declared under `columns` like any other's.
    "survival": how long until an event. The column is the time to it or to the last contact, a number with its unit;
    `event` the column that says whether it happened, with its `classes`, of which the `positive` one is the event and
    all others mean that it had not happened by then; `horizon` the time by which the risk is told and judged.
    "multilabel": which of several things are so, each told by one of the `columns`, whose two `classes` and which of
    them is `positive` are the same for all; what is not known of one column is left out of that column alone.
    "tagging": where in the study's one column of texts something is named, and what. Each cell of the column is a list
    of spans, [[start, end, "label"], …], by the characters of the text as it is written (from 0, the end not included),
    whose labels are the `classes`; they do not overlap. [] says that there is none, a blank cell that nobody looked.
    "forecasting": the next `horizon` values of one `channel` of a column of sequences, which is an input up to there.
    """

    column: str = Field(default="", exclude_if=lambda column: not column)
    columns: tuple[str, ...] = Field(default=(), exclude_if=lambda columns: not columns)
    task: Task = Field(default="classes", exclude_if=lambda task: task == "classes")
    classes: tuple[Text, ...] = ()
    positive: Text | None = None
    event: str | None = Field(default=None, exclude_if=lambda event: event is None)
    channel: Text | None = Field(default=None, exclude_if=lambda channel: channel is None)
    horizon: float | None = Field(default=None, gt=0, allow_inf_nan=False, exclude_if=lambda horizon: horizon is None)

    @field_validator("task", mode="before")
    @classmethod
    def _known(cls, task: object) -> object:
        if task not in TASKS:
            raise ValueError(f"unknown task {task}{nearest(str(task), TASKS)}; one of: {', '.join(TASKS)}")
        return task

    @property
    def read_from(self) -> tuple[str, ...]:
        """The columns that the label is read from; none of them is a feature, but of a forecast."""
        return self.columns or ((self.column, self.event) if self.event else (self.column,))

    @model_validator(mode="after")
    def _of_forecasting(self) -> Self:
        if self.task != "forecasting":
            if self.channel is not None:
                raise ValueError(f"channel is said of a forecast, this label's task is {self.task}")
            return self
        if self.channel is None or self.horizon is None or self.horizon % 1:
            raise ValueError("a forecast names a channel and how many of its values are told: channel: hr, horizon: 3")
        return self

    @model_validator(mode="after")
    def _of_columns(self) -> Self:
        if self.task != "multilabel":
            if self.columns or not self.column:
                raise ValueError(f"a label whose task is {self.task} names its one column: column: NAME")
            return self
        if self.column or len(set(self.columns)) < 2 or len(set(self.columns)) != len(self.columns):
            raise ValueError("a multilabel label names two columns or more, each once: columns: [stroke, diabetes]")
        strange = [name for name in self.columns if name == "none" or "," in name]
        if strange:  # predictions name the labels that are so, or `none`
            raise ValueError(f"a column of a multilabel label is not called none and has no comma; got {strange[0]}")
        if len(self.columns) > MOST:
            raise ValueError(f"a multilabel label has at most {MOST} columns; this one has {len(self.columns)}")
        if len(self.classes) != 2:
            raise ValueError("each column of a multilabel label has the same two classes: classes: [no, yes]")
        return self

    @model_validator(mode="after")
    def _of_survival(self) -> Self:
        told = {"event": self.event, "horizon": self.horizon}
        if self.task != "survival":
            fitting = ["horizon"] if self.task == "forecasting" else []
            strange = [name for name, value in told.items() if value is not None and name not in fitting]
            if strange:
                raise ValueError(f"{strange[0]} is said of a label of survival, this one's task is {self.task}")
            return self
        lacking = [name for name, value in told.items() if value is None]
        if lacking or not self.positive:
            raise ValueError(
                f"a label of survival also says {' and '.join([*lacking, *([] if self.positive else ['positive'])])}: "
                'event: died, classes: ["0", "1"], positive: "1", horizon: 60'
            )
        if self.event == self.column:
            raise ValueError(
                f"column and event are two columns: the time, and whether it ended in the event; got {self.event}"
            )
        return self

    @model_validator(mode="after")
    def _of_tagging(self) -> Self:
        if self.task == "tagging" and (not self.classes or len(set(self.classes)) < len(self.classes)):
            raise ValueError("a label whose task is tagging names what spans are of, each once: classes: [drug, dose]")
        return self

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.task not in ("classes", "survival", "multilabel") and self.positive is not None:
            raise ValueError(f"positive is said of a label of two classes, this one's task is {self.task}")
        if self.task in ("regression", "forecasting"):
            if self.classes:
                raise ValueError(f"classes are said of a label of classes, this one's task is {self.task}")
            return self
        if self.task == "tagging":
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

"""What a model is given and gives back: plain arrays, so that `models` runs without pandas."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contracts.payloads import Payloads
from contracts.tasks import Task

Kind = Literal["table", "image", "sequence", "text"]


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Rows ready for a model.

    payloads: by column of images, sequences and texts
    at: where each row's payloads stand in those, (N,) int64; None where row i has the payloads at i

    Shape:
        table: (N, F) float32
        target: (N,) int64, the class's index, of several labels as `contracts.answers` has it; float64 of a regression,
            the number, and of survival, as `contracts.follow_up` has it; of a forecast of several values (N, H), by how
            much each differs from the last known one; of tagging the words' tags (N, L), int16 as `contracts.tags` has
            them; None when scoring new rows
        weight: (N,) float32, None for ones
        patient: (N,) int64, the number of each row's patient; None where every row is one of its own
    """

    table: NDArray[np.float32]
    payloads: dict[str, Payloads] = field(default_factory=dict)
    at: NDArray[np.int64] | None = None
    target: NDArray[Any] | None = None
    weight: NDArray[np.float32] | None = None
    patient: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.table)


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a model must know of one column of payloads before it sees it.

    channels: their names; none for texts
    size: height and width of images, else empty
    longest: the steps or tokens that most training rows stay below, a power of two; 0 for images
    pace: the median time between two steps of the training rows, where steps carry moments, else 0
    vocabulary: how many tokens there are, padding (0) counted; 0 but for texts
    centre, spread: by channel, what images are scaled by
    """

    kind: Kind
    channels: list[str] = field(default_factory=list)
    size: list[int] = field(default_factory=list)
    longest: int = 0
    pace: float = 0.0
    vocabulary: int = 0
    centre: list[float] = field(default_factory=list)
    spread: list[float] = field(default_factory=list)

    @property
    def width(self) -> int:
        """The numbers a step or pixel has: its channels and, where steps carry moments, the time since the last."""
        return len(self.channels) + (self.pace > 0)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a model must know of its inputs before it sees them; saved beside its weights.

    `columns` names the F columns of the table, `figures` those of them that sum up payloads, `sources` the study's
    column that each of the F tells of (empty where each is one), `classes` the labels by index, `positive` the index
    of the class that is looked for. Of a regression `unit` is the label's, `centre` and `spread` the mean and standard
    deviation of the training rows' labels, by which models scale it. Of survival `horizon` is the time by which the
    risk is told, `cuts` the ends of the intervals of time that models work on, learnt of the training rows; of a
    forecast `horizon` is how many values are told. `labels` names several yes or no answers; of tagging, what entities
    can be.
    """

    columns: list[str]
    classes: list[str]
    positive: int
    task: Task = "classes"
    unit: str = ""
    centre: float = 0.0
    spread: float = 1.0
    horizon: float = 0.0
    cuts: list[float] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    payloads: dict[str, Form] = field(default_factory=dict)

    def of_kind(self, kind: Kind) -> dict[str, Form]:
        """The columns of payloads of this kind."""
        return {name: form for name, form in self.payloads.items() if form.kind == kind}

    @property
    def own(self) -> list[int]:
        """The places of the table's columns that sum up no payload."""
        figures = set(self.figures)
        return [place for place, name in enumerate(self.columns) if name not in figures]

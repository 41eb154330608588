"""The conventions of the tables that flow between stages.

raw       every column text (blank is ""; of an image or sequence the position of its payload), and `@row`, the row's
          line in its file (text `file:line` for a folder of tables). Cleaning takes texts as categoricals, too.
samples   `@id` and `@group` (the patient) text, `@time` datetime (only where the study has one),
          `@target` the class's index (of several labels see `contracts.answers`; float64 of a regression, the number,
          and of survival, see `contracts.follow_up`; of a forecast by how much the next value differs from the last
          known one, and `@target_2` … those after it; to predict for, that one as `@last`; of the words of a text,
          text, see `contracts.tags`),
          then one column a feature: numeric float64, categorical, ordinal and text `str`, datetime datetime64; image
          and sequence Int64, the position in the column's payloads (`contracts.payloads`); a missing cell is NaN, NaT
          or NA.
split     `@id` and `@part`, one of PARTS; where folds are asked for, `@fold` (`@fold_0` … when repeated), Int64 from 0,
          missing for test rows. While a fold is tested, `@part` of these is ASIDE, which no later table takes up.
features  `@id`, `@group`, `@target`, then float32 columns; a training table that was balanced
          adds `@weight` float32, `@origin`, the `@id` that a synthetic row descends from, and, where
          any row is masked, `@masked` bool: such a row stays in the table and is not trained on.
"""

import hashlib
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from contracts.study import PAYLOADS, Column, Frozen
from contracts.tasks import Task

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
ASIDE = "aside"


class Schema(Frozen):
    """The typed columns of a samples table, and what the label is: its classes by index, or the unit of a number.

    labels: the columns of several yes or no answers; of tagging, what entities can be
    horizon: of survival, the time in that unit by which the risk is told; of a forecast, how many values are told
    """

    features: dict[str, Column]
    classes: tuple[str, ...]
    positive: str | None = None
    task: Task = Field(default="classes", exclude_if=lambda task: task == "classes")
    unit: str = Field(default="", exclude_if=lambda unit: not unit)
    labels: tuple[str, ...] = Field(default=(), exclude_if=lambda labels: not labels)
    horizon: float = Field(default=0.0, exclude_if=lambda horizon: not horizon)

    @property
    def positive_index(self) -> int:
        """The index of the positive class: the declared one, else the last."""
        return self.classes.index(self.positive) if self.positive else len(self.classes) - 1

    @property
    def tabular(self) -> dict[str, Column]:
        """The features whose cells hold their value; those of the others refer to payloads."""
        return {name: column for name, column in self.features.items() if column.type not in PAYLOADS}

    def of_type(self, *types: str) -> list[str]:
        """The names of the features of these types, in the table's order."""
        return [name for name, column in self.features.items() if column.type in types]


class RowsSeen(Frozen):
    """Which rows a fit saw: their number and the SHA-256 of their sorted ids."""

    count: int
    sha256: str


def rows_seen(ids: "pd.Series[str]") -> RowsSeen:
    """The evidence that the leak certificate checks: the ids of the rows that a fit was given."""
    import pyarrow as pa

    texts = pa.table({"@id": ids.array}).column(0).combine_chunks().cast(pa.large_string())
    joined = _joined_short(texts)
    found = hashlib.sha256(_joined(texts) if joined is None else joined)
    return RowsSeen(count=len(texts), sha256=found.hexdigest())


def _joined(texts: "pa.LargeStringArray") -> memoryview:
    """The texts sorted by their bytes, a NUL between two."""
    import pyarrow as pa
    from pyarrow import compute

    ordered = texts.take(compute.array_sort_indices(texts))
    nothing, between = (pa.scalar(text, pa.large_string()) for text in ("", "\0"))
    ended = compute.binary_join_element_wise(ordered, nothing, between)
    *_, characters = ended.buffers()
    length = compute.sum(compute.binary_length(ended)).as_py() or 1
    return memoryview(characters or b"")[: length - 1]


def _joined_short(texts: "pa.LargeStringArray") -> bytearray | None:
    """The same of texts of up to 8 bytes, which sort as whole numbers, ten times as fast; None where one is longer."""
    import numpy as np
    from pyarrow import compute

    *_, characters = texts.buffers()
    if not len(texts) or texts.null_count or not characters or not np.frombuffer(characters, dtype=np.uint8).all():
        return None
    if compute.max(compute.binary_length(texts)).as_py() > 8:
        return None
    padded = compute.ascii_rpad(texts, 8, padding="\0").buffers()[2]
    numbers = np.frombuffer(padded, dtype=">u8", count=len(texts)).astype(np.uint64)
    numbers.sort()
    ended = bytearray(b"\xff") * (9 * len(numbers))  # which no UTF-8 holds: it stands for the NUL between two
    np.frombuffer(ended, dtype=np.uint8).reshape(-1, 9)[:, :8] = numbers.astype(">u8").view(np.uint8).reshape(-1, 8)
    return ended.translate(bytes(range(0xFF)) + b"\0", b"\0")[:-1]


def feature_names(table: "pd.DataFrame") -> list[str]:
    """The feature columns of a table: all but medloop's own."""
    return [name for name in table.columns if not name.startswith("@")]


def label_names(table: "pd.DataFrame") -> list[str]:
    """The columns of a table that hold the label: `@target`, of a forecast one a value."""
    return [name for name in table.columns if name.startswith("@target")]


def labels_of(table: "pd.DataFrame") -> "NDArray[Any]":
    """The labels. Shape: (N,), of a forecast of several values (N, H)."""
    names = label_names(table)
    return table[names[0] if len(names) == 1 else names].to_numpy()


def of_part(table: "pd.DataFrame", split: "pd.DataFrame", part: Part) -> "pd.DataFrame":
    """The rows of `table` that `split` puts in `part`, in the table's order."""
    return table[in_part(table["@id"], split, part)].reset_index(drop=True)


def in_part(ids: "pd.Series[str]", split: "pd.DataFrame", part: Part) -> "NDArray[np.bool_]":
    """(N,) the samples of these ids that `split` puts in `part`."""
    chosen = split["@part"] == part
    if not ids.equals(split["@id"]):  # rows in the same order, as the stages write them, need no look-up
        chosen = ids.isin(split.loc[chosen, "@id"])
    return chosen.to_numpy()

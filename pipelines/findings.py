"""What validation may find: the kinds, how grave each is, and how to mend it."""

from typing import Literal

from contracts.study import Frozen

ColumnVerdict = Literal["warn", "fail"]
RowVerdict = Literal["warn", "quarantine", "fail"]
Verdict = Literal["pass", "warn", "quarantine", "fail"]
Kind = Literal[
    "unreadable",
    "infinite",
    "levels",
    "range",
    "missing_label",
    "conflicting_ids",
    "duplicate_rows",
    "contradicting_labels",
    "empty_columns",
    "constant_columns",
    "missing_share",
    "suspected_codes",
    "two_units",
]

# Kinds that speak of a column as a whole, not of single rows.
WHOLE: tuple[Kind, ...] = ("empty_columns", "constant_columns", "missing_share")
# Kinds that cannot set rows aside.
ROWS_STAY: tuple[Kind, ...] = (*WHOLE, "duplicate_rows", "suspected_codes", "two_units")
GRAVITY: tuple[Verdict, ...] = ("pass", "warn", "quarantine", "fail")

MENDS: dict[Kind, str] = {
    "unreadable": "correct the cells, or declare what means 'no value' under the column's `missing`; results "
    "such as <4.0 are read where the column says `censored: limit`",
    "infinite": "correct the cells, or declare them under the column's `missing`",
    "levels": "correct the cells, add the level to the column's `levels`, or declare it under `missing`",
    "range": "correct the cells (another unit?), or widen the column's `range`",
    "missing_label": "fill in the label, or let cleaning leave these rows out",
    "conflicting_ids": "correct the source; where a patient has many samples, name that column under `group`, not `id`",
    "duplicate_rows": "remove the copies from the source, or let cleaning do so",
    "contradicting_labels": "correct the labels; of several visits, declare what tells them apart, such as `time`",
    "empty_columns": "put the column, with the reason, under the study's `drop`",
    "constant_columns": "put the column, with the reason, under the study's `drop`",
    "missing_share": "check how the column was exported; drop it if it cannot help",
    "suspected_codes": "declare the codes under the column's `missing`; if they are real, include them in its `range`",
    "two_units": "bring the column into one unit in the source; declare that `unit`, and a `range` that leaves the "
    "other out, so that its cells become missing",
}


class Finding(Frozen):
    """A check that failed: in how many rows, which share of all, the first row numbers, and what is wrong.

    `column` is empty where whole rows are meant. `text` holds no value, at most the shape of one.
    """

    kind: Kind
    column: str
    verdict: RowVerdict
    rows: int
    share: float
    first: tuple[str, ...]
    text: str

    @property
    def mend(self) -> str:
        """What a person may do about it."""
        return MENDS[self.kind]

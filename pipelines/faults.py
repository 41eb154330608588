"""Cells that hold no usable value: which, why, and what becomes of their rows."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from contracts.errors import MedloopError, listed
from pipelines.cells import Mask
from pipelines.rows import Change
from pipelines.spots import Spots, places, spots

Problem = tuple[str, str]  # a column, and what is wrong
Case = tuple[str, str, str]  # and what became of the cell

_PROBLEMS = {
    "unreadable": "not readable as declared",
    "infinite": "infinite or beyond 1e300",
    "outside": "outside the declared range",
    "clipped": "outside the declared range",
    **dict.fromkeys(("limit", "half", "undetected"), "beyond a limit of detection"),
    "future": "later than the sample's own time",
    "sparse": "more cells missing than clean.drop_rows_above",
}
_KEPT = {
    "missing": ", taken as missing",
    "clipped": ", set to its bound",
    "limit": ", taken as the limit",
    "half": ", taken as half of the limit",
}


def no_faults() -> pd.DataFrame:
    """A table of faults, empty: `at`, the row's position, `column` and `problem`."""
    return pd.DataFrame({"at": [0], "column": "", "problem": ""}).iloc[:0]


def faults_in(column: str, **masks: Mask) -> list[pd.DataFrame]:
    """The cells of a column that have a problem, by its name; masks (N,). Problems without a cell are left out."""
    return [
        pd.DataFrame({"at": np.flatnonzero(mask), "column": column, "problem": problem})
        for problem, mask in masks.items()
        if mask.any()
    ]


def fatal_spots(faults: pd.DataFrame, rows: pd.DataFrame) -> dict[Problem, Spots]:
    """By column and problem, the cells whose `verdict` is "fail"; `rows` hold `@row` and the cells as written."""
    fatal = faults[faults["verdict"] == "fail"]
    return {
        (str(name), str(problem)): spots(rows, str(name), np.isin(np.arange(len(rows)), cells))
        for (name, problem), cells in fatal.groupby(["column", "problem"], sort=False)["at"]
    }


def refuse_fatal(fatal: Iterable[Mapping[Problem, Spots]], columns: Sequence[str]) -> None:
    """Raises MedloopError for the fatal cells of all blocks; rows are named by `@row`, values never."""
    found: dict[Problem, Spots] = {}
    for cells in fatal:
        for case, at in cells.items():
            found[case] = found.get(case, Spots()) + at
    if not found:
        return
    ordered = sorted(found, key=lambda case: _place(case, columns))
    told = [f"{found[case].count} {_PROBLEMS[case[1]]}: {places(case[0], found[case])}" for case in ordered]
    raise MedloopError(
        f"{sum(at.count for at in found.values())} cells in {len({name for name, _ in found})} columns hold no usable "
        "value",
        where=listed(told),
        mend="correct them, declare them as missing codes, or set clean.unreadable, clean.infinite or clean.future "
        "to missing or quarantine",
    )


def nothing_aside() -> pd.DataFrame:
    """No row set aside: `@row`, `@id` and `reason`."""
    return pd.DataFrame({"@row": [], "@id": [], "reason": []}, dtype="str")


def part_with(table: pd.DataFrame, faults: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows without these faults, and the others as `@row`, `@id` and `reason`."""
    if faults.empty:  # no slice of the table, which would keep the texts of all rows in memory
        return table, nothing_aside()
    reasons = reasons_by_row(faults)
    aside = table.loc[reasons.index, ["@row", "@id"]].assign(reason=reasons).reset_index(drop=True)
    return table.drop(index=reasons.index), aside


def reasons_by_row(faults: pd.DataFrame) -> "pd.Series[str]":
    """By the row's position, each faulty column with its problem and what became of the cell, where the row stays."""
    kept = faults["verdict"].map(_KEPT).fillna("")
    texts = faults["column"] + ": " + faults["problem"].replace(_PROBLEMS) + kept
    return texts.groupby(faults["at"]).agg("; ".join)


def counts(faults: pd.DataFrame) -> Counter[Case]:
    """How many cells, by column, problem and verdict."""
    return Counter(zip(faults["column"], faults["problem"], faults["verdict"], strict=True))


def counted(counts: Iterable[Counter[Case]], columns: Sequence[str]) -> list[Change]:
    """The faults of all blocks as lines of the ledger, in the order of the columns."""
    found = sum(counts, start=Counter[Case]())
    return [
        Change(
            rule=f"{_PROBLEMS.get(problem, problem)}: {verdict}",
            column=column,
            rows=found[column, problem, verdict] if verdict == "quarantine" else 0,
            cells=found[column, problem, verdict],
        )
        for column, problem, verdict in sorted(found, key=lambda case: _place(case[:2], columns))
    ]


def _place(case: Problem, columns: Sequence[str]) -> tuple[bool, int, int]:
    """The samples' time, then column by column, as problems are looked for; those of payloads after all of these."""
    column, problem = case
    known = [*_PROBLEMS, problem]
    return problem not in _PROBLEMS, columns.index(column) if column in columns else -1, known.index(problem)

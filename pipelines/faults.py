"""Cells that hold no usable value: which, why, and what becomes of their rows."""

from collections import Counter

import numpy as np
import pandas as pd

from contracts.errors import MedloopError, listed
from pipelines.cells import Mask
from pipelines.rows import Change, places

_PROBLEMS = {
    "unreadable": "not readable as declared",
    "infinite": "infinite or beyond 1e300",
    "future": "later than the sample's own time",
    "outside": "outside the declared range",
    "clipped": "outside the declared range",
    "sparse": "more cells missing than clean.drop_rows_above",
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


def refuse_fatal(faults: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Raises MedloopError when the `verdict` of a fault is "fail"; rows are named by `@row`, values never."""
    fatal = faults[faults["verdict"] == "fail"]
    if fatal.empty:
        return
    found = []
    for (name, problem), cells in fatal.groupby(["column", "problem"], sort=False)["at"]:
        at = np.isin(np.arange(len(rows)), cells)
        found.append(f"{len(cells)} {_PROBLEMS[str(problem)]}: {places(rows, str(name), at)}")
    raise MedloopError(
        f"{len(fatal)} cells in {fatal['column'].nunique()} columns hold no usable value",
        where=listed(found),
        mend="correct them, declare them as missing codes, or set clean.unreadable, clean.infinite or clean.future "
        "to missing or quarantine",
    )


def part_with(table: pd.DataFrame, faults: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows without these faults, and the others as `@row`, `@id` and `reason`."""
    if faults.empty:
        return table, table.loc[:, ["@row", "@id"]].iloc[:0].assign(reason=pd.Series(dtype="str"))
    reasons = reasons_by_row(faults)
    aside = table.loc[reasons.index, ["@row", "@id"]].assign(reason=reasons).reset_index(drop=True)
    return table.drop(index=reasons.index), aside


def reasons_by_row(faults: pd.DataFrame) -> "pd.Series[str]":
    """By the row's position, each faulty column with its problem and what became of the cell, where the row stays."""
    kept = faults["verdict"].map({"missing": ", taken as missing", "clipped": ", set to its bound"}).fillna("")
    texts = faults["column"] + ": " + faults["problem"].replace(_PROBLEMS) + kept
    return texts.groupby(faults["at"]).agg("; ".join)


def counted(faults: pd.DataFrame) -> list[Change]:
    """The faults as lines of the ledger, by column, problem and verdict."""
    cases = list(zip(faults["column"], faults["problem"], faults["verdict"], strict=True))
    return [
        Change(
            rule=f"{_PROBLEMS.get(problem, problem)}: {verdict}",
            column=column,
            rows=count if verdict == "quarantine" else 0,
            cells=count,
        )
        for (column, problem, verdict), count in Counter(cases).items()
    ]

"""Equal rows: one patient written down twice, or two patients alike in what was asked?"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import MedloopError, listed
from contracts.study import Study
from pipelines.rows import Change, drop
from pipelines.table import Block, Each, Table, coded

Codes = NDArray[np.int32]

EXPECTED = 0.1  # coincidences like it, from which on chance explains one
COMPARED = 200_000  # rows of equal hashes, at a time
LOOKED_AT = 1000  # patterns of cells; of a table of more copies than that, the rest counts as copied too


def distinct(
    rows: Table, study: Study, *, duplicates: Literal["drop", "keep"], ledger: list[Change], each: Each = map
) -> Table:
    """Rows of unique ids.

    Where ids are declared, a copy of a row goes whatever `duplicates` says. Where none are, equal rows may be patients
    alike, so only those go that are too rare for chance; the others stay, and are counted.

    Raises MedloopError when an id stands on rows that differ.
    """
    source = [name for name in rows.columns if not name.startswith("@")]
    copies = repeated(rows, source, each)
    if study.id:
        rows = drop(rows, copies, "exact copy of a row", ledger)
        _refuse_conflicts(rows, study.id, each)
    elif duplicates == "drop":
        rare = too_rare_for_chance(rows, copies, source)
        kept = int((copies & ~rare).sum())
        if kept:
            alike = "perhaps visits of one patient alike" if study.group else "patients alike"
            ledger.append(Change(rule="equal rows kept", rows=kept, detail=f"{alike}; declare an id to tell"))
        rows = drop(rows, rare, "exact copy of a row", ledger)
    return rows


def codes(cells: "pd.Series[Any]") -> Codes:
    """(N,) a number for each different cell."""
    return coded(cells)[0].astype(np.int32)


def row_hashes(columns: Sequence[str], block: Block) -> NDArray[np.uint64]:
    """(N,) a hash of each row's cells in these columns; equal rows have equal ones, in whatever block."""
    rows, random = block.read(columns), np.random.default_rng(0)
    hashes = np.zeros(len(rows), dtype=np.uint64)
    for name in columns:
        numbers, texts = coded(rows[name])
        by_text = pd.util.hash_array(texts.to_numpy(dtype=object), categorize=False)
        hashes += (by_text * random.integers(1, 2**64, dtype=np.uint64))[numbers]
    return hashes


def repeated(rows: Table, columns: Sequence[str], each: Each = map) -> NDArray[np.bool_]:
    """(N,) rows equal to one before them in these columns; only those of equal hashes are compared cell by cell."""
    hashes = np.concatenate(list(each(partial(row_hashes, columns), rows.blocks)))
    alike = pd.Series(hashes).duplicated(keep=False).to_numpy(copy=True)
    at = np.flatnonzero(alike)
    at = at[np.argsort(hashes[at], kind="stable")]
    first = pd.Series(np.arange(len(at))).groupby(hashes[at]).transform("min").to_numpy()
    for one in np.unique(first // COMPARED):
        some = np.sort(at[first // COMPARED == one])
        alike[some] = rows.take(some, columns).duplicated().to_numpy()
    return alike


def too_rare_for_chance(
    rows: pd.DataFrame | Table, alike: NDArray[np.bool_], columns: Sequence[str] | None = None
) -> NDArray[np.bool_]:
    """Which of the rows marked `alike`, equal to another, are copies rather than coincidences. Shape: (N,) -> (N,).

    The bits of a row (the sum over its cells of -log2 of the value's frequency) say how rare it is, if columns did not
    depend on each other: it takes twice the bits that single out one pair among all. Where they do, as a device's
    settings, many rows differ from it in one cell only, and some were to be expected to differ in none.
    """
    if not alike.any():
        return np.zeros(len(rows), dtype=bool)
    names = list(rows.columns if columns is None else columns)
    cells, shares = [], []
    for name in names:  # one column at a time: all of them may be more than memory holds
        column = codes(rows[name])
        cells.append(column[alike])
        shares.append(np.bincount(column) / len(rows))
    bits = -sum(np.log2(share[column]) for share, column in zip(shares, cells, strict=True))
    enough = bits >= 4 * np.log2(max(len(rows), 2))
    rare = alike.copy()
    rare[alike] = enough
    patterns, pattern = np.unique(np.column_stack(cells)[enough], axis=0, return_inverse=True)
    near = _near(rows, names, patterns[:LOOKED_AT])
    expected = np.array([_coincidences(near, shares, row) for row in patterns[:LOOKED_AT]])
    explained = np.append(expected >= EXPECTED, np.zeros(max(len(patterns) - LOOKED_AT, 0), dtype=bool))
    rare[rare] = ~explained[pattern.ravel()]
    return rare


def _near(rows: pd.DataFrame | Table, names: Sequence[str], patterns: Codes) -> Codes:
    """The rows all of whose cells but one, at most, stand in some pattern: no other can differ from one in one cell."""
    known = np.zeros(len(rows), dtype=np.int32)
    for name, cells in zip(names, patterns.T, strict=True):
        column = codes(rows[name])
        among = np.zeros(int(column.max()) + 1, dtype=bool)
        among[cells] = True
        known += among[column]
    near = np.flatnonzero(known >= len(names) - 1)
    return np.column_stack([codes(rows[name])[near] for name in names])


def _coincidences(codes: Codes, shares: list[NDArray[np.float64]], row: Codes) -> float:
    """How many rows were to be expected equal to this one: those that differ in one cell, each by that cell's share."""
    differs = codes != row
    column = np.argmax(differs[differs.sum(axis=1) == 1], axis=1)
    return float(sum(shares[at][row[at]] for at in column))


def _refuse_conflicts(rows: Table, name: str, each: Each) -> None:
    hashes = pd.Series(np.concatenate(list(each(partial(row_hashes, ["@id"]), rows.blocks))))
    again = rows.take(np.flatnonzero(hashes.duplicated(keep=False)), ["@id", "@row"])
    again = again[again["@id"].duplicated(keep=False)]
    if again.empty:
        return
    conflicting = again.groupby("@id", sort=False)["@row"].agg(" and ".join)
    raise MedloopError(
        f"{len(conflicting)} ids stand on several rows that differ",
        where=f"column {name}, rows {listed(conflicting.tolist())}",
        mend="correct the source; where a patient has many samples, name that column under `group`, not `id`",
    )

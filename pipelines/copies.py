"""Equal rows: one patient written down twice, or two patients alike in what was asked?"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import MedloopError, listed
from contracts.study import Study
from pipelines.rows import Change, drop
from pipelines.table import Block, Each, Table, as_table, coded, places_of

Codes = NDArray[np.int32]

EXPECTED = 0.1  # coincidences like it, from which on chance explains one
COMPARED = 500_000  # rows of equal hashes, at a time
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
        rare = too_rare_for_chance(rows, copies, source, each)
        kept = int((copies & ~rare).sum())
        if kept:
            alike = "perhaps visits of one patient alike" if study.group else "patients alike"
            ledger.append(Change(rule="equal rows kept", rows=kept, detail=f"{alike}; declare an id to tell"))
        rows = drop(rows, rare, "exact copy of a row", ledger)
    return rows


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
    alike = twice(hashes)
    at = np.flatnonzero(alike)
    at = at[np.argsort(hashes[at], kind="stable")]
    first = pd.Series(np.arange(len(at))).groupby(hashes[at]).transform("min").to_numpy()
    for one in np.unique(first // COMPARED):
        some = np.sort(at[first // COMPARED == one])
        alike[some] = rows.take(some, columns, each).duplicated().to_numpy()
    return alike


def too_rare_for_chance(
    rows: pd.DataFrame | Table,
    alike: NDArray[np.bool_],
    columns: Sequence[str] | None = None,
    each: Each = map,
) -> NDArray[np.bool_]:
    """Which of the rows marked `alike`, equal to another, are copies rather than coincidences. Shape: (N,) -> (N,).

    The bits of a row (the sum over its cells of -log2 of the value's frequency) say how rare it is, if columns did not
    depend on each other: it takes twice the bits that single out one pair among all. Where they do, as a device's
    settings, many rows differ from it in one cell only, and some were to be expected to differ in none.
    """
    if not alike.any():
        return np.zeros(len(rows), dtype=bool)
    table = as_table(rows)
    names = list(table.columns if columns is None else columns)
    copies = table.take(np.flatnonzero(alike), names, each)
    found = {name: _coded(copies[name]) for name in names}
    known = {name: texts for name, (_, texts) in found.items()}
    counts = list(each(partial(_counts, known), table.blocks))
    shares = [sum(block[name] for block in counts) / len(table) for name in names]
    cells = [codes for codes, _ in found.values()]
    bits = -sum(np.log2(share[column]) for share, column in zip(shares, cells, strict=True))
    enough = bits >= 4 * np.log2(max(len(table), 2))
    rare = alike.copy()
    rare[alike] = enough
    patterns, pattern = np.unique(np.column_stack(cells)[enough], axis=0, return_inverse=True)
    found_near = each(partial(_near, known, patterns[:LOOKED_AT]), table.blocks)
    near = np.asfortranarray(np.concatenate(list(found_near)))  # looked at column by column
    expected = np.array([_coincidences(near, shares, row) for row in patterns[:LOOKED_AT]])
    explained = np.append(expected >= EXPECTED, np.zeros(max(len(patterns) - LOOKED_AT, 0), dtype=bool))
    rare[rare] = ~explained[pattern.ravel()]
    return rare


def twice(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """(N,) those that occur more than once; sorting numbers is the fastest way to tell."""
    ordered = np.sort(hashes)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    return pd.Series(hashes).isin(again).to_numpy(copy=True)


def _coded(cells: "pd.Series[Any]") -> tuple[NDArray[np.integer[Any]], "pd.Series[str]"]:
    """As `coded`; moments as numbers, since how they are written depends on the others."""
    plain: pd.Series[Any] = cells.astype(np.int64) if cells.dtype.kind == "M" else cells
    return coded(plain)


def _places(known: "pd.Series[str]", cells: "pd.Series[Any]") -> tuple[NDArray[np.integer[Any]], Codes]:
    """(N,) a number for each cell, and the place among `known` of each number's text, or -1."""
    numbers, texts = _coded(cells)
    return numbers, places_of(texts, known)


def _counts(known: "Mapping[str, pd.Series[str]]", block: Block) -> dict[str, NDArray[np.int64]]:
    """By column, how often each of the texts known occurs in a block."""
    rows, counts = block.read(list(known)), {}
    for name, texts in known.items():
        numbers, places = _places(texts, rows[name])
        counts[name] = np.zeros(len(texts) + 1, dtype=np.int64)  # the last one is for all others
        np.add.at(counts[name], places, np.bincount(numbers, minlength=len(places)))
    return counts


def _near(known: "Mapping[str, pd.Series[str]]", patterns: Codes, block: Block) -> Codes:
    """The rows all of whose cells but one, at most, stand in some pattern: no other can differ from one in one cell."""
    rows = block.read(list(known))
    places = {name: _places(texts, rows[name]) for name, texts in known.items()}
    matching = np.zeros(len(rows), dtype=np.int32)
    for (numbers, at), cells in zip(places.values(), patterns.T, strict=True):
        matching += np.isin(at, cells)[numbers]
    near = np.flatnonzero(matching >= len(known) - 1)
    return np.column_stack([at[numbers[near]] for numbers, at in places.values()])


def _coincidences(codes: Codes, shares: list[NDArray[np.float64]], row: Codes) -> float:
    """How many rows were to be expected equal to this one: those that differ in one cell, each by that cell's share."""
    differing = np.zeros(len(codes), dtype=np.int32)
    for cells, cell in zip(codes.T, row, strict=True):
        differing += cells != cell
    column = np.argmax(codes[differing == 1] != row, axis=1)
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

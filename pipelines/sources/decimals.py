"""Numbers written with a decimal comma: noticed when undeclared, put right when declared."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import compute

from contracts.errors import MedloopError
from contracts.frames import with_columns
from pipelines.cells import ABOVE, BELOW
from pipelines.sources.raw import Raw

LIMIT = rf"(?:[{''.join(BELOW + ABOVE)}]=?\s*)?"  # laboratories write <4,0
NUMBER = LIMIT + r"[-+]?(?:\d+|\d*,\d+)(?:[eE][-+]?\d+)?"
DECIMAL = LIMIT + r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?"
AMBIGUOUS = LIMIT + r"[-+]?[1-9]\d{0,2},\d{3}"  # 1,234 may be one thousand
CLEAR = 0.1  # the share of cells from which on they are no accident
GROUPED = LIMIT + r"[-+]?\d{1,3}(?:\.\d{3})+(?:,\d+)?"


def settle_decimal(table: pd.DataFrame, decimal: Literal[".", ","] | None, *, where: str) -> pd.DataFrame:
    """`table` with a point in every number.

    Raises MedloopError when nothing is declared and a column's cells look like 1,5.
    """
    if decimal == ".":
        return table
    if decimal == ",":
        return with_columns(
            table, {name: _with_points(table[name]) for name in _with_commas(table) if _shows(table[name])}
        )
    for name in _with_commas(table):
        filled, numbers, clear = _counts(table[name])
        if _looks_decimal(filled, numbers, clear):
            raise _undeclared(name, where)
    return table


def settle_pieces(read: Callable[[], Iterator[Raw]], decimal: Literal[".", ","] | None, *, where: str) -> Iterator[Raw]:
    """What `settle_decimal` gives of the whole, in the pieces that `read` gives; it is read twice where one look is
    not enough: for a declared comma, and to count all numbers of a column of which many cells look like 1,5.
    """
    if decimal == ",":
        showing = {name for piece in read() for name in _with_commas(piece.table) if _shows(piece.table[name])}
        for piece in read():
            names = [name for name in piece.table.columns if name in showing]
            yield replace(
                piece, table=with_columns(piece.table, {name: _with_points(piece.table[name]) for name in names})
            )
        return
    filled, clear = Counter[str](), Counter[str]()
    for piece in read():
        for name in _texts(piece.table) if decimal is None else ():
            filled[name] += _filled(piece.table[name])
        for name in _with_commas(piece.table) if decimal is None else ():
            clear[name] += _counts(piece.table[name])[2]
        yield piece
    doubtful = [name for name in filled if clear[name] and clear[name] / filled[name] >= CLEAR]
    numbers = Counter[str]()
    for piece in read() if doubtful else ():
        numbers.update({name: _counts(piece.table[name])[1] for name in doubtful})
    for name in doubtful:
        if _looks_decimal(filled[name], numbers[name], clear[name]):
            raise _undeclared(name, where)


def _undeclared(name: str, where: str) -> MedloopError:
    return MedloopError(
        "numbers have a decimal point, but most cells look like 9,9",
        where=f"{where}, column {name}",
        mend='write `decimal: ","` under source, or `decimal: "."` when they are no numbers; of init, --decimal',
    )


def _texts(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table.columns if _is_text(table[name])]


def _with_commas(table: pd.DataFrame) -> list[str]:
    return [name for name in _texts(table) if _has_comma(table[name])]


def _is_text(column: "pd.Series") -> bool:
    return bool(pd.api.types.is_string_dtype(column.dtype))


def _has_comma(column: "pd.Series") -> bool:
    """Whether a cell holds one; all cells' bytes are looked through first, which takes a tenth of the time."""
    chunks = pa.table({"cells": column.array}).column(0).cast(pa.large_string()).chunks
    texts = (np.frombuffer(chunk.buffers()[2] or b"", dtype=np.uint8) for chunk in chunks)
    return any((text == ord(",")).any() for text in texts) and bool(column.str.contains(",", regex=False).any())


def _filled(column: "pd.Series") -> int:
    return int(np.count_nonzero(compute.binary_length(pa.array(column))))


def _counts(column: "pd.Series") -> tuple[int, int, int]:
    """How many cells are filled, are numbers if a comma is a decimal sign, and are so beyond doubt."""
    filled = column[column != ""]
    clear = filled.str.fullmatch(DECIMAL) & ~filled.str.fullmatch(AMBIGUOUS)
    return len(filled), int(filled.str.fullmatch(NUMBER).sum()), int(clear.sum())


def _looks_decimal(filled: int, numbers: int, clear: int) -> bool:
    return numbers / filled >= 0.9 and clear / filled >= CLEAR


def _shows(column: "pd.Series") -> bool:
    """Whether a column shows a decimal comma; 1.234 means one thousand only where one does."""
    decimals = column.str.fullmatch(DECIMAL)
    return bool((decimals | (column.str.fullmatch(GROUPED) & column.str.contains(",", regex=False))).any())


def _with_points(column: "pd.Series") -> "pd.Series":
    decimals, grouped = column.str.fullmatch(DECIMAL), column.str.fullmatch(GROUPED)
    ungrouped = column.mask(grouped, column.str.replace(".", "", regex=False))
    return ungrouped.mask(decimals | grouped, ungrouped.str.replace(",", ".", regex=False))

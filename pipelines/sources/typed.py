"""Parquet and Excel: typed cells as text, faithful to the last digit."""

import io
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa

from contracts.errors import MedloopError, listed
from contracts.names import nearest
from pipelines.sources.raw import Raw, text_column, tidy_header


def read_parquet(data: bytes, *, where: str) -> Raw:
    """The rows of a parquet file; `@row` counts from 1. A whole float reads 1.0, as in a CSV that pandas writes.

    Raises MedloopError for a damaged file and for columns of bytes, lists or other objects.
    """
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(pa.BufferReader(data)).read()
    except (pa.ArrowException, OSError) as error:
        raise _damaged(where) from error
    return _rows(table, 1, where=where)


def parquet_pieces(file: BinaryIO, *, block: int, where: str) -> tuple[int, Iterator[Raw]]:
    """How many rows a parquet file has, and they in pieces of about `block` bytes; as `read_parquet` gives them."""
    from pyarrow import parquet

    try:
        opened = parquet.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
        about = opened.metadata
        size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(where) from error
    rows = max(1, block * about.num_rows // max(size, 1))
    return about.num_rows, _batches(opened, min(rows, about.num_rows), where=where)


def _batches(opened: Any, rows: int, *, where: str) -> Iterator[Raw]:
    if not rows:
        yield _rows(opened.read(), 1, where=where)
    done = 0
    batches = opened.iter_batches(max(rows, 1))
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(where) from error
        if batch is None:
            return
        yield _rows(pa.Table.from_batches([batch]), 1 + done, where=where)
        done += len(batch)


def _damaged(where: str) -> MedloopError:
    return MedloopError("the parquet file is damaged", where=where, mend="fetch or write it again")


def _rows(table: pa.Table, first: int, *, where: str) -> Raw:
    """The rows as text, counted from `first`."""
    header = tidy_header(table.column_names, where=where)
    if not len(table):
        raise MedloopError("a table has rows; there are none", where=where, mend="export it again")
    columns = {name: _column_text(table.column(i), name, where=where, first=first) for i, name in enumerate(header)}
    return Raw(table=pd.DataFrame({"@row": np.arange(first, first + len(table), dtype=np.int64), **columns}))


def _column_text(column: "pa.ChunkedArray", name: str, *, where: str, first: int = 1) -> pd.Series:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _column_text(column.cast(kind.value_type), name, where=where, first=first)
    if pa.types.is_float16(kind) or pa.types.is_float32(kind):
        # By way of text, so that 0.1 in single precision stays 0.1.
        column = column.cast(pa.float32()).cast(pa.string()).cast(pa.float64())
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind):
        column = column.cast(pa.large_string())
    if pa.types.is_floating(column.type):
        encoded = column.combine_chunks().dictionary_encode()  # every different number is written out once
        texts = text_column([*encoded.dictionary.to_pylist(), None], name, where=where)
        return texts.take(encoded.indices.fill_null(len(texts) - 1).to_numpy()).reset_index(drop=True)
    if pa.types.is_large_string(column.type):
        return pd.Series(column.fill_null("").to_pandas(), dtype="str")
    return text_column(column.to_pylist(), name, where=where, first=first)


def plain_column(values: Any, name: str, *, where: str) -> pd.Series:
    """An array's, list's or column's plain values as text. Raises MedloopError as `text_column` does."""
    try:
        array = pa.array(values, from_pandas=True)
        return _column_text(pa.chunked_array([array]), name, where=where)
    except (pa.ArrowException, TypeError, ValueError):  # values of several kinds
        return text_column(list(values), name, where=where)


def read_frame(frame: pd.DataFrame, *, where: str) -> Raw:
    """The rows of a frame; `@row` counts from 1. Of its index the columns that have a name are kept."""
    named = [level for level in frame.index.names if level is not None]
    table = frame.reset_index(level=named) if named else frame
    header = tidy_header([str(name) for name in table.columns], where=where)
    if not len(table):
        raise MedloopError("a table has rows; there are none", where=where, mend="export it again")
    columns = {name: plain_column(table.iloc[:, i].array, name, where=where) for i, name in enumerate(header)}
    return Raw(table=pd.DataFrame({"@row": np.arange(1, len(table) + 1, dtype=np.int64), **columns}))


def read_excel(data: bytes, sheet: str | None, *, where: str) -> Raw:
    """The rows of one sheet of a workbook; `@row` is the sheet's own row number.

    The first row that is not blank is the header; blank rows are passed over. A whole number reads
    without a decimal point, since Excel knows no other kind. Raises MedloopError for a damaged
    workbook, a sheet that is not there or not chosen, and a sheet without rows.
    """
    name, rows = _sheet_rows(data, sheet, where=where)
    where = f"{where}, sheet {name}"
    if len(rows) < 2:
        raise MedloopError("a table has a header and rows; the sheet has none", where=where)
    width = max(len(cells) for cells in rows.values())
    lines = np.array(list(rows)[1:], dtype=np.int64)
    first, *body = ([*cells, *[None] * (width - len(cells))] for cells in rows.values())
    header = tidy_header(["" if cell is None else str(cell) for cell in first], where=where)
    columns = zip(*body, strict=True)
    table = {column: text_column(values, column, where=where) for column, values in zip(header, columns, strict=True)}
    return Raw(table=pd.DataFrame({"@row": lines, **table}), provenance={"sheet": name})


def _sheet_rows(data: bytes, sheet: str | None, *, where: str) -> tuple[str, dict[int, list[object]]]:
    """The sheet's name, and its rows by number: without blank rows and the blank cells at a row's end."""
    from openpyxl import load_workbook

    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        name = _chosen(book.sheetnames, sheet, where=where)
        book[name].reset_dimensions()  # what the file claims of its size may be wrong
        numbered = enumerate(book[name].iter_rows(values_only=True), 1)
        rows = {number: _filled(cells) for number, cells in numbered}
    except MedloopError:
        raise
    except Exception as error:  # openpyxl lets errors of zip, XML and its own through
        raise MedloopError("the workbook is damaged", where=where, mend="open it and save it again") from error
    return name, {number: cells for number, cells in rows.items() if cells}


def _chosen(names: Sequence[str], sheet: str | None, *, where: str) -> str:
    if sheet is None and len(names) == 1:
        return names[0]
    if sheet in names:
        return str(sheet)
    problem = f"there is no sheet {sheet!r}{nearest(sheet, names)}" if sheet else "the workbook has several sheets"
    raise MedloopError(problem, where=where, mend=f"write one under source, `sheet: NAME`: {listed(names)}")


def _filled(cells: Sequence[object]) -> list[object]:
    last = max((position for position, cell in enumerate(cells, 1) if cell is not None), default=0)
    return [int(c) if isinstance(c, float) and c.is_integer() and abs(c) < 2**53 else c for c in cells[:last]]

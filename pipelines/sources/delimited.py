"""Strict reading of delimited text: nothing is guessed, dropped or converted without a word.

A file that Arrow's parser and plain line counting agree on is read by Arrow, at several hundred MB/s.
Any other (a cell over several lines, blank lines, odd quotes, a fault) is read record by record,
which knows the line that each record starts on.
"""

import csv
import io
import re
import sys
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from contracts.errors import MedloopError, listed
from pipelines.sources.encodings import line_ends, to_utf8
from pipelines.sources.raw import Layout, Raw, nothing, tidy_header

SEPARATORS = {",": '","', ";": '";"', "\t": r'"\t"', "|": '"|"'}
BLOCKS = (1 << 22, 1 << 26)  # the first stays in the cache; Arrow cannot read a record longer than one block
CHUNK = 250  # records at a time: few enough to stay in the cache, four times as fast as 20,000


def read_delimited(data: bytes, layout: Layout, *, where: str) -> Raw:
    """The rows of a CSV, TSV or similar text; `@row` is the line that the record starts on.

    Provenance: encoding and separator. Raises MedloopError for text that is not of the declared
    encoding, NUL bytes, quotes left open, ragged lines (unless quarantined), names used twice, a wrong
    separator, and files without rows.
    """
    csv.field_size_limit(sys.maxsize)  # a clinical note may be long; the default stops at 131,072
    text, encoding = to_utf8(data, layout.encoding, where=where)
    if not text or text.isspace():
        raise MedloopError("a table has a header and rows; the file is empty", where=where, mend="export it again")
    separator = _separator(text, layout.separator, where=where)
    header = tidy_header(next(_records(text, separator, where=where))[1], where=where)
    table, quarantine = _fast(text, separator, header), nothing()
    if table is None:
        table, quarantine = _careful(text, separator, header, where=where)
    if len(quarantine) and layout.ragged == "fail":
        raise _ragged(text, separator, header, quarantine, where=where)
    if table.empty:
        raise MedloopError("a table has rows below its header; there are none", where=where, mend="export it again")
    return Raw(table=table, provenance={"encoding": encoding, "separator": separator}, quarantine=quarantine)


def _fast(text: bytes, separator: str, header: list[str], *, headed: bool = True) -> pd.DataFrame | None:
    """The table by Arrow; None when a record may span lines or the lines differ in length.

    `headed` says that the header is the first of its lines.
    """
    lone_returns = b"\r" in text and text.count(b"\r") != text.count(b"\r\n")
    if lone_returns or not _quotes_are_plain(text, separator):
        return None
    table = _parsed(text, separator, [str(position) for position in range(len(header))])
    if table is None or len(table) != line_ends(text) + (not text.endswith(b"\n")):
        return None
    rows = np.arange(1 + headed, len(table) + 1, dtype=np.int64)
    return _frame(table.slice(int(headed)), header, rows)


def _parsed(text: bytes, separator: str, names: list[str]) -> "pa.Table | None":
    from pyarrow import csv as arrow

    for block in BLOCKS:
        try:
            return arrow.read_csv(
                pa.BufferReader(text),
                read_options=arrow.ReadOptions(column_names=names, block_size=min(block, len(text) + 1)),
                parse_options=arrow.ParseOptions(delimiter=separator, newlines_in_values=b'"' in text),
                convert_options=arrow.ConvertOptions(
                    strings_can_be_null=False, column_types=dict.fromkeys(names, pa.large_string())
                ),
            )
        except pa.ArrowInvalid:
            continue
    return None


def _frame(table: "pa.Table", header: list[str], rows: "NDArray[np.int64]") -> pd.DataFrame:
    columns = {name: table.column(position).to_pandas() for position, name in enumerate(header)}
    return pd.DataFrame({"@row": rows, **columns})


def _quotes_are_plain(text: bytes, separator: str) -> bool:
    """Whether quotes can be read one way only: odd runs open and close in turn, even ones are inside or a cell."""
    if b'"' not in text:
        return True
    padded = np.frombuffer(b"\n" + text + b"\n", dtype=np.uint8)
    quotes = np.flatnonzero(padded == ord('"'))
    first = quotes[np.diff(quotes, prepend=-1) != 1]
    last = quotes[np.diff(quotes, append=len(padded) + 1) != 1]
    edge = np.isin(np.arange(256), [ord(c) for c in f"\r\n{separator}"])
    before, after = edge[padded[first - 1]], edge[padded[last + 1]]
    odd = (last - first) % 2 == 0
    opens = np.arange(odd.sum()) % 2 == 0
    in_turn = (before[odd] == opens) & (after[odd] != opens)
    return len(opens) % 2 == 0 and bool(in_turn.all() and (before == after)[~odd].all())


def _careful(
    text: bytes, separator: str, header: list[str], *, where: str, first: int = 1, headed: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The records of the header's length as a table, and the others with the reason.

    The text begins on line `first`, with the header where it is `headed`.
    """
    records = islice(_records(text, separator, where=where, first=first), int(headed), None)
    schema = pa.schema([(str(position), pa.large_string()) for position in range(len(header))])
    chunks, rows, ragged = [], [], []
    while chunk := list(islice(records, CHUNK)):
        good = [(line, record) for line, record in chunk if len(record) == len(header)]
        ragged += [(line, len(record)) for line, record in chunk if len(record) != len(header)]
        rows += [line for line, _ in good]
        columns = zip(*(record for _, record in good), strict=True) if good else [()] * len(header)
        chunks.append(pa.table([pa.array(column, pa.large_string()) for column in columns], schema=schema))
    table = pa.concat_tables([schema.empty_table(), *chunks])
    reasons = [f"{cells} cells where the header has {len(header)}" for _, cells in ragged]
    lines = np.array([line for line, _ in ragged], dtype=np.int64)
    quarantine = pd.DataFrame({"@row": lines, "reason": pd.Series(reasons, dtype="str")})
    return _frame(table, header, np.array(rows, dtype=np.int64)), quarantine


def _records(text: bytes, separator: str, *, where: str, first: int = 1) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not a blank line, with the line it starts on; the text begins on line `first`."""
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(text), "utf-8", newline=""), delimiter=separator, strict=True)
    line = first
    while True:
        try:
            record = next(reader, None)
        except csv.Error as error:
            raise open_quote(line, where=where) from error
        if record is None:
            return
        if record:
            yield line, record
        line = reader.line_num + first


def open_quote(line: int, *, where: str) -> MedloopError:
    """The error for a quote, opened on this line, that ends no cell."""
    return MedloopError(
        "a quoted cell ends with a quote before the next separator; one that opens here does not",
        where=f"{where}, line {line}",
        mend='close the quote, or write a quote inside a quoted cell as ""',
    )


def _widths(text: bytes, separator: str) -> list[int]:
    """The number of cells in each of the first records."""
    most = max(1 << 20, 4 * (text.find(b"\n") + 1))
    sample = io.StringIO(text[:most].decode("utf-8", "ignore"), newline="")
    widths = [len(record) for record in islice(csv.reader(sample, delimiter=separator), 200) if record]
    return widths[:-1] if len(text) > most and len(widths) > 1 else widths


def _fitting(text: bytes) -> list[str]:
    """The usual separators that give every one of the first records the same two cells or more."""
    widths = {separator: _widths(text, separator) for separator in SEPARATORS}
    return [separator for separator, found in widths.items() if found[0] > 1 and len(set(found)) == 1]


def _separator(text: bytes, declared: str | None, *, where: str) -> str:
    """The declared separator, or the only usual one that fits. Raises MedloopError when it does not fit."""
    fitting = _fitting(text)
    likely = " or ".join(f"`separator: {SEPARATORS[separator]}`" for separator in fitting)
    if declared is not None:
        if len(declared) != 1 or not declared.isascii() or declared in '"\r\n\0':
            raise MedloopError(
                f"a separator is one ASCII character, no quote or line end; got {declared!r}", where=where
            )
        if _widths(text, declared)[0] > 1:
            return declared
        mend = f"write {likely} under source" if fitting else "declare the separator that the file uses"
        raise MedloopError(f"the separator {declared!r} leaves the header in one piece", where=where, mend=mend)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise MedloopError("more than one separator fits the file", where=where, mend=f"write {likely} under source")
    # No separator fits every line: the header's own lets the ragged lines be named.
    widest = max(SEPARATORS, key=lambda separator: _widths(text, separator)[0])
    if _widths(text, widest)[0] > 1:
        return widest
    raise MedloopError(
        "a table has two columns or more; no comma, semicolon, tab or | parts the header",
        where=where,
        mend=_in_one_piece(text[: 1 << 16]),
    )


def _in_one_piece(head: bytes) -> str:
    """What to do with a text whose header no usual separator parts."""
    if re.search(rb"^\s*@relation\b", head, re.IGNORECASE | re.MULTILINE):
        return "this is a Weka file (.arff): export the table as CSV"
    lines = head.splitlines()[:20]
    if all(re.search(rb"\S {2,}\S", line) for line in lines):
        return "the columns seem to be aligned by blanks: export the table with a separator, as CSV"
    return "remove any title above the header, or write the `separator` under source; of init, --separator"


MANY_ALIKE = 10  # lines of as many cells, none of them as many as the header: perhaps it is none


def _ragged(text: bytes, separator: str, header: list[str], quarantine: pd.DataFrame, *, where: str) -> MedloopError:
    widths = [reason.split()[0] for reason in quarantine["reason"]]
    lines = [f"{row} ({width})" for row, width in zip(quarantine["@row"], widths, strict=True)]
    titled = "remove any title above the header; or " * (len(lines) >= MANY_ALIKE and len(set(widths)) == 1)
    others = [SEPARATORS[fit] for fit in _fitting(text) if fit != separator]
    hint = f"; `separator: {others[0]}` would fit" if others else ""
    return MedloopError(
        f"the header has {len(header)} cells, but {len(lines)} lines have fewer or more",
        where=f"{where}, lines (and their cells) {listed(lines)}",
        mend=f"{titled}mend those lines, or write `ragged: quarantine` under source to set them aside{hint}",
    )

"""Delimited text larger than memory: the rows that `read_delimited` gives, piece by piece, with the same errors."""

import csv
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

import pandas as pd

from contracts.errors import MedloopError
from pipelines.sources.delimited import (
    _careful,
    _fast,
    _quotes_are_plain,
    _ragged,
    _records,
    _separator,
    open_quote,
)
from pipelines.sources.encodings import encoding_of, line_ends, utf8_chunks
from pipelines.sources.raw import Layout, Raw, nothing, tidy_header

SHOWN = 1 << 20  # bytes of a text, at least, by which its separator is told
LONGEST = 1 << 26  # bytes; a record that seems longer has a quote left open


def delimited_pieces(chunks: Iterator[bytes], layout: Layout, *, block: int, where: str) -> Iterator[Raw]:
    """The rows of a text in pieces of about `block` bytes of UTF-8, at least one; the last one has the provenance.

    Pieces end where records end. Raises MedloopError as `read_delimited` does of the whole: of several faults the
    same one, so on any the rest is read. Only a record of more than LONGEST bytes is taken for a quote left open.
    """
    csv.field_size_limit(sys.maxsize)
    head = next(chunks, b"")
    while len(head) < 4096 and (more := next(chunks, b"")):
        head += more
    encoding, mark = encoding_of(head, layout.encoding, where=where)
    text = utf8_chunks(chain([head], chunks), encoding, mark, where=where)
    try:
        yield from _pieces(text, layout, {"encoding": encoding}, block=block, where=where)
    except MedloopError:
        for _ in text:  # a fault of the encoding is told before any other
            pass
        raise


def _pieces(
    text: Iterator[bytes], layout: Layout, facts: dict[str, object], *, block: int, where: str
) -> Iterator[Raw]:
    shown = _shown(text, where=where)
    separator = _separator(shown, layout.separator, where=where)
    bodies = _bodies(shown, text, separator, block=block, where=where)
    first, line = next(bodies)
    header = tidy_header(next(_records(first, separator, where=where))[1], where=where)
    reader = _Reader(separator=separator, header=header, where=where)
    held, aside = None, nothing()
    for table, ragged in reader.tables(first, line, bodies):
        aside = pd.concat([aside, ragged], ignore_index=True) if len(ragged) else aside
        if not len(table) or (len(aside) and layout.ragged == "fail"):
            continue
        if held is not None:
            yield held
        held, aside = Raw(table=table, quarantine=aside), nothing()
    if len(aside) and layout.ragged == "fail":
        raise _ragged(shown, separator, header, aside, where=where)
    if held is None:
        raise MedloopError("a table has rows below its header; there are none", where=where, mend="export it again")
    quarantine = pd.concat([held.quarantine, aside], ignore_index=True)
    yield replace(held, quarantine=quarantine, provenance={**facts, "separator": separator})


def _shown(text: Iterator[bytes], *, where: str) -> bytes:
    """The beginning of a text, as much as `_separator` looks at and a byte more."""
    shown = b""
    for chunk in text:
        shown += chunk
        if len(shown) > max(SHOWN, 4 * (shown.find(b"\n") + 1)) and shown.strip():
            break
    if not shown.strip():
        raise MedloopError("a table has a header and rows; the file is empty", where=where, mend="export it again")
    return shown


def _bodies(
    shown: bytes, text: Iterator[bytes], separator: str, *, block: int, where: str
) -> Iterator[tuple[bytes, int]]:
    """The text cut where records end, each piece with its first line's number."""
    line, parts, size, wanted = 1, list[bytes](), 0, block
    for chunk in chain((shown[at : at + block] for at in range(0, len(shown), block)), text):
        if size >= wanted:
            parts = list(_cut(parts, separator))
            if not parts[0] and size > max(block, LONGEST):
                raise open_quote(line, where=where)
            size = len(parts[1])
            before, line = line, line + _lines(parts[0])
            if parts[0].strip(b"\r\n"):
                yield parts.pop(0), before  # so that nothing here holds it while it is used
            else:
                del parts[0]
            wanted = max(block, 2 * size)
        parts.append(chunk)
        size += len(chunk)
    yield b"".join(parts), line


def _cut(parts: list[bytes], separator: str) -> tuple[bytes, bytes]:
    """The records of a text in parts that are surely whole, and what follows them."""
    *before, last = parts
    end = last.rfind(b"\n") + 1
    if end and not any(b'"' in part for part in parts):
        return b"".join([*before, last[:end]]), last[end:]
    body = b"".join(parts)
    end = record_end(body, separator)
    return body[:end], body[end:]


def record_end(text: bytes, separator: str) -> int:
    """Where the last record ends that is surely whole; 0 if none is. The text begins where a record does."""
    end = text.rfind(b"\n") + 1 or text.rfind(b"\r", 0, len(text) - 1) + 1
    if text.find(b'"', 0, end) < 0:
        return end
    even = _outside_quotes(text, end)
    return even if even and _quotes_are_plain(text[:even], separator) else _scanned_end(text[:end], separator)


def _outside_quotes(text: bytes, end: int) -> int:
    """The last end of a line, from `end` back, before which quotes are even in number; 0 if there is none."""
    odd = text.count(b'"', 0, end) % 2
    while odd and end:
        before = text.rfind(b"\n", 0, end - 1) + 1
        odd ^= text.count(b'"', before, end) % 2
        end = before
    return end


def _scanned_end(text: bytes, separator: str) -> int:
    """The same, record by record: for quotes that can be read in more than one way."""
    lines = _Counted(text)
    ended = 0
    try:
        for _ in csv.reader(lines, delimiter=separator, strict=True):
            ended = lines.given
    except csv.Error:
        return ended if lines.is_out else len(text)  # a fault stays one, whatever follows
    return ended


class _Counted:
    """The lines of a text, and how many bytes of it were given."""

    def __init__(self, text: bytes) -> None:
        self.lines = io.TextIOWrapper(io.BytesIO(text), "utf-8", newline="")
        self.given, self.is_out = 0, False

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            self.given += len(line.encode())
            yield line
        self.is_out = True


def _lines(text: bytes) -> int:
    return line_ends(text) + (text.count(b"\r") - text.count(b"\r\n") if b"\r" in text else 0)


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """What is the same for every piece of a text."""

    separator: str
    header: list[str]
    where: str

    def tables(
        self, first: bytes, line: int, rest: Iterator[tuple[bytes, int]]
    ) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        """The rows and the lines set aside of each piece, of which the first has the header."""
        yield self._read(first, line, headed=True)
        for body, number in rest:
            found = self._read(body, number, headed=False)
            del body
            yield found

    def _read(self, text: bytes, line: int, *, headed: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
        table = _fast(text, self.separator, self.header, headed=headed)
        if table is None:
            return _careful(text, self.separator, self.header, where=self.where, first=line, headed=headed)
        table["@row"] += line - 1
        return table, nothing()

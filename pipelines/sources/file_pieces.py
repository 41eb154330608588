"""A file, or a folder of them, larger than memory: the rows that `read_file` gives, piece by piece."""

import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from contracts.errors import MedloopError
from pipelines.sources.decimals import settle_pieces
from pipelines.sources.delimited_pieces import delimited_pieces
from pipelines.sources.file import (
    FileSource,
    _asked,
    _fetch,
    _files,
    _lazily,
    _locate,
    _placed,
    differing,
    read_file,
    shown_path,
)
from pipelines.sources.formats import SQLITE, ZIP, parse, refused
from pipelines.sources.inflation import GZIP, bomb, damaged, inflation_limit
from pipelines.sources.raw import Layout, Raw
from pipelines.sources.statistical import is_statistical
from pipelines.sources.typed import parquet_pieces

CHUNK = 1 << 20  # bytes read at once
PARQUET = b"PAR1"
Tell = Callable[[str], object]


def read_file_pieces(source: FileSource, *, root: Path, block: int, tell: Tell) -> Iterator[Raw]:
    """The rows of `read_file` in pieces of about `block` bytes of text, where the file has more of them.

    So are read delimited text, also gzipped, parquet, and a folder of such tables; all else, and what is smaller, is
    one piece. Only the last piece has a provenance, the whole's. Raises what `read_file` raises, at the piece that
    shows it; `tell` is told how far the reading is.
    """
    system, path = _locate(source.path, root)
    shown = shown_path(source.path)
    files = None if source.files is not None else _files(system, path, shown)
    opened = [_Opened(system, file, name) for name, file in (files or {shown: path}).items()]
    of = sum(file.size or 0 for file in opened)
    if source.files is not None or ((of <= block or not files) and all(_is_small(file, block) for file in opened)):
        yield read_file(source, root=root)
        return
    about = {"kind": "file", "path": shown}
    told = _Progress(of=of, tell=tell)
    pieces = _of_folder(opened, source, block, told) if files else _of_file(opened[0], source, block, told)
    for piece in pieces:
        facts = {**about, **piece.provenance} if piece.provenance else {}
        yield replace(piece, provenance=facts, opened=_lazily(source, root, is_folder=files is not None))


@dataclass(frozen=True)
class _Opened:
    """A file where it lies: its system, its path there, and what is shown of it."""

    system: Any
    path: str
    where: str

    @property
    def size(self) -> int | None:
        size = _asked(self.system.info, self.path, shown=self.where).get("size")
        return int(size) if size else None

    def open(self) -> BinaryIO:
        file: BinaryIO = _asked(self.system.open, self.path, shown=self.where, mode="rb")
        return file

    def head(self) -> bytes:
        with closing(self.open()) as file:
            return self.read(file, 4096)

    def read(self, file: BinaryIO, size: int) -> bytes:
        data: bytes = _asked(lambda path: file.read(size), self.path, shown=self.where)
        return data


@dataclass
class _Progress:
    """Says now and then how far the reading of `of` bytes is."""

    of: int
    tell: Tell
    done: int = 0
    said: int = 0

    def at(self, share: float, file: _Opened, row: object) -> None:
        """Where the reading of one file is: at this share of it and this row."""
        percent = min(int(100 * (self.done + share * (file.size or 0)) / max(self.of, 1)), 100)
        if percent >= self.said + 5:
            self.said = percent
            self.tell(f"{percent}% of the source read, to row {row} of {file.where}")


@dataclass
class _Hashed:
    """The bytes of a file in chunks, counted and hashed on their way."""

    file: _Opened
    chunk: int
    size: int = 0
    sha: Any = field(default_factory=hashlib.sha256)

    def chunks(self) -> Iterator[bytes]:
        with closing(self.file.open()) as opened:
            while data := self.file.read(opened, self.chunk):
                self.size += len(data)
                self.sha.update(data)
                yield data


def _is_small(file: _Opened, block: int) -> bool:
    """Whether a file is read whole: of few bytes, of how many nobody knows, or of a kind that is not read in pieces."""
    size = file.size
    head = file.head() if size else b""
    is_gzip = head.startswith(GZIP)
    if size is None or (size <= block and not is_gzip):
        return True
    if is_gzip:
        head = next(gunzipped(iter([head]), limit=1 << 20, where=file.where, whole=False), b"")
    is_whole = head.startswith((ZIP, SQLITE)) or is_statistical(head) or bool(refused(head))
    return is_whole or (is_gzip and head.startswith(PARQUET))


def _of_file(file: _Opened, layout: Layout, block: int, told: _Progress) -> Iterator[Raw]:
    """One file's pieces, its decimals settled."""
    if file.head().startswith(PARQUET):
        return settle_pieces(partial(_parquet, file, block, told), layout.decimal, where=file.where)
    return settle_pieces(partial(_delimited, file, layout, block, told), layout.decimal, where=file.where)


def _delimited(file: _Opened, layout: Layout, block: int, told: _Progress) -> Iterator[Raw]:
    hashed = _Hashed(file, min(block, CHUNK))
    chunks = hashed.chunks()
    if file.head().startswith(GZIP):
        limit = inflation_limit(file.size or 0)
        chunks = gunzipped(chunks, limit=limit, where=file.where)
    try:
        for piece in _summed(delimited_pieces(chunks, layout, block=block, where=file.where), hashed):
            yield piece
            told.at(hashed.size / (file.size or 1), file, piece.table["@row"].iloc[-1])
    except MedloopError:
        for _ in chunks:  # damage is told before any other fault
            pass
        raise


def _parquet(file: _Opened, block: int, told: _Progress) -> Iterator[Raw]:
    hashed = _Hashed(file, CHUNK)
    for _ in hashed.chunks():
        pass
    with closing(file.open()) as opened:
        rows, pieces = parquet_pieces(opened, block=block, where=file.where)
        for piece in _summed(pieces, hashed):
            yield piece
            row = int(piece.table["@row"].iloc[-1])
            told.at(row / rows, file, row)


def _summed(pieces: Iterator[Raw], hashed: _Hashed) -> Iterator[Raw]:
    """The pieces, the last of them with the whole's provenance: as `formats.completed` writes it."""
    held, rows = next(pieces), 0
    for piece in pieces:
        rows += len(held.table)
        yield replace(held, provenance={})
        held = piece
    facts = {
        "sha256": hashed.sha.hexdigest(),
        "bytes": hashed.size,
        "rows": rows + len(held.table),
        "columns": len(held.table.columns) - 1,
    }
    yield replace(held, provenance={**facts, **held.provenance})


def _of_folder(files: list[_Opened], layout: Layout, block: int, told: _Progress) -> Iterator[Raw]:
    """The pieces of every file in the order of their names; small files are gathered."""
    columns: list[str] = []
    about, rows, fault = list[dict[str, object]](), 0, None
    gathered = list[Raw]()
    for file in files:
        small = _is_small(file, block)
        for piece in [_parsed(file, layout)] if small else _of_file(file, layout, block, told):
            columns = columns or list(piece.table.columns)
            fault = fault or differing(columns, files[0].where, piece.table, file.where)
            if piece.provenance:
                about.append({"name": file.where, **piece.provenance})
            if fault:
                continue
            rows += len(piece.table)
            if not small or sum(int(raw.table.size) for raw in gathered) * 8 > block:
                yield from _joined(gathered)
                gathered = []
            table = _placed(piece.table[columns], file.where)
            gathered.append(Raw(table=table, quarantine=_placed(piece.quarantine, file.where)))
        told.done += file.size or 0
    if fault:
        raise fault
    *_, last = _joined(gathered)
    yield replace(last, provenance={"rows": rows, "columns": len(columns) - 1, "files": about})


def _parsed(file: _Opened, layout: Layout) -> Raw:
    return parse(_fetch(file.system, file.path, file.where), layout, where=file.where)


def _joined(parts: list[Raw]) -> Iterator[Raw]:
    """One piece of several."""
    if parts:
        yield Raw(
            table=pd.concat([part.table for part in parts], ignore_index=True),
            quarantine=pd.concat([part.quarantine for part in parts], ignore_index=True),
        )


def gunzipped(chunks: Iterator[bytes], *, limit: int, where: str, whole: bool = True) -> Iterator[bytes]:
    """What `formats.gunzip` gives, chunk by chunk. Raises MedloopError for damage and for more bytes than `limit`."""
    stream, size, is_between = zlib.decompressobj(zlib.MAX_WBITS | 16), 0, False
    for chunk in chunks:
        data, plain = chunk, b""
        while data or len(plain) == CHUNK:
            if is_between:
                data = data.lstrip(b"\0")
                is_between = not data
            try:
                plain = stream.decompress(data, CHUNK)
            except zlib.error as error:
                raise damaged(where) from error
            size += len(plain)
            if size > limit:
                raise bomb(where)
            if plain:
                yield plain
            data = stream.unconsumed_tail
            if stream.eof:
                data, is_between = stream.unused_data, True
                stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    if whole and not is_between:
        raise damaged(where)

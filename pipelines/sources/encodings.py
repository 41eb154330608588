"""Bytes to UTF-8: detected by a byte-order mark, declared, or an error that says where and what to try."""

import codecs
import re
import sys
from collections.abc import Iterable, Iterator

import numpy as np

from contracts.errors import MedloopError
from contracts.names import nearest

MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
COMMON = ("utf-8", "utf-16-le", "utf-16-be", "latin-1", "cp1252", "gbk", "gb18030", "big5", "shift_jis")
WIDE = ("utf-16", "utf-32")  # encodings in which NUL bytes are part of every letter
SAMPLE = 1 << 20  # bytes from the first that does not belong, by which the true encoding is guessed
HEAD = 4096  # bytes by which UTF-16 is told


def to_utf8(data: bytes, declared: str | None, *, where: str) -> tuple[bytes, str]:
    """The text as UTF-8 without its byte-order mark, and the encoding it was in; a mark overrules `declared`.

    Raises MedloopError with the offset of a byte that does not belong, and for NUL characters.
    """
    encoding, mark = encoding_of(data, declared, where=where)
    body = data[mark:]
    if not encoding.startswith(WIDE) and b"\0" in body:
        raise _nul(body[:HEAD], body.index(b"\0"), _line(body, body.index(b"\0")), where=where)
    if encoding == "utf-8" and body.isascii():
        return body, encoding
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        at = error.start + mark
        raise _undecodable(data[at : at + SAMPLE], encoding, at, _line(data, at), where=where) from error
    utf8 = body if encoding == "utf-8" else text.encode()
    if b"\0" in utf8:
        raise _nul(utf8[:HEAD], utf8.index(b"\0"), _line(utf8, utf8.index(b"\0")), where=where)
    return utf8, encoding


def line_ends(text: bytes) -> int:
    """How many line feeds a text holds, ten times as fast as `bytes.count` where lines are short."""
    data, step = np.frombuffer(text, dtype=np.uint8), 1 << 18  # what stays in the cache
    return sum(int(np.count_nonzero(data[at : at + step] == ord("\n"))) for at in range(0, len(data), step))


def encoding_of(head: bytes, declared: str | None, *, where: str) -> tuple[str, int]:
    """The encoding of a text that begins with these bytes, and how many of them are its byte-order mark."""
    mark = next((mark for mark in MARKS if head.startswith(mark)), b"")
    encoding = _known(declared, where=where) if declared else "utf-8"
    return MARKS.get(mark, encoding), len(mark)


def utf8_chunks(chunks: Iterable[bytes], encoding: str, mark: int, *, where: str) -> Iterator[bytes]:
    """What `to_utf8` gives, of a text too long to hold: chunk by chunk, with the same errors.

    Args:
        chunks: the text from its first byte on; the first chunk of 4,096 bytes at least if there are as many.
        encoding, mark: as `encoding_of` tells.

    Of several faults the one is raised that the whole text would show, so on any the rest is read.
    """
    decoding, nul = _Decoding(iter(chunks), encoding, mark, where), None
    if encoding == "utf-8":  # whose NULs are those of its bytes
        yield from decoding
        return
    size, lines, head = 0, 1, b""
    for text in decoding:
        head = head or text[:HEAD]
        if nul is None and b"\0" in text:
            at = text.index(b"\0")
            nul = _nul(head, size + at, lines + text.count(b"\n", 0, at), where=where)
        if nul is None:
            yield text
        size, lines = size + len(text), lines + line_ends(text)
    if nul:
        raise nul


class _Decoding:
    """Chunks of bytes turned into chunks of UTF-8, while the place in the bytes is counted."""

    def __init__(self, chunks: Iterator[bytes], encoding: str, mark: int, where: str) -> None:
        self.chunks, self.encoding, self.mark, self.where = chunks, encoding, mark, where
        self.size, self.lines, self.head = 0, 0, b""  # of all bytes, the mark among them

    def __iter__(self) -> Iterator[bytes]:
        first = next(self.chunks, b"")
        self.head = first[self.mark : self.mark + HEAD]
        self.size = self.mark
        decoder = codecs.getincrementaldecoder(_in_order(self.encoding, self.head))()
        yield self._utf8(decoder, first[self.mark :])
        for chunk in self.chunks:
            yield self._utf8(decoder, chunk)
        yield self._utf8(decoder, b"", final=True)

    def _utf8(self, decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> bytes:
        self._refuse_nul(chunk)
        self.size, self.lines = self.size + len(chunk), self.lines + line_ends(chunk)
        if self.encoding == "utf-8" and chunk.isascii() and not decoder.getstate()[0]:
            return chunk
        try:
            return decoder.decode(chunk, final).encode()
        except UnicodeDecodeError as error:
            raise self._undecodable(error.object[error.start :]) from error

    def _refuse_nul(self, chunk: bytes) -> None:
        if not self.encoding.startswith(WIDE) and b"\0" in chunk:
            at = chunk.index(b"\0")
            line = self.lines + chunk.count(b"\n", 0, at) + 1
            raise _nul(self.head, self.size - self.mark + at, line, where=self.where)

    def _undecodable(self, rest: bytes) -> MedloopError:
        """The error for the byte that `rest` begins with, after a look at what follows."""
        at, line = self.size - len(rest), self.lines - rest.count(b"\n") + 1
        sample = rest[:SAMPLE]
        for chunk in self.chunks:
            self._refuse_nul(chunk)
            self.size, self.lines = self.size + len(chunk), self.lines + chunk.count(b"\n")
            sample += chunk[: SAMPLE - len(sample)]
        return _undecodable(sample, self.encoding, at, line, where=self.where)


def _in_order(encoding: str, head: bytes) -> str:
    """The encoding with its order of bytes, which decoders of chunks do not take for granted."""
    order = "le" if sys.byteorder == "little" else "be"
    marked = head.startswith((codecs.BOM_UTF32_BE, codecs.BOM_UTF32_LE))
    return f"{encoding}-{order}" if encoding in WIDE and not marked else encoding


def _known(declared: str, *, where: str) -> str:
    try:
        return codecs.lookup(declared).name
    except LookupError as error:
        raise MedloopError(f"there is no encoding {declared!r}{nearest(declared, COMMON)}", where=where) from error


def _line(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1


def _nul(head: bytes, at: int, line: int, *, where: str) -> MedloopError:
    halves = {"utf-16-le": head[1::2], "utf-16-be": head[0::2]}
    wide = [name for name, half in halves.items() if half.count(b"\0") > 0.8 * len(half)]
    return MedloopError(
        f"text holds no NUL bytes; the first one is byte {at}",
        where=f"{where}, line {line}",
        mend=f"write `encoding: {wide[0]}` under source" if wide else "write the file again, or remove those bytes",
    )


def _undecodable(sample: bytes, encoding: str, at: int, line: int, *, where: str) -> MedloopError:
    return MedloopError(
        f"the byte at offset {at} does not belong in {encoding}",
        where=f"{where}, line {line}",
        mend=f"save the file as UTF-8, or name its encoding, perhaps {_likely(sample)}: source.encoding of a study, "
        "--encoding of init",
    )


def _likely(sample: bytes) -> str:
    """GBK when the bytes beyond ASCII come in twos, else a Western code page."""
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", sample)]
    in_twos = sum(length % 2 == 0 for length in runs) > 0.7 * len(runs)
    for name in ("gbk", "gb18030") if in_twos else ():
        try:
            codecs.getincrementaldecoder(name)().decode(sample, len(sample) < SAMPLE)
        except UnicodeDecodeError:
            continue
        return name
    return "cp1252" if re.search(rb"[\x80-\x9f]", sample) else "latin-1"

"""Bytes to UTF-8: detected by a byte-order mark, declared, or an error that says where and what to try."""

import codecs
import re

from contracts.errors import MedloopError
from contracts.names import nearest

MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
COMMON = ("utf-8", "utf-16-le", "utf-16-be", "latin-1", "cp1252", "gbk", "gb18030", "big5", "shift_jis")
WIDE = ("utf-16", "utf-32")  # encodings in which NUL bytes are part of every letter


def to_utf8(data: bytes, declared: str | None, *, where: str) -> tuple[bytes, str]:
    """The text as UTF-8 without its byte-order mark, and the encoding it was in; a mark overrules `declared`.

    Raises MedloopError with the offset of a byte that does not belong, and for NUL characters.
    """
    mark = next((mark for mark in MARKS if data.startswith(mark)), b"")
    encoding = _known(declared, where=where) if declared else "utf-8"
    encoding = MARKS.get(mark, encoding)
    body = data[len(mark) :]
    if not encoding.startswith(WIDE) and b"\0" in body:
        raise _nul(body, where=where)
    if encoding == "utf-8" and body.isascii():
        return body, encoding
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        raise _undecodable(data, encoding, error.start + len(mark), where=where) from error
    utf8 = body if encoding == "utf-8" else text.encode()
    if b"\0" in utf8:
        raise _nul(utf8, where=where)
    return utf8, encoding


def _known(declared: str, *, where: str) -> str:
    try:
        return codecs.lookup(declared).name
    except LookupError as error:
        raise MedloopError(f"there is no encoding {declared!r}{nearest(declared, COMMON)}", where=where) from error


def _line(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1


def _nul(body: bytes, *, where: str) -> MedloopError:
    at = body.index(b"\0")
    halves = {"utf-16-le": body[1:4096:2], "utf-16-be": body[0:4096:2]}
    wide = [name for name, half in halves.items() if half.count(b"\0") > 0.8 * len(half)]
    return MedloopError(
        f"text holds no NUL bytes; the first one is byte {at}",
        where=f"{where}, line {_line(body, at)}",
        mend=f"write `encoding: {wide[0]}` under source" if wide else "write the file again, or remove those bytes",
    )


def _undecodable(data: bytes, encoding: str, at: int, *, where: str) -> MedloopError:
    return MedloopError(
        f"the byte at offset {at} does not belong in {encoding}",
        where=f"{where}, line {_line(data, at)}",
        mend=f"save the file as UTF-8, or name its encoding, perhaps {_likely(data)}: source.encoding of a study, "
        "--encoding of init",
    )


def _likely(data: bytes) -> str:
    """GBK when the bytes beyond ASCII come in twos, else a Western code page."""
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", data)]
    in_twos = sum(length % 2 == 0 for length in runs) > 0.7 * len(runs)
    for name in ("gbk", "gb18030") if in_twos else ():
        try:
            data.decode(name)
        except UnicodeDecodeError:
            continue
        return name
    return "cp1252" if re.search(rb"[\x80-\x9f]", data) else "latin-1"

"""What unpacks to far more than a table would is refused before it is unpacked."""

import zipfile
import zlib
from collections.abc import Sequence

from contracts.errors import MedloopError

GZIP = b"\x1f\x8b"
# A file that unpacks to more than this, and to more than this many times itself, is a bomb.
BOMB_BYTES, BOMB_RATIO = 1 << 30, 200


def gunzip(data: bytes, *, where: str) -> bytes:
    """The unpacked bytes. Raises MedloopError for a damaged file and for a decompression bomb."""
    limit = inflation_limit(len(data))
    parts: list[bytes] = []
    size = 0
    while data:
        stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            parts.append(stream.decompress(data, limit - size + 1))
        except zlib.error as error:
            raise damaged(where) from error
        size += len(parts[-1])
        if size > limit:
            raise bomb(where)
        if not stream.eof:
            raise damaged(where)
        data = stream.unused_data.lstrip(b"\0")
    return b"".join(parts)


def inflation_limit(size: int) -> int:
    """The bytes that so many compressed ones may unpack to."""
    return max(BOMB_BYTES, BOMB_RATIO * size)


def check_size(member: zipfile.ZipInfo, *, where: str) -> None:
    """Raises MedloopError when a member of an archive is a decompression bomb."""
    if member.file_size > inflation_limit(member.compress_size):
        raise bomb(where)


def check_total(members: Sequence[zipfile.ZipInfo], *, where: str) -> None:
    """Raises MedloopError when the members of an archive are a decompression bomb together."""
    if sum(m.file_size for m in members) > inflation_limit(sum(m.compress_size for m in members)):
        raise bomb(where)


def damaged(where: str) -> MedloopError:
    """The error for a compressed file or archive that does not unpack."""
    return MedloopError("the compressed file is damaged or cut short", where=where, mend="fetch or write it again")


def bomb(where: str) -> MedloopError:
    """The error for what unpacks beyond all measure."""
    return MedloopError("the file unpacks to far more than a table would", where=where, mend="unpack it yourself first")

"""Which reader a file needs, told by its first bytes and never by its ending; what can run code is refused."""

import hashlib
import io
import zipfile
import zlib
from dataclasses import replace

from contracts.errors import MedloopError
from pipelines.sources.decimals import settle_decimal
from pipelines.sources.delimited import read_delimited
from pipelines.sources.raw import Layout, Raw
from pipelines.sources.typed import read_excel, read_parquet

GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
SQLITE = b"SQLite format 3\0"
ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet", ".xlsx")
# A file that unpacks to more than this, and to more than this many times itself, is a bomb.
BOMB_BYTES, BOMB_RATIO = 1 << 30, 200
REFUSED = {
    **{bytes([0x80, protocol]): "a pickle (joblib, .pkl, .pt), which can run code" for protocol in range(2, 6)},
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "an HDF5 file",
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls)",
    b"\x28\xb5\x2f\xfd": "a zstandard archive",
    b"\xfd7zXZ": "an xz archive",
    b"BZh": "a bzip2 archive",
}


def parse(data: bytes, layout: Layout, *, where: str) -> Raw:
    """The rows of one file: delimited text (also gzipped), parquet or Excel.

    Provenance: sha256 and size of the bytes, rows, columns, and what the reader adds. Raises MedloopError for
    pickles, arrays and archives whatever their name, and for what the readers refuse.
    """
    raw = _read(gunzip(data, where=where) if data.startswith(GZIP) else data, layout, where=where)
    facts = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "rows": len(raw.table),
        "columns": len(raw.table.columns) - 1,
        **raw.provenance,
    }
    return replace(raw, table=settle_decimal(raw.table, layout.decimal, where=where), provenance=facts)


def _read(data: bytes, layout: Layout, *, where: str) -> Raw:
    if data.startswith(b"PAR1"):
        return read_parquet(data, where=where)
    if data.startswith(ZIP):
        _check_workbook(data, where=where)
        return read_excel(data, layout.sheet, where=where)
    if data.startswith(SQLITE):
        raise _database(where)
    found = next((kind for magic, kind in REFUSED.items() if data.startswith(magic)), None)
    if found or _is_zlib(data):
        raise _refusal(found or "a compressed pickle (joblib)", where)
    return read_delimited(data, layout, where=where)


def _database(where: str) -> MedloopError:
    return MedloopError(
        "a table is CSV, TSV, parquet or .xlsx; this is a SQLite database",
        where=where,
        mend="declare it in the study, its path counted from the repository: source: "
        f'{{kind: sql, url: "sqlite:///{where}", table: NAME}} (or query: SELECT …); '
        "init and predict take files: export the rows as CSV",
    )


def _refusal(kind: str, where: str) -> MedloopError:
    return MedloopError(
        f"a table is CSV, TSV, parquet or .xlsx; this is {kind}",
        where=where,
        mend="export the table as CSV or parquet where it was made",
    )


def _is_zlib(data: bytes) -> bool:
    """Whether it is a zlib stream, as joblib writes: a header that checks out, then data that unpack."""
    if data[:1] != b"\x78" or int.from_bytes(data[:2], "big") % 31:
        return False
    try:
        return bool(zlib.decompressobj().decompress(data[:4096], 64))
    except zlib.error:
        return False


def gunzip(data: bytes, *, where: str) -> bytes:
    """The unpacked bytes. Raises MedloopError for a damaged file and for a decompression bomb."""
    limit = max(BOMB_BYTES, BOMB_RATIO * len(data))
    parts: list[bytes] = []
    size = 0
    while data:
        stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            parts.append(stream.decompress(data, limit - size + 1))
        except zlib.error as error:
            raise _damaged(where) from error
        size += len(parts[-1])
        if size > limit:
            raise _bomb(where)
        if not stream.eof:
            raise _damaged(where)
        data = stream.unused_data.lstrip(b"\0")
    return b"".join(parts)


def check_size(member: zipfile.ZipInfo, *, where: str) -> None:
    """Raises MedloopError when a member of an archive is a decompression bomb."""
    if member.file_size > max(BOMB_BYTES, BOMB_RATIO * member.compress_size):
        raise _bomb(where)


def _damaged(where: str) -> MedloopError:
    return MedloopError("the compressed file is damaged or cut short", where=where, mend="fetch or write it again")


def _bomb(where: str) -> MedloopError:
    return MedloopError("the file unpacks to far more than a table would", where=where, mend="unpack it yourself first")


def _check_workbook(data: bytes, *, where: str) -> None:
    try:
        members = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except zipfile.BadZipFile as error:
        raise _damaged(where) from error
    names = [member.filename for member in members]
    if any(name.endswith((".pkl", ".pickle", ".npy")) for name in names):
        raise _refusal("a model or array archive (.pt, .npz), which can run code", where)
    if "xl/workbook.xml" not in names:
        raise _refusal("a zip archive", where)
    for member in members:
        check_size(member, where=where)

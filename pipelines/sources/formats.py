"""Which reader a file needs, told by its first bytes and never by its ending; what can run code is refused."""

import hashlib
import io
import zipfile
import zlib
from dataclasses import replace

from contracts.errors import MedloopError
from pipelines.sources.arrays import read_npz
from pipelines.sources.decimals import settle_decimal
from pipelines.sources.delimited import read_delimited
from pipelines.sources.inflation import GZIP, check_size, damaged, gunzip
from pipelines.sources.raw import Layout, Raw
from pipelines.sources.statistical import is_statistical, read_statistical
from pipelines.sources.typed import read_excel, read_parquet

ZIP = b"PK\x03\x04"
SQLITE = b"SQLite format 3\0"
TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".xlsx", ".dta", ".xpt", ".sas7bdat", ".sav", ".zsav")
ENDINGS = (*TABLES, ".txt", ".txt.gz")  # where a table is expected, a text is one
PORTABLE = b"ASCII SPSS PORT FILE"  # after 40 characters
PICKLE, COMPRESSED_PICKLE = "a pickle (joblib, .pkl, .pt), which can run code", "a compressed pickle (joblib)"
MAYBE_PICKLED = (PICKLE, COMPRESSED_PICKLE, "a NumPy array", "an xz archive")
REFUSED = {
    **{bytes([0x80, protocol]): PICKLE for protocol in range(2, 6)},
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "an HDF5 file",
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls)",
    b"\x28\xb5\x2f\xfd": "a zstandard archive",
    b"\xfd7zXZ": "an xz archive",
    b"BZh": "a bzip2 archive",
    b"**COMPRESSED**": "a SAS CPORT file",
    bytes(12) + b"\xc2\xea\x81\x63": "a catalogue of SAS formats (.sas7bcat), which has labels and no rows",
    **dict.fromkeys((b"X\n\0\0", b"RDX2\n", b"RDX3\n"), "an R file (.rds, .RData)"),
}


def parse(data: bytes, layout: Layout, *, where: str) -> Raw:
    """The rows of one file: delimited text (also gzipped), parquet, Excel, Stata, SAS, SPSS, or arrays (.npz).

    Provenance: sha256 and size of the bytes, rows, columns, and what the reader adds. Raises MedloopError for
    pickles, single arrays and archives whatever their name, and for what the readers refuse.
    """
    raw = _read(gunzip(data, where=where) if data.startswith(GZIP) else data, layout, where=where)
    return completed(raw, data, layout, where=where)


def completed(raw: Raw, data: bytes, layout: Layout, *, where: str) -> Raw:
    """What was read of `data`, with its provenance and its decimals settled."""
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
        names = _checked_names(data, where=where)
        if all(name.endswith(".npy") for name in names):
            return read_npz(data, where=where)
        _check_workbook(names, where=where)
        return read_excel(data, layout.sheet, where=where)
    if data.startswith(SQLITE):
        raise _database(where)
    if is_statistical(data):
        return read_statistical(data, encoding=layout.encoding, labels=layout.labels, where=where)
    found = refused(data)
    if found:
        raise _refusal(found, where)
    return read_delimited(data, layout, where=where)


def refused(data: bytes) -> str | None:
    """What the bytes are, where they are no text but of a kind that is not read, such as a pickle."""
    found = next((kind for magic, kind in REFUSED.items() if data.startswith(magic)), None)
    if data[40:].startswith(PORTABLE):
        found = "an SPSS portable file (.por)"
    return found or (COMPRESSED_PICKLE if _is_zlib(data) else None)


def _database(where: str) -> MedloopError:
    return MedloopError(
        "a table is CSV, TSV, parquet or .xlsx; this is a SQLite database",
        where=where,
        mend="declare it in the study, its path counted from the repository: source: "
        f'{{kind: sql, url: "sqlite:///{where}", table: NAME}} (or query: SELECT …); '
        "init and predict take files: export the rows as CSV",
    )


def _refusal(kind: str, where: str) -> MedloopError:
    hint = "; a wheel pinned by its hash may hold one: `pickled: true`" if kind in MAYBE_PICKLED else ""
    return MedloopError(
        f"a table is CSV, TSV, parquet, Excel's .xlsx, or of Stata, SAS or SPSS; this is {kind}",
        where=where,
        mend=f"export the table as CSV or parquet where it was made{hint}",
    )


def _is_zlib(data: bytes) -> bool:
    """Whether it is a zlib stream, as joblib writes: a header that checks out, then data that unpack."""
    if data[:1] != b"\x78" or int.from_bytes(data[:2], "big") % 31:
        return False
    try:
        return bool(zlib.decompressobj().decompress(data[:4096], 64))
    except zlib.error:
        return False


def _checked_names(data: bytes, *, where: str) -> list[str]:
    try:
        members = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except zipfile.BadZipFile as error:
        raise damaged(where) from error
    for member in members:
        check_size(member, where=where)
    return [member.filename for member in members]


def _check_workbook(names: list[str], *, where: str) -> None:
    if any(name.endswith((".pkl", ".pickle", ".npy")) for name in names):
        raise _refusal("a model or array archive (.pt), which can run code", where)
    if "xl/workbook.xml" not in names:
        raise _refusal("a zip archive", where)

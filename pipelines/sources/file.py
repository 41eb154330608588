"""Files where a team has them: a path, an address that fsspec knows, or a folder of files alike."""

import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

import pandas as pd
from pydantic import field_validator

from contracts.errors import MedloopError, listed
from contracts.names import nearest
from pipelines.sources.archive import Tree, archive_tree
from pipelines.sources.formats import ENDINGS, parse
from pipelines.sources.raw import Layout, Opened, Raw, UnreachableError
from pipelines.sources.tree import folder_tree, opener, read_tree, stamp

# Before a host: a password, or over HTTP a user alone, who is often a token.
PASSWORD = re.compile(r"://[^/?#]*:[^/?#]*@|https?://[^/?#]*@")
STAMPS = ("size", "ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "generation")


class FileSource(Layout):
    """CSV, TSV, parquet or Excel, perhaps gzipped; or a folder of such files with the same columns.

    With `files` any set of files, in a folder or an archive (.zip, .tar, .tgz).
    `path` is absolute, relative to the repository, or an address such as https://… or s3://….
    """

    kind: Literal["file"] = "file"
    path: str

    @field_validator("path")
    @classmethod
    def _without_secrets(cls, path: str) -> str:
        if PASSWORD.search(path):
            # Not a ValueError: pydantic's report of one quotes the path.
            raise MedloopError(
                "a password stands in the study",
                where="source, path",
                mend="leave it out of the address: fsspec reads credentials from its own settings or ~/.netrc",
            )
        return path


def read_file(source: FileSource, *, root: Path) -> Raw:
    """The rows of the file, or of every file of the folder in the order of their names; or one row a file.

    Raises MedloopError when there is no such file, when the files of a folder differ in columns, and
    for what `formats.parse` refuses; UnreachableError when a server does not answer.
    """
    system, path = _locate(source.path, root)
    shown = shown_path(source.path)
    origin: dict[str, object] = {"kind": "file", "path": shown}
    if source.files is not None:
        raw = read_tree(_tree(system, path, shown), source)
        return replace(raw, provenance={**origin, **raw.provenance})
    files = _files(system, path, shown)
    opened = _lazily(source, root, is_folder=files is not None)
    if files is None:
        raw = parse(_fetch(system, path, shown), source, where=shown)
        return replace(raw, provenance={**origin, **raw.provenance}, opened=opened)
    parts = {name: parse(_fetch(system, file, name), source, where=name) for name, file in files.items()}
    table = _stacked(parts)
    about = [{"name": name, **part.provenance} for name, part in parts.items()]
    return Raw(
        table=table,
        provenance={**origin, "rows": len(table), "columns": len(table.columns) - 1, "files": about},
        quarantine=pd.concat([_placed(part.quarantine, name) for name, part in parts.items()], ignore_index=True),
        opened=opened,
    )


def fingerprint_file(source: FileSource, *, root: Path) -> dict[str, object]:
    """Size and SHA-256 of a local file; of a remote one what its server tells: size, ETag, time of change.

    A remote file of which only the size is known is fetched and hashed. A folder of tables has one entry a file, one
    of other files the hash of their names, sizes and times of change.
    """
    system, path = _locate(source.path, root)
    shown = shown_path(source.path)
    if source.files is not None:
        return _tree_stamp(system, path, shown)
    files = _files(system, path, shown)
    found: dict[str, object] = {name: _stamp(system, file, name) for name, file in (files or {}).items()}
    found = found or _stamp(system, path, shown)
    if source.folder is None:
        return found
    named = _folder(source, is_folder=files is not None)
    return {**found, "folder": _tree_stamp(*_locate(named, root), shown_path(named))}


def shown_path(path: str) -> str:
    """A path that may be shown: no directories of this machine, and no user, password or query of an address."""
    if "://" in path:
        parts = urlsplit(path.rpartition("::")[2])  # fsspec chains addresses: simplecache::https://…
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return PurePosixPath(path).name if PurePosixPath(path).is_absolute() else path


def _locate(path: str, root: Path) -> tuple[Any, str]:
    """The file system and the path in it."""
    from fsspec.core import url_to_fs

    address = path if "://" in path else str(root / path)
    try:
        system, inner = url_to_fs(address)
    except (ValueError, ImportError) as error:
        raise MedloopError(
            f"no reader for addresses that begin with {path.partition('://')[0]}://",
            where=shown_path(path),
            mend="install the package that fsspec names for it, or fetch the file",
        ) from error
    return system, str(inner)


def _files(system: Any, path: str, shown: str) -> dict[str, str] | None:
    """The tables of a folder by name; None when `path` is a file."""
    if _is_web(system) or not _asked(system.isdir, path, shown=shown):
        return None
    found = sorted(str(entry) for entry in _asked(system.ls, path, shown=shown, detail=False))
    files = {PurePosixPath(file).name: file for file in found if file.lower().endswith(ENDINGS)}
    tables = {name: file for name, file in files.items() if not name.startswith((".", "~"))}
    if not tables:
        raise MedloopError("the folder holds no table", where=shown, mend=f"tables end in {listed(ENDINGS)}")
    return tables


def _folder(source: FileSource, *, is_folder: bool) -> str:
    """The address of the place where the paths in cells count from."""
    beside = source.path if is_folder else source.path.rpartition("/")[0]
    if source.folder is None or "://" in source.folder:
        return source.folder or beside
    scheme, slashes, rest = beside.rpartition("://")
    return scheme + slashes + posixpath.normpath(posixpath.join(rest, source.folder))


def _lazily(source: FileSource, root: Path, *, is_folder: bool) -> Opened:
    """What reads the files that cells name; it looks for their folder when the first is asked for."""

    @cache
    def opened_from() -> Opened:
        address = _folder(source, is_folder=is_folder)
        return opener(_tree(*_locate(address, root), shown_path(address) or "the folder of the table"))

    return lambda path: opened_from()(path)


def _tree(system: Any, path: str, shown: str) -> Tree:
    """The files of a folder or an archive."""
    if _is_web(system) and not path.lower().endswith((".zip", ".tar", ".tgz", ".tar.gz")):
        return folder_tree(system, path, where=shown)
    if not _is_web(system) and _asked(system.isdir, path, shown=shown):
        return folder_tree(system, path, where=shown)
    tree = archive_tree(_asked(system.open, path, shown=shown, mode="rb"), where=shown)
    if tree is None:
        raise MedloopError(
            "a folder or an archive (.zip, .tar, .tgz) was expected; this is another kind of file",
            where=shown,
            mend="correct `path` (or `folder`) under source; `files` is not for tables",
        )
    return tree


def _tree_stamp(system: Any, path: str, shown: str) -> dict[str, object]:
    if not _is_web(system) and _asked(system.isdir, path, shown=shown):
        return stamp(system, path, where=shown)
    if "file" in system.protocol and Path(path).is_file():
        return {"size": Path(path).stat().st_size, "mtime_ns": Path(path).stat().st_mtime_ns}
    return _stamp(system, path, shown)


def _is_web(system: Any) -> bool:
    """Whether it is HTTP, which has no folders."""
    return not {"http", "https"}.isdisjoint([system.protocol] if isinstance(system.protocol, str) else system.protocol)


def _fetch(system: Any, path: str, shown: str) -> bytes:
    data = _asked(system.cat_file, path, shown=shown)
    assert isinstance(data, bytes)
    return data


def _stamp(system: Any, path: str, shown: str) -> dict[str, object]:
    about: Mapping[str, object] = _asked(system.info, path, shown=shown)
    stamps = {key: about[key] for key in STAMPS if about.get(key) is not None}
    if "file" in system.protocol or set(stamps) <= {"size"}:
        data = _fetch(system, path, shown)
        return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return {key: value if isinstance(value, int) else str(value) for key, value in stamps.items()}


def _asked(call: Any, path: str, *, shown: str, **options: object) -> Any:
    """What a file system answers, its faults told without the address's secrets."""
    try:
        return call(path, **options)
    except FileNotFoundError as error:
        raise _absent(path, shown) from error
    except PermissionError as error:
        raise MedloopError(
            "reading is not permitted", where=shown, mend="check its rights or your credentials"
        ) from error
    except Exception as error:  # every file system has errors of its own
        raise UnreachableError(
            f"the file could not be read ({type(error).__name__})",
            where=shown,
            mend="check the network, the address and the credentials",
        ) from error


def _absent(path: str, shown: str) -> MedloopError:
    folder = Path(path).parent
    beside = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return MedloopError(
        f"there is no such file{nearest(Path(path).name, beside)}",
        where=shown,
        mend="correct `path`, or `folder`, under source",
    )


def _stacked(parts: Mapping[str, Raw]) -> pd.DataFrame:
    """One table of all files, in the first one's order of columns."""
    first = next(iter(parts))
    columns = list(parts[first].table.columns)
    for name, part in parts.items():
        fault = differing(columns, first, part.table, name)
        if fault:
            raise fault
    return pd.concat([_placed(part.table[columns], name) for name, part in parts.items()], ignore_index=True)


def differing(columns: list[str], first: str, table: pd.DataFrame, name: str) -> MedloopError | None:
    """The error for a file of a folder that has other columns than the first; None when it has the same."""
    lacking, extra = sorted({*columns} - {*table.columns}), sorted({*table.columns} - {*columns})
    differences = [f"lacks {listed(lacking)}"] * bool(lacking) + [f"adds {listed(extra)}"] * bool(extra)
    if not differences:
        return None
    return MedloopError(
        f"the files of a folder have the same columns; beside {first}, {name} {' and '.join(differences)}",
        where=name,
        mend="make the columns alike, or move the file elsewhere",
    )


def _placed(rows: pd.DataFrame, file: str) -> pd.DataFrame:
    """`rows` with `@row` as `file:line`, since a line alone is one of every file."""
    return rows.assign(**{"@row": (f"{file}:" + rows["@row"].astype("str")).astype("str")})

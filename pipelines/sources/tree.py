"""Folders and archives as sets of files: one row a file, or the place where the paths in a table's cells count from."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contracts.errors import MedloopError, listed
from pipelines.sources.archive import Tree, absent, is_inside
from pipelines.sources.fields import extract
from pipelines.sources.pattern import matched, placeholders
from pipelines.sources.raw import Layout, Opened, Raw, UnreachableError


def read_tree(tree: Tree, layout: Layout) -> Raw:
    """One row a file whose path matches `layout.files`, in the order of the paths; `@row` counts from 1.

    Columns: one a placeholder, `file` (the path), one a field of `layout.fields`. A file that should be XML and is
    none goes to quarantine. Provenance: files and bytes of those that match, one sha256 of their paths and contents,
    and how many files did not match. Raises MedloopError where none does.
    """
    assert layout.files is not None
    paths = sorted(path for path in tree.sizes() if not _is_hidden(path))
    rows = {path: found for path in paths if (found := matched(layout.files, path)) is not None}
    if not rows:
        raise _no_match(layout.files, paths, tree.where)
    contents = _read_all(tree, list(rows), layout.fields)
    columns = zip(*(found for found in rows.values()), strict=True)
    table = pd.DataFrame(
        {
            "@row": np.arange(1, len(rows) + 1, dtype=np.int64),
            **dict(zip(placeholders(layout.files), (_texts(column) for column in columns), strict=True)),
            "file": _texts(rows),
            **{name: _texts(texts[i] for texts in contents.fields) for i, name in enumerate(layout.fields)},
        }
    )
    faulty = table["file"].isin(contents.faults)
    reasons = [f"{file}: {contents.faults[file]}" for file in table.loc[faulty, "file"]]
    return Raw(
        table=table[~faulty].reset_index(drop=True),
        provenance={**contents.facts, "unmatched": len(paths) - len(rows)},
        quarantine=pd.DataFrame({"@row": table.loc[faulty, "@row"].to_numpy(), "reason": _texts(reasons)}),
        opened=opener(tree),
    )


def opener(tree: Tree) -> Opened:
    """What gives the bytes of the file that a cell names. It refuses absolute paths and `..`."""

    def opened(path: str) -> bytes:
        if not is_inside(path):
            raise MedloopError(
                f"a cell names a file by a path that leads out of its folder: {path}",
                where=tree.where,
                mend="write paths from the folder on, without .. and drive; `folder` under source says which it is",
            )
        return tree.read(path)

    return opened


def folder_tree(system: Any, folder: str, *, where: str) -> Tree:
    """The files below a folder of any fsspec file system; a local link that leads out of it is refused."""
    base = folder.rstrip("/")

    def sizes() -> dict[str, int]:
        return {path: int(str(about["size"] or 0)) for path, about in listing(system, base, where=where).items()}

    def read(path: str) -> bytes:
        _check_link(system, base, path, where)
        try:
            data = system.cat_file(f"{base}/{path}")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise absent(path, _beside(system, base), where) from error
        except Exception as error:  # every file system has errors of its own
            raise _unread(f"the file {path}", error, where) from error
        assert isinstance(data, bytes)
        return data

    return Tree(sizes=sizes, read=read, where=where)


def listing(system: Any, folder: str, *, where: str) -> Mapping[str, Mapping[str, Any]]:
    """What the file system tells of every file below the folder, by its path from there."""
    base = str(system._strip_protocol(folder)).rstrip("/")
    try:
        found = system.find(base, detail=True)
    except Exception as error:  # every file system has errors of its own
        raise _unread("the folder", error, where) from error
    return {str(path)[len(base) + 1 :]: about for path, about in sorted(found.items())}


def stamp(system: Any, folder: str, *, where: str) -> dict[str, object]:
    """How many files lie below a folder, and one hash of their names, sizes and times of change."""
    files = {path: about for path, about in listing(system, folder, where=where).items() if not _is_hidden(path)}
    told = [(path, about.get("size"), _changed(system, about)) for path, about in files.items()]
    return {"files": len(files), "stamp": hashlib.sha256(json.dumps(told).encode()).hexdigest()}


def _changed(system: Any, about: Mapping[str, Any]) -> str:
    """The moment, or the server's tag, of a file's last change; to the nanosecond where it is local."""
    if "file" in system.protocol:
        return str(Path(about["name"]).stat().st_mtime_ns)
    keys = ("ETag", "etag", "LastModified", "last_modified", "updated", "generation", "mtime")
    return str([about[key] for key in keys if about.get(key) is not None])


def _check_link(system: Any, base: str, path: str, where: str) -> None:
    if "file" in system.protocol and not (Path(base) / path).resolve().is_relative_to(Path(base).resolve()):
        raise MedloopError(
            f"{path} is a link that leads out of the folder", where=where, mend="put the file itself there"
        )


def _beside(system: Any, base: str) -> list[str]:
    try:
        return list(listing(system, base, where=base))
    except MedloopError:  # the nearest name is only a help
        return []


@dataclass(frozen=True, kw_only=True)
class _Contents:
    """What reading all files gave: by row the fields' texts, by path why there are none, and facts."""

    fields: list[list[str]]
    facts: dict[str, object]
    faults: dict[str, str] = field(default_factory=dict)


def _read_all(tree: Tree, paths: list[str], fields: Mapping[str, str]) -> _Contents:
    whole, size = hashlib.sha256(), 0
    texts, faults = list[list[str]](), dict[str, str]()
    for path in paths:
        data = tree.read(path)
        size += len(data)
        whole.update(f"{path}\0{hashlib.sha256(data).hexdigest()}\n".encode())
        try:
            texts.append(extract(data, fields) if fields else [])
        except ValueError as fault:
            texts.append([""] * len(fields))
            faults[path] = str(fault)
    return _Contents(
        fields=texts, facts={"files": len(paths), "bytes": size, "sha256": whole.hexdigest()}, faults=faults
    )


def _texts(values: Any) -> "pd.Series":
    return pd.Series(list(values), dtype="str")


def _unread(what: str, error: Exception, where: str) -> UnreachableError:
    return UnreachableError(
        f"{what} could not be read ({type(error).__name__})",
        where=where,
        mend="check its rights, the network, the address and the credentials",
    )


def _is_hidden(path: str) -> bool:
    return any(part.startswith((".", "~")) or part == "__MACOSX" for part in path.split("/"))


def _no_match(pattern: str, paths: list[str], where: str) -> MedloopError:
    there = f"there are {listed(paths, 4)}" if paths else "there is no file at all"
    return MedloopError(f"no file matches {pattern}; {there}", where=where, mend="correct `files` under source")

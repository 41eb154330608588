"""A zip or tar archive as a set of files: read in place, never unpacked to disk, and refused whole when it is odd."""

import io
import re
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import BinaryIO

from contracts.errors import MedloopError
from contracts.names import nearest
from pipelines.sources.formats import ZIP
from pipelines.sources.inflation import GZIP, check_size, check_total, damaged, gunzip

BLOCK = 512  # bytes, of a tar
DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, kw_only=True)
class Tree:
    """The files below one place. Paths count from it, with / between.

    sizes: bytes by path, of all files; listed when asked for
    read: the bytes of one file; raises MedloopError where there is none
    where: what is shown of the place
    """

    sizes: Callable[[], dict[str, int]]
    read: Callable[[str], bytes]
    where: str


def is_inside(path: str) -> bool:
    """Whether a path stays below where it counts from, whatever system reads it."""
    parts = path.split("/")
    return (
        bool(path)
        and not path.startswith("/")
        and not DRIVE.match(path)
        and not {"..", ""} & {*parts[:-1]}
        and (parts[-1] != ".." and "\\" not in path and "\0" not in path)
    )


def absent(path: str, paths: Sequence[str], where: str) -> MedloopError:
    """The error for a file that is not there, with the nearest that is."""
    return MedloopError(
        f"there is no file {path}{nearest(path, paths)}", where=where, mend="correct the path, or add the file"
    )


def archive_tree(file: BinaryIO, *, under: str = "", where: str) -> Tree | None:
    """The files of a .zip, .tar or .tgz, told by its first bytes; None when it is none of them.

    Raises MedloopError for absolute paths, `..`, links and names used twice, encrypted files, decompression bombs
    and damaged archives.
    """
    magic = file.read(512)
    file.seek(0)
    if magic.startswith((ZIP, b"PK\x05\x06")):
        return zip_tree(file, under=under, where=where)
    if magic.startswith(GZIP):
        file = io.BytesIO(gunzip(file.read(), where=where))
        magic = file.read(512)
        file.seek(0)
    return _tar_tree(file, where=where) if magic[257:262] == b"ustar" else None


def zip_tree(file: BinaryIO, *, under: str = "", where: str) -> Tree:
    """The files of a zip archive, those below the folder `under`."""
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise damaged(where) from error
    prefix = f"{under.rstrip('/')}/" if under else ""
    members = {m.filename.removeprefix(prefix): m for m in archive.infolist() if m.filename.startswith(prefix)}
    _check_names([m.filename for m in archive.infolist()], where)
    for path, member in members.items():
        mode = stat.S_IFMT(member.external_attr >> 16)
        if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refused(f"a link or device: {path}", where)
        if member.flag_bits & 1:
            raise _refused(f"an encrypted file: {path}", where)
        check_size(member, where=f"{where}: {path}")
    check_total(list(members.values()), where=where)
    files = {path: member for path, member in members.items() if not member.is_dir()}

    def read(path: str) -> bytes:
        if path not in files:
            raise absent(path, list(files), where)
        try:
            return archive.read(files[path])
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise damaged(f"{where}: {path}") from error

    return Tree(sizes=lambda: {path: member.file_size for path, member in files.items()}, read=read, where=where)


def _tar_tree(file: BinaryIO, *, where: str) -> Tree:
    try:
        archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - read from as long as the tree lives
        members = archive.getmembers()
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise damaged(where) from error
    _check_names([_clean(member.name) for member in members if _clean(member.name) != "."], where)
    end = file.seek(0, io.SEEK_END)
    for member in members:
        if not (member.isreg() or member.isdir()) or member.sparse is not None:
            raise _refused(f"a link or device: {member.name}", where)
        if member.isreg() and member.offset_data + member.size > end:
            raise damaged(where)
    # tarfile takes a header that it cannot read, and the end of a file cut between two members, for the end.
    file.seek(max((m.offset_data + _padded(m.size if m.isreg() else 0) for m in members), default=0))
    if file.read(BLOCK) != bytes(BLOCK):
        raise damaged(where)
    places = {_clean(m.name): (m.offset_data, m.size) for m in members if m.isreg()}
    lock = Lock()

    def read(path: str) -> bytes:
        if path not in places:
            raise absent(path, list(places), where)
        with lock:
            file.seek(places[path][0])
            return file.read(places[path][1])

    return Tree(sizes=lambda: {path: size for path, (_, size) in places.items()}, read=read, where=where)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _clean(name: str) -> str:
    """`./a/b` as tar writes it is a/b."""
    return name.removeprefix("./") or "."


def _check_names(names: Sequence[str], where: str) -> None:
    out = next((name for name in names if not is_inside(name)), None)
    if out is not None:
        raise _refused(f"a path that leads out of it: {out}", where)
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise _refused(f"two files of one name: {twice}", where)


def _refused(what: str, where: str) -> MedloopError:
    return MedloopError(f"the archive holds {what}", where=where, mend="make the archive again, of plain files only")

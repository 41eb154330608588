"""Files and objects held against their hashes: a bit that flips on a disk changes neither time nor size.

DVC looks at time and size alone, hands out a damaged object without a word, and at a commit even puts it in the place
of a good output.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from contracts.errors import MedloopError, listed
from flows import console
from flows.objects import is_whole
from flows.workspace.repository import opened, repository, stage_of, unlocked

Stamp = tuple[str, int, int, int]  # a path, its inode, time and size
_known: set[Stamp] = set()  # files that this process hashed, or saw written


def make_whole(root: Path, names: Sequence[str]) -> None:
    """What these stages wrote, hashed; a damaged file is brought back out of the cache or the remote, and that told.

    Raises MedloopError, the file removed, where neither has it.
    """
    with repository(root) as repo:
        bring_whole(repo, [out for name in names for out in stage_of(repo, name).outs])


def damaged_outputs(root: Path) -> dict[str, list[str]]:
    """By its stage the files of outputs that look unchanged, and are not what dvc.lock says."""
    with opened(root) as repo:
        found = {s.addressing: [str(path) for out in s.outs for path in damaged(out)] for s in repo.index.stages}
    return {name: paths for name, paths in found.items() if paths}


def bring_whole(repo: Any, outs: Sequence[Any]) -> None:
    """The same for outputs of an open repository; they are hashed outside its lock."""
    with unlocked(repo):
        suspects = [out for out in outs if any(damaged(out))]
    wrong = [(out, path) for out in suspects for path in damaged(out)]  # another thread may have mended it meanwhile
    for _, path in wrong:
        path.unlink(missing_ok=True)
    lost, why = put_in_place(repo, [out for out, _ in wrong])
    shown = listed([path.relative_to(repo.root_dir) for _, path in wrong], 3)
    if lost:
        raise MedloopError(
            f"damaged on the disk, and neither in DVC's cache nor in a remote as it was: {shown}{why}",
            where=lost[0],
            mend="it is removed, and medloop run makes it again; check the disk",
        )
    if wrong:
        console.warn(f"damaged on the disk, and brought back out of DVC's cache: {shown}; check the disk")


def damaged(out: Any) -> Iterator[Path]:
    """The files of an output that looks unchanged, whose content is not what dvc.lock says; each hashed but once."""
    if not out.hash_info or not out.exists or out.changed_checksum():
        return
    for path, value in _files(out):
        if path.is_file() and (stamp := _stamp(path)) not in _known:
            if is_whole(value, path):
                _known.add(stamp)
            else:
                yield path


def seen(outs: Iterable[Any]) -> None:
    """These outputs were hashed a moment ago, when they were committed."""
    _known.update(_stamp(path) for out in outs for path, _ in _files(out) if path.is_file())


def _files(out: Any) -> list[tuple[Path, str]]:
    """The files of an output and their hashes; none of a folder whose list is lost."""
    if not out.is_dir_checksum:
        return [(Path(out.fs_path), out.hash_info.value)]
    return [(Path(out.fs_path, *key), info.value) for key, _, info in out.get_obj() or []]


def _stamp(path: Path) -> Stamp:
    told = path.stat()
    return str(path), told.st_ino, told.st_mtime_ns, told.st_size


def put_in_place(repo: Any, outs: Sequence[Any]) -> tuple[list[str], str]:
    """Puts outputs into place out of the cache or else the remote; those that neither has whole, and why."""
    drop_damaged(outs)
    why = _fetched(repo, outs) if any(out.changed_cache() for out in outs) else ""
    drop_damaged(outs)
    lost = [str(out.def_path) for out in outs if not out.hash_info or out.changed_cache()]
    for out in outs if not lost else ():
        out.checkout(force=True)
    return lost, why


def _fetched(repo: Any, outs: Iterable[Any]) -> str:
    """Brings these outputs out of the remote; what it said when it could not.

    By their hashes: DVC's own `fetch` looks for a stage where one stands first.
    """
    if not repo.config["core"].get("remote"):
        return ""
    try:
        with unlocked(repo):
            for objects in (objects for out in outs for objects in out.get_used_objs().values()):
                repo.cloud.pull(objects)
    except Exception as error:  # whatever a remote's own library raises, and DVC where a plugin is not installed
        return f" ({next(iter(str(error).splitlines()), '') or type(error).__name__})"
    return ""


def drop_damaged(outs: Iterable[Any]) -> bool:
    """Removes the cached objects of a saved stage's outputs whose content is not what their name says."""
    found = False
    for out in outs:
        within = (out.get_obj() or []) if out.is_dir_checksum else []
        for info in (out.hash_info, *(info for _, _, info in within)):
            path = Path(out.cache.oid_to_path(info.value))
            if not is_whole(info.value, path):
                path.unlink()
                found = True
    return found

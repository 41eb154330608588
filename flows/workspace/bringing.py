"""Bringing one stage up to date as `dvc repro` would, its function in this process."""

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from contracts.errors import MedloopError, listed
from flows import console, lockfile
from flows.workspace.repository import repository, stage_of, unlocked
from flows.workspace.whole import bring_whole, drop_damaged, seen

DVC_DRAFT = f".{'?' * 22}.tmp"  # as dvc_objects.fs.utils.tmp_fname names it
Outcome = Literal["ran", "restored", "unchanged"]


def bring_up_to_date(root: Path, name: str, work: Callable[[], None] | None) -> Outcome:
    """Runs one stage the way `dvc repro` would, its function in this process and outside the lock.

    `work` is None for a command that is not ours: DVC then runs it as a child. When `work` fails, the outputs that
    were there before are put back. Raises MedloopError when what it depends on changed while it ran.
    """
    with repository(root) as repo:
        stage = stage_of(repo, name)
        if not stage.changed():
            return "unchanged"
        outcome: Outcome = "ran"
        with _reserved(stage):
            _clear_drafts(stage)
            if work is None:
                stage.reproduce()
            else:
                _tell_of_edits(stage)
                stage.remove_outs(ignore_remove=False, force=False)
                if _restored(stage):
                    outcome = "restored"
                else:
                    _run_unlocked(stage, work)
        if not lockfile.put(root, name, _entry(stage)):
            stage.dump(update_pipeline=False)
        return outcome


def _tell_of_edits(stage: Any) -> None:
    """What a person wrote into an output, and no cache has, goes as the stage is brought up to date; not unsaid."""
    there = [out for out in stage.outs if out.hash_info and out.exists]
    if edited := [str(out) for out in there if out.changed_checksum() and not out.cache.exists(out.get_hash().value)]:
        console.warn(f"not as {stage.addressing} left it, and replaced: {listed(edited, 3)}")


def _entry(stage: Any) -> str:
    """What dvc.lock says of a stage, as DVC itself writes it."""
    from dvc.stage.serialize import to_lockfile
    from dvc.utils.serialize import dumps_yaml

    return str(dumps_yaml({"stages": to_lockfile(stage)})).removeprefix("stages:\n")


@contextlib.contextmanager
def _reserved(stage: Any) -> Iterator[None]:
    """DVC's own mark that these files are being read and written, which `dvc repro` in another process heeds."""
    from dvc.rwlock import rwlock

    read = [dep.fs_path for dep in stage.deps if dep.fs.protocol == "local"]
    write = [out.fs_path for out in stage.outs]
    hardlink = stage.repo.config["core"].get("hardlink_lock", False)
    with rwlock(stage.repo.tmp_dir, stage.repo.fs, " ".join(sys.argv), read, write, hardlink):
        yield


def _clear_drafts(stage: Any) -> None:
    """What a process that was killed had not put in its place yet: hidden files beside the outputs, ours and DVC's."""
    for place in (Path(out.fs_path) for out in stage.outs):
        for named in (f".{place.name}", f".{place.name}.*", DVC_DRAFT):
            for draft in place.parent.glob(named):
                shutil.rmtree(draft) if draft.is_dir() else draft.unlink()


def _run_unlocked(stage: Any, work: Callable[[], None]) -> None:
    """Others may use the workspace while `work` runs; what it depends on must be the same after it."""
    from dvc.exceptions import DvcException

    try:
        bring_whole(stage.repo, _inputs(stage))
        stage.save_deps()
        before = _fingerprint(stage)
        with unlocked(stage.repo):
            work()
    except BaseException:
        with contextlib.suppress(DvcException, OSError):  # a disk that takes no more: the cache has them still
            _put_back(stage)
        _clear_drafts(stage)
        raise
    stage.save_deps()
    if _fingerprint(stage) != before:
        name = stage.addressing
        raise MedloopError(f"what {name} depends on changed while it ran", where=name, mend="run it again")
    stage.save()
    drop_damaged(stage.outs)
    stage.commit()
    seen(stage.outs)


def _inputs(stage: Any) -> list[Any]:
    """The outputs of other stages that it reads."""
    read = {dep.fs_path for dep in stage.deps}
    return [out for other in stage.repo.index.stages for out in other.outs if out.fs_path in read]


def _put_back(stage: Any) -> None:
    """The outputs of the last run that ended well, out of the cache; half-written ones go."""
    stage.remove_outs(ignore_remove=False, force=True)
    for out in stage.outs:
        if out.hash_info and not out.changed_cache():
            out.checkout(force=True)


def _fingerprint(stage: Any) -> list[tuple[str, str]]:
    return [(str(dep), str(dep.hash_info.value)) for dep in stage.deps]


def _restored(stage: Any) -> bool:
    """Brings the outputs of an identical earlier run out of the cache, each object checked against its hash."""
    from dvc.stage.cache import RunCacheNotFoundError
    from dvc.utils.serialize import ParseError

    try:
        stage.repo.stage_cache.restore(stage)
        stage.save()
    except ParseError as damaged:  # an entry of the cache of runs that is no text any more
        Path(damaged.path).unlink()
        return _restored(stage)
    except (RunCacheNotFoundError, TypeError):  # the latter where the disk took DVC's folder for it, but no file
        return False
    if drop_damaged(stage.outs):
        stage.remove_outs(ignore_remove=False, force=False)
        return False
    stage.commit()
    return True

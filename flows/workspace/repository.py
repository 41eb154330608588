"""A DVC repository opened, under its lock, one thread at a time."""

import contextlib
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from contracts.errors import MedloopError
from flows import lockfile, processes
from flows.workspace.lists import check_lists
from flows.workspace.parsing import parse_once

# DVC keeps state of its own in the process, so its code runs in one thread at a time; a stage's work does not.
_ONE_THREAD = threading.Lock()


@contextlib.contextmanager
def repository(root: Path) -> Iterator[Any]:
    """A fresh repository under its lock: one that is kept while files change answers wrongly."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    parse_once()
    check_lists()
    lockfile.read(root)
    try:
        with _ONE_THREAD, contextlib.closing(Repo(str(root), _wait_for_lock=True)) as repo, repo.lock:
            _drop_stale_reservations(Path(repo.tmp_dir) / "rwlock")
            repo._reset()
            yield repo
    except DvcException as error:
        raise _explained(root, error) from error


@contextlib.contextmanager
def opened(root: Path) -> Iterator[Any]:
    """A repository for its settings alone: a run under way is no hindrance, nor a damaged dvc.lock.

    Raises MedloopError where DVC cannot open the workspace.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    check_lists()
    try:
        with contextlib.closing(Repo(str(root))) as repo:
            yield repo
    except DvcException as error:
        raise MedloopError(str(error), where=str(root), mend="dvc doctor tells more") from error


def _drop_stale_reservations(path: Path) -> None:
    """What DVC says is read and written now (rwlock), without what processes had reserved that are gone.

    DVC takes a later process with the number of one for the one itself, and refuses whatever that had reserved. It
    writes the file in place: one that is damaged, as by a kill, would stop every command, and goes.
    """
    try:
        held, written = json.loads(path.read_text(encoding="utf-8")), path.stat().st_mtime
        pids = holders(held)
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError, AttributeError):
        path.unlink()
        return
    if gone := {pid for pid in pids if not processes.ran(pid, written)}:
        read, write = held.get("read", {}), held.get("write", {})
        left = {at: [one for one in those if one["pid"] not in gone] for at, those in read.items()}
        kept = {"read": {at: those for at, those in left.items() if those}}
        kept["write"] = {at: one for at, one in write.items() if one["pid"] not in gone}
        path.write_text(json.dumps(kept), encoding="utf-8")


def holders(held: Mapping[str, Any]) -> set[int]:
    """The processes that DVC's rwlock names. Raises KeyError, TypeError or AttributeError where it is damaged."""
    those = [*held.get("write", {}).values(), *chain(*held.get("read", {}).values())]
    return {int(one["pid"]) for one in those}


def _explained(root: Path, error: BaseException) -> MedloopError:
    from dvc.utils.serialize import ParseError
    from dvc.utils.strictyaml import YAMLValidationError

    if isinstance(error, ParseError | YAMLValidationError) and lockfile.NAME in str(error):
        return lockfile.damaged(root)
    causes = list[str]()
    cause: BaseException | None = error
    while cause is not None:
        causes.append(str(cause))
        cause = cause.__cause__
    return MedloopError(
        "; ".join(dict.fromkeys(c for c in causes if c)),
        where="dvc",
        mend="dvc status tells more; what a damaged dvc.lock asks for, medloop status says",
    )


def stage_of(repo: Any, name: str) -> Any:
    """The stage of that name."""
    (stage,) = repo.stage.collect(name)
    return stage


@contextlib.contextmanager
def unlocked(repo: Any) -> Iterator[None]:
    """Others may use the repository while the block runs."""
    repo.lock.unlock()
    repo._reset()
    _ONE_THREAD.release()
    try:
        yield
    finally:
        _ONE_THREAD.acquire()
        repo.lock.lock()

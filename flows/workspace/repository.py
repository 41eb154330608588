"""A DVC repository opened, under its lock, one thread at a time."""

import contextlib
import functools
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracts.errors import MedloopError
from flows import lockfile

# DVC keeps state of its own in the process, so its code runs in one thread at a time; a stage's work does not.
_ONE_THREAD = threading.Lock()


@contextlib.contextmanager
def repository(root: Path) -> Iterator[Any]:
    """A fresh repository under its lock: one that is kept while files change answers wrongly."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    _parse_settings_once()
    lockfile.read(root)
    try:
        with _ONE_THREAD, contextlib.closing(Repo(str(root), _wait_for_lock=True)) as repo, repo.lock:
            _drop_cut_reservations(Path(repo.tmp_dir) / "rwlock")
            repo._reset()
            yield repo
    except DvcException as error:
        raise _explained(error) from error


@contextlib.contextmanager
def opened(root: Path) -> Iterator[Any]:
    """A repository for its settings alone: a run under way is no hindrance, nor a damaged dvc.lock.

    Raises MedloopError where DVC cannot open the workspace.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with contextlib.closing(Repo(str(root))) as repo:
            yield repo
    except DvcException as error:
        raise MedloopError(str(error), where=str(root), mend="dvc doctor tells more") from error


def _drop_cut_reservations(path: Path) -> None:
    """DVC writes in place what is read and written now: killed meanwhile, it would refuse every command afterwards."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        path.unlink()


def _parse_settings_once() -> None:
    """DVC parses a study some ten times a stage; here once, while the file's stat is the same, as DVC itself judges."""
    from dvc.utils.serialize import LOADERS, load_yaml

    def load(path: str, fs: Any = None, **options: Any) -> Any:
        if options or getattr(fs, "protocol", "") != "local":
            return load_yaml(path, fs=fs, **options)
        stat = Path(path).stat()
        return _parsed(path, (stat.st_mtime_ns, stat.st_size, stat.st_ino))

    LOADERS[".yaml"] = load


@functools.lru_cache(maxsize=64)
def _parsed(path: str, stamp: tuple[int, int, int]) -> Any:
    from dvc.utils.serialize import load_yaml

    return load_yaml(path)


def _explained(error: BaseException | None) -> MedloopError:
    causes, cause = list[str](), error
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

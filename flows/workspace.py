"""The DVC workspace: which stages are stale, why, and running one as `dvc repro` would. Alone imports dvc."""

import contextlib
import functools
import hashlib
import logging
import shlex
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from contracts.errors import MedloopError
from flows import lockfile
from flows.plan import Stage

OUR_COMMAND = ["medloop", "stage"]
NEVER = "has not run yet"
Outcome = Literal["ran", "restored", "unchanged"]


# DVC keeps state of its own in the process, so its code runs in one thread at a time; a stage's work does not.
_ONE_THREAD = threading.Lock()


@contextlib.contextmanager
def _repository(root: Path) -> Iterator[Any]:
    """A fresh repository under its lock: one that is kept while files change answers wrongly."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    _parse_settings_once()
    lockfile.read(root)
    try:
        with _ONE_THREAD, contextlib.closing(Repo(str(root), _wait_for_lock=True)) as repo, repo.lock:
            repo._reset()
            yield repo
    except DvcException as error:
        raise _explained(error) from error


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
        mend="dvc status tells more; a damaged dvc.lock: git checkout dvc.lock",
    )


def plan(root: Path, studies: Iterable[str]) -> list[Stage]:
    """The stages of these studies and all that they need, in running order, each with why it is stale."""
    from dvc.repo.reproduce import plan_repro

    wanted = set(studies)
    with _repository(root) as repo:
        graph = repo.index.graph
        targets = [node for node in graph if _study(node) in wanted]
        needed = {above for target in targets for above in _closure(graph, target)}
        order = [node for node in plan_repro(graph, sorted(targets, key=lambda s: s.addressing)) if node in needed]
        stale = {node: _why_stale(node) for node in order}
        for node in order:
            first = next((a for a in order if a in _closure(graph, node) and a is not node and stale[a]), None)
            if first and not stale[node]:
                stale[node] = [f"comes after {first.addressing}"]
        return [
            Stage(
                name=node.addressing,
                arguments=tuple(_words(node)),
                after=tuple(sorted(above.addressing for above in graph.successors(node))),
                stale=tuple(stale[node]),
                outputs=_outputs(node),
            )
            for node in order
        ]


def _closure(graph: Any, node: Any) -> set[Any]:
    import networkx as nx

    return {node, *nx.descendants(graph, node)}


def _words(stage: Any) -> list[str]:
    """The arguments of our own command; none for any other."""
    words = shlex.split(stage.cmd) if isinstance(stage.cmd, str) else []
    return words[2:] if words[:2] == OUR_COMMAND else []


def _study(stage: Any) -> str | None:
    words = _words(stage)
    return words[1] if len(words) > 1 else None


def _outputs(stage: Any) -> str:
    written = sorted(f"{out.def_path} {out.hash_info.value}" for out in stage.outs)
    return hashlib.sha256("\n".join(written).encode()).hexdigest()[:16]


def _why_stale(stage: Any) -> list[str]:
    """DVC's nested status as sentences: `params.yaml: train.epochs is modified`."""
    if not any(out.hash_info and out.exists for out in stage.outs):
        return [NEVER]
    reasons: list[str] = []
    for entry in stage.status().get(stage.addressing, []):
        if isinstance(entry, str):
            reasons.append({"changed checksum": "its command or its outputs' list changed"}.get(entry, entry))
            continue
        for changes in entry.values():
            for path, change in changes.items():
                inner = change.items() if isinstance(change, dict) else [("", change)]
                reasons += [f"{path}: {key} is {what}" if key else f"{path} is {what}" for key, what in inner]
    return reasons


def bring_up_to_date(root: Path, name: str, work: Callable[[], None] | None) -> Outcome:
    """Runs one stage the way `dvc repro` would, its function in this process and outside the lock.

    `work` is None for a command that is not ours: DVC then runs it as a child. When `work` fails, the outputs that
    were there before are put back. Raises MedloopError when what it depends on changed while it ran.
    """
    with _repository(root) as repo:
        stage = _stage(repo, name)
        if not stage.changed():
            return "unchanged"
        outcome: Outcome = "ran"
        with _reserved(stage):
            if work is None:
                stage.reproduce()
            else:
                stage.remove_outs(ignore_remove=False, force=False)
                if _restored(stage):
                    outcome = "restored"
                else:
                    _run_unlocked(stage, work)
        if not lockfile.put(root, name, _entry(stage)):
            stage.dump(update_pipeline=False)
        return outcome


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


def _run_unlocked(stage: Any, work: Callable[[], None]) -> None:
    """Others may use the workspace while `work` runs; what it depends on must be the same after it."""
    stage.save_deps()
    before = _fingerprint(stage)
    try:
        with _unlocked(stage.repo):
            work()
    except BaseException:
        _put_back(stage)
        raise
    stage.save_deps()
    if _fingerprint(stage) != before:
        name = stage.addressing
        raise MedloopError(f"what {name} depends on changed while it ran", where=name, mend="run it again")
    stage.save()
    _drop_damaged(stage)
    stage.commit()


@contextlib.contextmanager
def _unlocked(repo: Any) -> Iterator[None]:
    repo.lock.unlock()
    repo._reset()
    _ONE_THREAD.release()
    try:
        yield
    finally:
        _ONE_THREAD.acquire()
        repo.lock.lock()


def _put_back(stage: Any) -> None:
    """The outputs of the last run that ended well, out of the cache; half-written ones go."""
    stage.remove_outs(ignore_remove=False, force=True)
    for out in stage.outs:
        if out.hash_info and not out.changed_cache():
            out.checkout(force=True)


def _stage(repo: Any, name: str) -> Any:
    (stage,) = repo.stage.collect(name)
    return stage


def _fingerprint(stage: Any) -> list[tuple[str, str]]:
    return [(str(dep), str(dep.hash_info.value)) for dep in stage.deps]


def _restored(stage: Any) -> bool:
    """Brings the outputs of an identical earlier run out of the cache, each object checked against its hash."""
    from dvc.stage.cache import RunCacheNotFoundError

    try:
        stage.repo.stage_cache.restore(stage)
        stage.save()
    except RunCacheNotFoundError:
        return False
    if _drop_damaged(stage):
        stage.remove_outs(ignore_remove=False, force=False)
        return False
    stage.commit()
    return True


def _drop_damaged(stage: Any) -> bool:
    """Removes the cached objects of a saved stage's outputs whose content is not what their name says.

    DVC hands them out without a word, and at a commit even puts them in the place of good outputs.
    """
    from dvc_data.hashfile.hash import file_md5

    damaged = False
    for out in stage.outs:
        hashes = [out.hash_info, *(info for _, _, info in out.obj)] if out.is_dir_checksum else [out.hash_info]
        for info in hashes:
            path = Path(out.cache.oid_to_path(info.value))
            if path.is_file() and file_md5(str(path), out.cache.fs) != info.value.removesuffix(".dir"):
                path.unlink()
                damaged = True
    return damaged


def order_lock(root: Path) -> None:
    """Puts the entries of dvc.lock in the order in which `dvc repro` writes them, however the stages ended."""
    from dvc.repo.reproduce import plan_repro

    with _repository(root) as repo:
        lockfile.order(root, [stage.addressing for stage in plan_repro(repo.index.graph)])


def pin(root: Path, key: str, last_stage: str, untracked: Iterable[str]) -> str:
    """Saves code, parameters, dvc.lock and uncommitted edits as the DVC experiment `key`; its commit.

    DVC commits the stages that it saves, stale or not; given none, it takes all, other studies' too. So it is given
    the run's last stage alone, which is up to date; dvc.lock has the others.
    Raises MedloopError when the workspace is no Git repository with a first commit.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import SCMError

    try:
        with contextlib.closing(Repo(str(root), _wait_for_lock=True)) as repo:
            return str(repo.experiments.save([last_stage], name=key, include_untracked=sorted(untracked), force=True))
    except (DvcException, SCMError) as error:
        raise MedloopError(
            f"the run could not be pinned as a DVC experiment: {error}",
            where=str(root),
            mend="a workspace is a Git repository with a commit: git init, git add -A, git commit",
        ) from error


def outputs(root: Path, name: str) -> str:
    """One hash over what a stage wrote last: the same outputs, the same hash."""
    with _repository(root) as repo:
        return _outputs(_stage(repo, name))


def revision(root: Path) -> str:
    """The Git commit that is checked out."""
    with _repository(root) as repo:
        return str(repo.scm.get_rev())

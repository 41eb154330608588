"""Runs kept where others can have them: what they wrote in DVC's default remote."""

import contextlib
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from contracts.errors import MedloopError
from flows.workspace.repository import repository, unlocked
from flows.workspace.whole import drop_damaged

REMOTE = "shared"


def share_with(root: Path, address: str) -> None:
    """Makes this address, a folder or one that DVC knows such as `s3://…` or `ssh://…`, what runs are pushed to."""
    with repository(root) as repo, repo.config.edit("repo") as config:
        config["remote"][REMOTE] = {**config["remote"].get(REMOTE, {}), "url": address}
        config["core"]["remote"] = REMOTE
        config["exp"]["auto_push"] = True


def shared_with(root: Path) -> str | None:
    """The address of DVC's default remote, where its setting `exp.auto_push` asks for runs to be pushed there."""
    with repository(root) as repo:
        name = repo.config["core"].get("remote")
        pushes = repo.config["exp"].get("auto_push") and name in repo.config["remote"]
        return str(repo.config["remote"][name]["url"]) if pushes else None


def push(root: Path, revision: str, names: Collection[str]) -> int:
    """Sends what the stages of these names wrote, as dvc.lock of a revision has it; how many objects the remote lacked.

    What goes is hashed here first; the remote is then asked for each object. Raises MedloopError for one that the
    cache no longer has as its hash says, and for one that did not arrive.
    """
    with repository(root) as repo:
        wanted = _objects(repo, revision, names)
        remote = _remote(repo)
        with unlocked(repo):
            there = set(remote.oids_exist(list(wanted)))
            sent = {oid: info for oid, info in wanted.items() if oid not in there}
            for oid in sent:
                if not repo.cache.local.exists(oid):
                    raise MedloopError(
                        f"an object of this run, {oid[:8]}…, is neither in the cache as it was nor in the remote",
                        where=revision,
                        mend="medloop run makes it again where data and settings are those of this run; "
                        "the other runs are shared all the same",
                    )
            repo.cloud.push(set(sent.values()), odb=remote)
            missing = len(sent) - len(set(remote.oids_exist(list(sent))))
        if missing:
            raise MedloopError(f"{missing} objects did not arrive", where=str(remote.path), mend="try again")
        return len(sent)


def _remote(repo: Any) -> Any:
    """The default remote's objects. Raises MedloopError where DVC's plugin for its kind of address is missing."""
    try:
        return repo.cloud.get_remote_odb()
    except ImportError as error:
        address = str(repo.config["remote"][repo.config["core"]["remote"]]["url"])
        kind = address.partition("://")[0]
        raise MedloopError(
            f"DVC's plugin for {kind}:// is not installed", where=address, mend=f"pip install dvc-{kind}"
        ) from error


def _objects(repo: Any, revision: str, names: Collection[str]) -> dict[str, Any]:
    """By its name each object that these stages wrote; a damaged one is removed from the cache."""
    wanted: dict[str, Any] = {}
    repo._config = {"remote": repo.config["remote"]}  # one whose key lies in config.local: a past commit lacks its url
    for _ in repo.brancher(revs=[revision], workspace=False):
        for stage in (stage for stage in repo.index.stages if stage.name in names):
            drop_damaged(stage.outs)
            wanted |= {str(info.value): info for out in stage.outs for info in _within(out)}
    return wanted


def _within(out: Any) -> Iterator[Any]:
    """The hash of an output, and of a folder those of its files."""
    yield out.hash_info
    if out.is_dir_checksum:
        yield from (info for _, _, info in out.get_obj() or [])


def try_remote(root: Path) -> None:
    """Writes a small file to DVC's default remote and takes it away. Raises what the remote's library raises."""
    with repository(root) as repo:
        remote = _remote(repo)
    remote.fs.makedirs(remote.path)
    path = remote.fs.join(remote.path, f"medloop-{uuid.uuid4().hex}")
    try:
        remote.fs.pipe_file(path, b"medloop doctor")
        if remote.fs.info(path)["size"] != len(b"medloop doctor"):
            raise MedloopError("what was written did not arrive whole", where=str(remote.path))
    finally:
        with contextlib.suppress(FileNotFoundError):
            remote.fs.rm_file(path)

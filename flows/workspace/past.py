"""Runs of the past: had again in a clone, run again there."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path, PurePath
from typing import Any

from contracts.errors import MedloopError
from flows.workspace.graph import sentences
from flows.workspace.repository import opened, repository, stage_of, unlocked
from flows.workspace.whole import put_in_place


def revision(root: Path) -> str:
    """The Git commit that is checked out."""
    with repository(root) as repo:
        return str(repo.scm.get_rev())


def share_cache(root: Path, clone: Path) -> None:
    """Lets a clone of this repository use its cache and the remotes of today, which its commit may not know yet."""
    from dvc.config import Config
    from dvc.config_schema import RelPath

    with opened(root) as repo:
        own, place = repo.config.load_one("local"), repo.cache.local_cache_dir
        remotes, default = repo.config["remote"], repo.config["core"].get("remote")
    with Config(str(clone / ".dvc")).edit("local", validate=False) as local:
        local.update(own)
        # DVC writes ASCII alone: told from the clone, a folder does without the names above both.
        local.setdefault("cache", {})["dir"] = place if place.isascii() else RelPath(place)
        local["remote"] = dict(remotes)
        if default:
            local.setdefault("core", {})["remote"] = default


def bring_back(root: Path, names: Sequence[str], only: Collection[str] = ()) -> None:
    """Puts what these stages wrote, as dvc.lock has it, into place, out of the cache or else the remote.

    only: the outputs to bring, by the last part of their paths; all of them where none is named.
    Raises MedloopError when neither has it as its hash says.
    """
    with repository(root) as repo:
        for stage in (stage_of(repo, name) for name in names):
            outs = [out for out in stage.outs if not only or PurePath(out.def_path).name in only]
            lost, why = put_in_place(repo, outs)
            if lost:
                raise MedloopError(
                    f"neither DVC's cache nor a remote has {lost[0]} as that run wrote it{why}",
                    where=stage.addressing,
                    mend="dvc remote add --default NAME URL where it was pushed to, with the key or password that it "
                    "asks for in .dvc/config.local; what is lost everywhere stays lost",
                )


def run_again(root: Path, name: str, work: Callable[[], object] | None) -> tuple[list[str], list[str]]:
    """Runs a stage whatever its state, and leaves cache and dvc.lock as they are.

    Returns what it depends on that is not as dvc.lock has it, in sentences, and the files that came out otherwise.
    `work` is None for a command that is not ours.
    """
    from dvc.stage.run import cmd_run

    with repository(root) as repo:
        stage = stage_of(repo, name)
        changed = [said for dep in stage.deps for said in _changed(dep)]
        stage.remove_outs(ignore_remove=False, force=True)
        with unlocked(repo):
            work() if work else cmd_run(stage)
        return changed, [path for out in stage.outs for path in _differing(out)]


def _changed(dep: Any) -> list[str]:
    """How it differs from dvc.lock: `studies/x.yaml: train.epochs is 2, was 3`, or `models/loop.py is modified`."""
    from dvc.utils.flatten import flatten

    if not dep.status() or not hasattr(dep, "read_params"):
        return sentences(dep.status())
    then, now = flatten(dep.hash_info.value or {}), flatten(dep.read_params())
    keys = [key for key in sorted(then.keys() | now.keys()) if then.get(key) != now.get(key)]
    return [f"{dep.def_path}: {key} is {now.get(key)!r}, was {then.get(key)!r}" for key in keys]


def _differing(out: Any) -> list[str]:
    """The files of an output that are not as dvc.lock has them."""
    if not out.exists:
        return [str(out.def_path)]
    found = out.get_hash()
    if found == out.hash_info:
        return []
    former = out.get_obj()
    if not out.is_dir_checksum or former is None:
        return [str(out.def_path)]
    _, _, now = out._build(out.cache, out.fs_path, out.fs, out.hash_name, dry_run=True)
    old, new = ({"/".join(key): info.value for key, _, info in tree} for tree in (former, now))
    return [f"{out.def_path}/{key}" for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]

"""From the source to the predictions: what each step of a run is known by, and where it can be looked up."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from contracts.errors import MedloopError
from flows.board.one_run import Known

SHORT = 12


@dataclass(frozen=True, kw_only=True)
class Step:
    """A link of the chain. `mark`: the hash or name that it is known by; `link`: where it is looked up, if anywhere."""

    name: str
    told: str
    mark: str = ""
    link: str = ""


def lineage(run: Known, source: Mapping[str, Any], root: Path | None) -> list[Step]:
    """The chain of a model's run; what was not recorded is left out."""
    tags, versions = run.tags, [f"version {number}" for number in run.versions]
    origin = " ".join(str(source[key]) for key in ("name", "version", "member") if source.get(key))
    commit, pinned = tags.get("medloop.git_commit", ""), tags.get("medloop.experiment", "")
    registered = f"{run.study} {', '.join(versions)}{f' ({run.role})' if run.role else ''}"
    steps = [
        Step(name="Source", told=origin or str(source.get("kind", "")), mark=str(source.get("sha256", ""))),
        Step(name="Data as read", told="hash of the provenance", mark=tags.get("medloop.data_sha256", "")),
        Step(name="Code", told="Git commit", mark=commit, link=_commit(root, commit)),
        Step(name="Run", told="code, settings and data pinned by DVC", mark=pinned, link=_commit(root, pinned)),
        Step(name="Weights", told="hash of the model's manifest", mark=tags.get("medloop.manifest_sha256", "")),
        Step(name="Registered", told=registered if versions else "not registered", mark=""),
        Step(name="Predictions", told=f"medloop predict {_reference(run)} NEW_ROWS", mark=""),
    ]
    return [step for step in steps if step.mark or step.told]


def reproduce(run: Known) -> str:
    """The command that has the run again; empty where its key is not known."""
    reference = _reference(run)
    return f"medloop reproduce {reference}" if reference else ""


def _reference(run: Known) -> str:
    """As a command names it: a run of several studies may have a model of this name in each."""
    key = run.tags.get("medloop.run", "")
    if key.startswith("studies-"):
        return run.run_id
    return f"{key}/{run.model}" if key and run.model else key


def _commit(root: Path | None, commit: str) -> str:
    """The page of a commit where the code is kept, if that is a web address."""
    base = _forge(root) if root and re.fullmatch(r"[0-9a-f]{7,64}", commit) else ""
    return f"{base}/commit/{commit}" if base else ""


@cache
def _forge(root: Path) -> str:
    from flows.git import git

    try:
        return web_address(git(root, "remote", "get-url", "origin"))
    except MedloopError:
        return ""


def web_address(remote: str) -> str:
    """Where a person looks at a Git remote: `git@host:owner/name.git` as https, without credentials; else nothing."""
    found = re.fullmatch(
        r"(?:https?://(?:[^@/]*@)?|ssh://git@|git@)([\w.-]+)(?::\d+)?[:/]([\w./-]+?)(?:\.git)?/?", remote
    )
    return f"https://{found[1]}/{found[2]}" if found else ""

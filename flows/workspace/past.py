"""Runs of the past: pinned as DVC experiments."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from contracts.errors import MedloopError
from flows.workspace.repository import repository


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


def revision(root: Path) -> str:
    """The Git commit that is checked out."""
    with repository(root) as repo:
        return str(repo.scm.get_rev())

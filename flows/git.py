"""Git as a command, for what DVC does not do."""

import subprocess
from pathlib import Path

from contracts.errors import MedloopError


def git(folder: Path, *arguments: str) -> str:
    """What the command prints, stripped. Raises MedloopError with Git's own words."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise MedloopError(f"git {arguments[0]}: {said[-1] if said else 'failed'}", where=str(folder))
    return done.stdout.strip()


def commit_of(root: Path, name: str) -> str | None:
    """The commit that a branch, a tag, a hash or a pinned run's key names; the remotes are asked too. None: unknown.

    A run is pinned under refs/exps/…/KEY, which a plain fetch leaves out.
    """
    try:
        return git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except MedloopError:
        pass
    if here := pin_of(root, name):
        return here[0]
    for remote in git(root, "remote").split():
        there = _named(git(root, "ls-remote", remote, "refs/exps/*"), name)
        if there:
            git(root, "fetch", "--quiet", remote, f"{there[1]}:{there[1]}")
            return there[0]
    return None


def pin_of(root: Path, key: str) -> tuple[str, str] | None:
    """The commit, and its ref, that pins the run of this key in this repository."""
    return _named(git(root, "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps"), key)


def _named(listing: str, name: str) -> tuple[str, str] | None:
    """The hash and the ref whose last part is the name."""
    refs = [line.split(maxsplit=1) for line in listing.splitlines()]
    return next(((found, ref) for found, ref in refs if ref.rpartition("/")[2] == name), None)

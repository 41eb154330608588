"""Git as a command, for what DVC does not do."""

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from contracts.errors import MedloopError

TOGETHER = 16  # files that one process of Git's hands out; a dvc.lock may be megabytes


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


def pins(root: Path) -> dict[str, tuple[str, str]]:
    """By its key the commit, and its ref, of every run that is pinned in this repository."""
    listing = git(root, "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").splitlines()
    return {ref.rpartition("/")[2]: (found, ref) for found, ref in (line.split(maxsplit=1) for line in listing)}


def _named(listing: str, name: str) -> tuple[str, str] | None:
    """The hash and the ref whose last part is the name."""
    refs = [line.split(maxsplit=1) for line in listing.splitlines()]
    return next(((found, ref) for found, ref in refs if ref.rpartition("/")[2] == name), None)


def blobs(folder: Path, names: Sequence[str]) -> Iterator[str]:
    """The files of these hashes, as text, a few at a time."""
    for start in range(0, len(names), TOGETHER):
        asked = "".join(f"{name}\n" for name in names[start : start + TOGETHER])
        said = told_of(folder, asked, "cat-file", "--batch")
        while said:
            head, _, said = said.partition(b"\n")
            size = int(head.split()[-1])
            yield said[:size].decode(errors="replace")
            said = said[size + 1 :]


def told_of(folder: Path, asked: str, *arguments: str) -> bytes:
    """What the command, given lines to read, prints. Raises MedloopError with Git's own words."""
    done = subprocess.run(["git", *arguments], cwd=folder, input=asked.encode(), capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise MedloopError(f"git {arguments[0]}: {said[-1] if said else 'failed'}", where=str(folder))
    return done.stdout

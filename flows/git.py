"""Git as a command, for what DVC does not do."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from contracts.errors import MedloopError
from flows.home import scratch

NOBODY = {f"GIT_{who}_{what}": "medloop" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

TOGETHER = 16  # files that one process of Git's hands out; a dvc.lock may be megabytes


def git(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """What the command prints, stripped; `env` adds to the environment. Raises MedloopError with Git's own words."""
    return told_of(folder, "", *arguments, env=env).decode(errors="replace").strip()


def pin_commit(root: Path, key: str, files: Iterable[str], told: str) -> str:
    """Saves what Git knows, as it now lies here, and these files as the DVC experiment `key`; its commit.

    told: what the commit's message says beside the key

    `dvc exp save` stashes edits and detaches HEAD meanwhile, and leaves them so when it is killed. Here no file, no
    branch and no index is touched, and the experiment is there whole or not at all.
    Raises MedloopError when the workspace is no Git repository with a first commit.
    """
    try:
        head = git(root, "rev-parse", "--verify", "HEAD^{commit}")
    except MedloopError as error:
        mend = "a workspace is a Git repository with a commit: git init, git add -A, git commit"
        raise MedloopError(f"the run could not be pinned: {error.problem}", where=str(root), mend=mend) from error
    with scratch(root) as folder:
        own = {"GIT_INDEX_FILE": str(folder / "index")}
        index = root / git(root, "rev-parse", "--git-path", "index")
        if index.is_file():  # what was added, but not committed
            shutil.copyfile(index, folder / "index")
        git(root, "add", "--update", "--", ":/", env=own)
        git(root, "add", "--force", "--", *sorted(files), env=own)
        tree = git(root, "write-tree", env=own)
    commit = git(root, "commit-tree", tree, "-p", head, "-m", f"medloop: {key}", "-m", told, env=_who(root))
    git(root, "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/{key}", commit)
    return commit


def _who(root: Path) -> Mapping[str, str]:
    """Nobody, where Git was not told who commits here."""
    try:
        git(root, "var", "GIT_COMMITTER_IDENT")
    except MedloopError:
        return NOBODY
    return {}


def commit_of(root: Path, name: str) -> str | None:
    """The commit that a branch, a tag, a hash or a pinned run's key names; the remotes are asked too. None: unknown.

    A run is pinned under refs/exps/…/KEY, which a plain fetch leaves out.
    """
    try:
        return git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except MedloopError:
        pass
    if here := pins(root).get(name):
        return here[0]
    for remote in git(root, "remote").split():
        if there := _by_key(git(root, "ls-remote", remote, "refs/exps/*")).get(name):
            git(root, "fetch", "--quiet", remote, f"{there[1]}:{there[1]}")
            return there[0]
    return None


def pins(root: Path) -> dict[str, tuple[str, str]]:
    """By its key the commit, and its ref, of every run that is pinned in this repository."""
    return _by_key(git(root, "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps"))


def newest_pin(root: Path) -> str | None:
    """The commit that pins the newest run here; None where none is pinned."""
    return (
        git(root, "for-each-ref", "--sort=-committerdate", "--count=1", "--format=%(objectname)", "refs/exps") or None
    )


def _by_key(listing: str) -> dict[str, tuple[str, str]]:
    """The hash and the ref of each line, by the last part of the ref."""
    lines = (line.split(maxsplit=1) for line in listing.splitlines())
    return {ref.rpartition("/")[2]: (found, ref) for found, ref in lines}


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


def told_of(folder: Path, asked: str, *arguments: str, env: Mapping[str, str] | None = None) -> bytes:
    """What the command, given lines to read, prints. Raises MedloopError with Git's own words."""
    own = {**os.environ, **(env or {})}
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=folder, env=own, input=asked.encode(), capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise MedloopError(f"git {arguments[0]}: {said[-1] if said else 'failed'}", where=str(folder))
    return done.stdout

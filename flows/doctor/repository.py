"""Git, and the studies that it keeps."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from contracts.errors import MedloopError, listed
from flows.doctor.finding import Asked, Finding, fault, note, of_error, well
from flows.git import git
from flows.studies import study_names

PATIENCE_S = 15
STALE_S = 600


def check(root: Path, asked: Asked) -> Iterator[Finding]:
    """The repository's state, its origin, and whether every study can be read."""
    try:
        git(root, "rev-parse", "--verify", "HEAD")
    except MedloopError as error:
        yield fault("git", error.problem, "a Git repository with a commit", "git init, git add -A, git commit")
        return
    yield state(root)
    if "origin" in git(root, "remote").split() and not asked.quick:
        asked.say("asking Git's origin")
        yield origin(root)
    yield studies(root)


def state(root: Path) -> Finding:
    """A lock that a killed Git left; a detached HEAD; edits that no commit has."""
    lock = root / git(root, "rev-parse", "--git-path", "index.lock")
    if lock.is_file() and time.time() - lock.stat().st_mtime > STALE_S:
        mend = f"if no git runs (pgrep git): rm {lock}"
        return fault(
            "git", f"{lock.name} stands since {time.ctime(lock.stat().st_mtime)}", "no lock of a Git that ended", mend
        )
    try:
        branch = git(root, "symbolic-ref", "--short", "HEAD")
    except MedloopError:
        return note("git", f"no branch: HEAD stands at {git(root, 'rev-parse', '--short', 'HEAD')}", "git switch main")
    edited = git(root, "status", "--porcelain").splitlines()
    if edited:
        names = [line.split(maxsplit=1)[1] for line in edited]
        return note(
            "git", f"on {branch}; not committed: {listed(names, 3)} (each run pins them all the same)", "git commit"
        )
    return well("git", f"on {branch}, nothing uncommitted")


def origin(root: Path) -> Finding:
    """Whether it answers without a password that nobody is there to type."""
    told = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    try:
        done = subprocess.run(
            ["git", "ls-remote", "--quiet", "--heads", "origin"],
            cwd=root,
            env=told,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        said = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1] if done.returncode else ""
    except subprocess.TimeoutExpired:
        said = f"no answer within {PATIENCE_S} s"
    if said:
        return fault(
            "origin", said, "Git's origin, where runs are pinned for others", "git remote -v; check network and rights"
        )
    return well("origin", "answers")


def studies(root: Path) -> Finding:
    """Each study's settings, as a run would read them, and what stays, as upkeep would."""
    from flows.policy import policy
    from flows.settings import load

    names, wrong = study_names(root), list[MedloopError]()
    for name in names:
        try:
            load(root, name)
        except MedloopError as error:
            wrong.append(error)
    try:
        policy(root)
    except MedloopError as error:
        wrong.append(error)
    if len(wrong) == 1:
        return of_error("studies", "settings that can be read", wrong[0])
    if wrong:
        said = "; ".join(f"{error.problem} ({error.where})" for error in wrong)
        return fault("studies", said, "settings that can be read", wrong[0].mend)
    return well("studies", f"{len(names)}: {listed(names, 6)}")

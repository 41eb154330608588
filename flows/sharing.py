"""Runs go where others can have them: what they wrote to DVC's default remote, their commits to Git's `origin`."""

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from contracts.errors import MedloopError
from flows import console, journal, workspace
from flows.faults import told
from flows.git import commit_of, git
from flows.home import find_root, home
from flows.journal import Journal
from flows.store import read_json, write_json

ORIGIN = "origin"
NOTE = "shared.json"


def share(address: str | None) -> None:
    """`medloop share`: sets the address, if one is given, and pushes every run that was not pushed there yet.

    Raises MedloopError where no address is set, and when something did not arrive.
    """
    root = find_root()
    with journal.sole_run(root):
        if address:
            workspace.share_with(root, address)
        if not workspace.shared_with(root):
            raise MedloopError(
                "nobody said yet where runs are to be shared",
                mend="medloop share ADDRESS: a folder that others see, ssh://…, s3://… or what else DVC takes",
            )
        address_now = str(workspace.shared_with(root))
        runs = list(journal.all_journals(root))
        failed = [error for run in runs if (error := _pushed(root, run, address_now))]
    if failed:
        raise failed[0]
    console.console.print("All runs are shared." + (" Commit .dvc/config, so that clones know it." if address else ""))


def push_new(root: Path) -> None:
    """After a run: it, and those before it up to the last that was pushed. What fails is told, no more."""
    address = workspace.shared_with(root)
    for run in _unshared(root, address) if address else ():
        if failed := _pushed(root, run, str(address)):
            console.warn(f"not shared: {failed.problem}; `medloop share` tries again, and so does the next run")
            return


def _unshared(root: Path, address: str) -> Iterator[Journal]:
    """The runs since the last one that was pushed to this address, newest first."""
    there = _there(root).get(address, [])
    return takewhile(lambda run: run.key not in there, journal.all_journals(root))


def _there(root: Path) -> dict[str, list[str]]:
    """By address the keys of the runs that were pushed there."""
    note = home(root) / NOTE
    found: dict[str, list[str]] = read_json(note) if note.is_file() else {}
    return found


def _pushed(root: Path, run: Journal, address: str) -> MedloopError | None:
    """Pushes a run, unless it is of another workspace; what went wrong."""
    if run.key in _there(root).get(address, []) or not run.experiment or not commit_of(root, run.experiment):
        return None
    try:
        _push(root, run, address)
    except Exception as error:  # whatever a remote's own library raises
        return told(error, doing=f"sharing {run.key}")
    return None


def _push(root: Path, run: Journal, address: str) -> None:
    sent = workspace.push(root, str(run.experiment), [stage.name for stage in run.stages])
    where = f"{address} and Git's {ORIGIN}" if _push_commit(root, run.key) else address
    there = _there(root)
    write_json(home(root) / NOTE, {**there, address: [*there.get(address, []), run.key]})
    console.console.print(f"[dim]shared[/] {run.key}: {sent} new objects in {where}", highlight=False)


def _push_commit(root: Path, key: str) -> bool:
    """Sends the commit that pins a run; whether there is a Git remote to send it to."""
    if ORIGIN not in git(root, "remote").split():
        return False
    refs = git(root, "for-each-ref", "--format=%(refname)", "refs/exps").splitlines()
    git(root, "push", "--quiet", ORIGIN, *(ref for ref in refs if ref.rpartition("/")[2] == key))
    return True

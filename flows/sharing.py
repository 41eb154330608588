"""Runs go where others can have them: what they wrote to DVC's default remote, their commits to Git's `origin`."""

import re
from itertools import takewhile
from pathlib import Path

from contracts.errors import MedloopError
from flows import console, journal, workspace
from flows.faults import told
from flows.git import git, pins
from flows.home import find_root, home
from flows.journal import Journal
from flows.store import read_json, write_json, write_text

ORIGIN = "origin"
NOTE = "shared.json"


def share(address: str | None) -> None:
    """`medloop share`: sets the address, if one is given, and pushes every run that was not pushed there yet.

    Raises MedloopError where no address is set, where it holds a password, and when something did not arrive.
    """
    root = find_root()
    address = (address or "").strip()
    _refuse(address)
    with journal.sole_run(root):
        if address:
            _turn_to(root, address)
        target = workspace.shared_with(root)
        if not target:
            raise MedloopError(
                "nobody said yet where runs are to be shared",
                mend="medloop share ADDRESS: a folder that others see, ssh://…, s3://… or what else DVC takes",
            )
        there = _there(root).get(target, [])
        runs = [run for run in journal.all_journals(root) if run.key not in there]
        failed = [error for run in runs if (error := _pushed(root, run, target))]
    if failed:
        raise failed[0]
    console.console.print("All runs are shared." + (" Commit .dvc/config, so that clones know it." if address else ""))


def _refuse(address: str) -> None:
    """Raises MedloopError for an address that .dvc/config cannot hold, or must not: it lies in Git.

    DVC writes ASCII alone, and empties the file before it finds that it cannot. A password is not shown.
    """
    if re.match(r"[^/]*://[^/]*:[^/]*@", address):
        raise MedloopError(
            "the address holds a password, and .dvc/config, where it would be written, lies in Git",
            mend="share with the address without it; then dvc remote modify --local shared password …",
        )
    if not address.isascii():
        raise MedloopError(
            f"DVC keeps an address in plain letters (ASCII) alone, and this one is {address}",
            mend="a folder of another name, or a link to it: ln -s FOLDER LINK; medloop share LINK",
        )


def _turn_to(root: Path, address: str) -> None:
    """Makes this address the remote once something could be written there; else what was set before stays."""
    config = root / ".dvc" / "config"
    before = config.read_text(encoding="utf-8")
    try:
        workspace.share_with(root, address)
        workspace.try_remote(root)
    except BaseException as error:
        write_text(config, before)
        if not isinstance(error, Exception):
            raise
        raise _explained(error, address, ".dvc/config, which is as it was") from error


def push_new(root: Path) -> None:
    """After a run: it, and those before it up to the last that was pushed. What fails is told, no more."""
    address = workspace.shared_with(root)
    if not address:
        return
    there = _there(root).get(address, [])
    for run in takewhile(lambda run: run.key not in there, journal.all_journals(root)):
        if failed := _pushed(root, run, address):
            console.warn(f"not shared: {failed.problem}; `medloop share` tries again, and so does the next run")
            return


def _there(root: Path) -> dict[str, list[str]]:
    """By address the keys of the runs that were pushed there."""
    note = home(root) / NOTE
    found: dict[str, list[str]] = read_json(note) if note.is_file() else {}
    return found


def _pushed(root: Path, run: Journal, address: str) -> MedloopError | None:
    """Pushes a run, unless it is of another workspace; what went wrong."""
    pin = pins(root).get(run.key)
    if pin is None:
        return None
    try:
        _push(root, run, address, *pin)
    except Exception as error:  # whatever a remote's own library raises
        return _explained(error, address, f"run {run.key}")
    return None


def _explained(error: Exception, address: str, where: str) -> MedloopError:
    if isinstance(error, MedloopError):
        return MedloopError(error.problem, where=f"{where}, {error.where}", mend=error.mend)
    fault = told(error, doing=f"sharing at {address}")
    why = getattr(error, "strerror", None) or type(error).__name__
    problem = f"{address} cannot be reached, or refuses it: {why}"
    mend = f"try it again; a key file or password belongs in .dvc/config.local (docs/reproduce.md); {fault.mend}"
    return MedloopError(problem, where=f"{where}, {fault.where}", mend=mend)


def _push(root: Path, run: Journal, address: str, commit: str, ref: str) -> None:
    sent, where = workspace.push(root, commit, [stage.name for stage in run.stages]), address
    if ORIGIN in git(root, "remote").split():
        git(root, "push", "--quiet", ORIGIN, ref)
        where += f" and Git's {ORIGIN}"
    there = _there(root)
    write_json(home(root) / NOTE, {**there, address: [*there.get(address, []), run.key]})
    console.console.print(f"[dim]shared[/] {run.key}: {sent} new objects in {where}", highlight=False)

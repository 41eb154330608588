"""What a machine that is left alone needs each night: what may go goes, databases backed up and tidied, logs cut."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from contracts.errors import MedloopError
from flows import collecting, console, databases, journal, servers, slot, tracking
from flows.disk import told as in_units
from flows.doctor.runs import in_mlflow
from flows.faults import told
from flows.home import find_root, home
from flows.journal import HeldError
from flows.ledger import Outcome, State
from flows.policy import Keep, policy
from flows.servers import Name
from flows.store import write_json

Task = Callable[[], str]


def tasks(root: Path, keep: Keep, now: datetime) -> Iterator[tuple[str, Task]]:
    """Each by its name; backups come before anything is removed. Each says in a few words what it did."""
    for name, path in databases.local(root).items():
        yield f"backup of {name}", partial(_backed_up, root, name, path, keep, now)
    yield "runs left open", partial(_closed, root)
    yield "collection", partial(_collected, root, keep, now)
    for name, path in databases.local(root).items():
        yield f"database of {name}", partial(databases.tidy, path)
    yield "logs", partial(rotate, root, keep.log << 20)


def _backed_up(root: Path, name: Name, path: Path, keep: Keep, now: datetime) -> str:
    copy = databases.back_up(root, name, path, now, keep.backups)
    return f"{copy.name}, {in_units(copy.stat().st_size)}"


def _closed(root: Path) -> str:
    """Runs that a kill left open in MLflow."""
    if not databases.elsewhere(root, "mlflow") and "mlflow" not in databases.local(root):
        return "nothing is recorded yet"
    found = in_mlflow(root, tracking.client(root))
    return found.remedy() if found.remedy else found.found


def _collected(root: Path, keep: Keep, now: datetime) -> str:
    gone, _ = collecting.collect_now(root, keep, now, remove=True)
    return collecting.sentence(gone, gone_already=True)


def rotate(root: Path, most: int) -> str:
    """Begins each log above this many bytes anew, the former beside it; servers write on, at the end of what is there.

    A line that is written between the copy and the cut is lost.
    """
    large = [path for path in (home(root) / "logs").glob("*.log") if path.stat().st_size > most]
    for path in large:
        shutil.copyfile(path, path.with_suffix(".log.1"))
        with path.open("r+b") as log:
            log.truncate(0)
    return ", ".join(path.name for path in large) or "none is large"


def see_to(root: Path, now: datetime, say: Callable[[str, str], None]) -> list[MedloopError]:
    """All tasks, whatever becomes of those before; what went wrong. The workspace must be held (`journal.sole_run`)."""
    faults = list[MedloopError]()
    for name, task in tasks(root, policy(root), now):
        try:
            say(name, task())
        except Exception as error:
            faults.append(told(error, doing=name))
            say(name, f"failed: {faults[-1].problem}")
    return faults


def keep_up() -> None:
    """`medloop upkeep`. Raises the first of what went wrong, at the end."""
    root = find_root()
    servers.prepare_environment(root)
    with journal.sole_run(root):
        faults = see_to(root, datetime.now(UTC), lambda name, text: console.show_facts({f"{name:<20}": text}))
    if faults:
        raise faults[0]


def work(note: Path) -> None:
    """The same for `medloop serve`, which finds in `note` what it came to."""
    slot.end_with_parent()
    root = find_root()
    servers.prepare_environment(root)
    try:
        with journal.sole_run(root):
            faults = see_to(root, datetime.now(UTC), lambda name, text: None)
    except HeldError as held:
        outcome = Outcome(state="due", told=held.problem)
    else:
        state: State = "failed" if faults else "ran"
        outcome = Outcome(state=state, told="; ".join(fault.problem for fault in faults))
    write_json(note, outcome)


def restore_database(name: str, backup: str | None) -> None:
    """`medloop restore`: a backup, the newest whole one by default, in the place of a database, which is kept beside.

    Runs that a former database of MLflow does not know are told to it again.

    Raises MedloopError where the database is a team's, there is no whole backup, or schedules are served.
    """
    root = find_root()
    if name not in servers.PREFERRED_PORT:
        raise MedloopError(f"there is no database {name!r}", mend=f"one of: {', '.join(servers.PREFERRED_PORT)}")
    which: Name = "mlflow" if name == "mlflow" else "prefect"
    serving = journal.holder(root, "serve")
    if serving:
        mend = "end it first: systemctl --user stop medloop, or Ctrl-C where it runs"
        raise MedloopError(f"medloop serve (process {serving}) would start the server again at once", mend=mend)
    servers.prepare_environment(root)
    with journal.sole_run(root):
        chosen = databases.whole_backup(root, which, backup)
        servers.stop(root)
        aside = databases.restore(root, which, chosen, datetime.now(UTC))
        console.console.print(f"[green]✓[/] {chosen.name} is in place; what was there is {aside}", soft_wrap=True)
        if which == "mlflow":
            from flows.retelling import tell_again

            tell_again(root)
            for line in _moved(databases.champions(aside), databases.champions(databases.local(root)[which])):
                console.warn(line)


def _moved(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """The champions that are others, since nobody's decisions after the backup are in it."""
    for study, before in then.items():
        if now.get(study) != before:
            mend = f"medloop promote {study} VERSION puts another in its place"
            yield f"{study}: {before} was the champion, and {now.get(study, 'none')} is now; {mend}"

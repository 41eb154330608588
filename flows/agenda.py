"""`medloop schedule`: what comes next of each study, and what came last."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from contracts.errors import MedloopError
from flows import journal, ledger, serving
from flows.console import console, show_facts, warn
from flows.home import find_root
from flows.ledger import Ledger, State
from flows.schedule import Schedule, local, scheduled, upcoming
from flows.studies import refuse_unknown, study_file

MEANS: dict[State, str] = {"unchanged": "nothing new", "overdue": "ended, over its deadline", "due": "waits"}
CUT_SHORT: dict[State, str] = {"running": "cut short: its process is gone; medloop serve sees to it when it starts"}


def show_agenda(studies: Sequence[str]) -> None:
    """Of each study with a schedule: when it is run, what comes next, what came last, and whether anyone serves."""
    root = find_root()
    holder = journal.holder(root, "serve")
    for name in chosen_studies(root, studies):
        try:
            schedule, _ = serving.read(root, study_file(root, name))
            kept = ledger.read(root, name)
        except MedloopError as fault:
            warn(f"{name}: {fault.problem} ({fault.where})")
            continue
        console.print(name, style="bold")
        show_facts(
            {"  when": schedule.told, "  next": told_next(schedule), **_past(schedule, kept, served=bool(holder))}
        )
    console.print(f"\nServed by process {holder}." if holder else "\nNot served now; start it: medloop serve")


def chosen_studies(root: Path, studies: Sequence[str]) -> list[str]:
    """The studies named, else all that have a schedule. Raises MedloopError for one that is not there, or for none."""
    refuse_unknown(root, studies)
    chosen = list(dict.fromkeys(studies)) or scheduled(root)
    if not chosen:
        raise MedloopError(
            "no study has a schedule",
            where=str(root / "studies"),
            mend="add one to a study's file, such as schedule: {cron: '15 2 * * *', time_zone: Europe/Berlin}",
        )
    return chosen


def told_next(schedule: Schedule) -> str:
    """The next slot on the clock of its schedule."""
    at = upcoming(schedule, datetime.now(UTC))
    return local(at, schedule) if at else "when its source changes"


def _past(schedule: Schedule, kept: Ledger | None, *, served: bool) -> dict[str, str]:
    if not kept:
        return {"  last": "never served"}
    means = MEANS if served else MEANS | CUT_SHORT
    last, facts = kept.last, {"  last": "none yet"}
    if last:
        what = f"{means.get(last.state, last.state)}{f', run {last.key}' if last.key else ''}"
        facts = {"  last": f"{local(last.at, schedule)}: {what}"}
        if last.told:
            facts["  why"] = last.told.splitlines()[0]
    counts = sorted(kept.totals().items())
    return facts | (
        {"  in all": ", ".join(f"{n} {means.get(s, s).split(':')[0]}" for s, n in counts)} if counts else {}
    )

"""Schedules: whether anyone serves them, what was missed, what failed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contracts.errors import MedloopError, listed
from flows import journal, ledger, serving
from flows.doctor.finding import Asked, Finding, fault, note, of_error, well
from flows.ledger import Ledger
from flows.schedule import local, scheduled, upcoming
from flows.studies import study_file

LATE = timedelta(hours=1)
BAD = ("failed", "overdue", "crashed")


def check(root: Path, asked: Asked) -> Iterator[Finding]:
    """One finding of who serves, one a study."""
    names = scheduled(root)
    holder = journal.holder(root, "serve")
    was_served = any(ledger.path(root, name).is_file() for name in names)
    if not names:
        yield well("schedules", "no study has one")
    elif holder:
        yield well("schedules", f"{listed(names)} served by process {holder}")
    elif was_served:
        found = f"nobody serves {listed(names)}, though that was done before"
        mend = "medloop serve, or systemctl --user start medloop (infra/medloop.service)"
        yield fault("schedules", found, "medloop serve running", mend)
    else:
        yield note("schedules", f"{listed(names)}: never served", "medloop serve")
    for name in names:
        yield of_study(root, name, datetime.now(UTC))


def of_study(root: Path, name: str, now: datetime) -> Finding:
    """The last slot, what waits for too long, and what comes."""
    called = f"slots {name}"
    try:
        schedule, _ = serving.read(root, study_file(root, name))
        kept = ledger.read(root, name)
    except MedloopError as error:
        return of_error(called, "a schedule and a ledger that can be read", error)
    after = upcoming(schedule, now)
    comes = f"next {local(after, schedule)}" if after else "next when its source changes"
    if not kept:
        return well(called, comes)
    last, waits = kept.last, _waits(kept, now)
    if waits:
        found = f"{len(waits)} due since {local(waits[0].at, schedule)} and not run"
        return fault(called, found, "slots that are run when they come", "medloop serve; medloop schedule tells more")
    if last and last.state in BAD:
        said = (last.told.splitlines() or ["no reason was given"])[0]
        found = f"the last, {local(last.at, schedule)}, {last.state}: {said}"
        return fault(called, found, "slots that end well", f"medloop retrain {name} shows the fault as it happens")
    missed = kept.totals()["missed"]
    return well(called, f"{comes}{f'; {missed} missed so far' if missed else ''}")


def _waits(kept: Ledger, now: datetime) -> list[ledger.Slot]:
    going = any(slot.state == "running" for slot in kept.slots)
    late = [slot for slot in kept.slots if slot.state == "due" and slot.at < now - LATE and not slot.again]
    return [] if going else late

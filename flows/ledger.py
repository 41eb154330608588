"""The slots of a study, each accounted for, on disk: which are due, run, done and missed. No clock is read.

A ledger is written before a run starts and after it ends. Whatever happens between (a kill, a power cut, a clock that
is set back), no slot that was run is run again, and none is forgotten.
"""

import os
from collections import Counter, deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from contracts.frozen import Frozen
from flows.home import home
from flows.schedule import Schedule, planned
from flows.store import read_model, write_text

State = Literal["due", "running", "ran", "unchanged", "failed", "overdue", "missed", "crashed"]
OPEN = ("due", "running")
DONE = ("ran", "unchanged")
KEPT = 500  # slots, the newest; older ones are only counted
MOST_AT_ONCE = 100  # slots that `catch_up: all` runs, the newest; the others count as missed
LATE = timedelta(minutes=5)  # with `catch_up: skip`, what is later than this was missed
HORIZON = timedelta(days=400)  # no further back is looked for what was missed
MOST_CRASHES = 3  # a run that takes its machine down must not do so for ever


class Outcome(Frozen):
    """What a slot's run came to. `key`: the run's, where there was anything to do. `told`: what went wrong."""

    state: State
    key: str | None = None
    told: str = ""


class Slot(BaseModel):
    """A slot: `at`, in UTC, is what was planned, and its identity. `again`: not to be tried before."""

    at: datetime
    state: State
    attempts: int = 0
    started: datetime | None = None
    ended: datetime | None = None
    again: datetime | None = None
    key: str | None = None
    told: str = ""


class Ledger(BaseModel):
    """Every slot up to `through`; those up to `floor` are no longer listed but counted in `past`, by state.

    seen: what the source looked like when a change last led to a slot.
    """

    through: datetime
    seen: str = ""
    floor: datetime | None = None
    past: dict[State, int] = {}
    slots: list[Slot] = []

    def slot(self, at: datetime) -> Slot | None:
        """The slot of this moment, if it is listed."""
        return next((slot for slot in reversed(self.slots) if slot.at == at), None)

    def totals(self) -> Counter[State]:
        """How many slots came to what, since the beginning."""
        return Counter(self.past) + Counter(slot.state for slot in self.slots)

    @property
    def last(self) -> Slot | None:
        """The newest slot that was run."""
        return next((slot for slot in reversed(self.slots) if slot.attempts), None)


def look(ledger: Ledger, schedule: Schedule, now: datetime) -> bool:
    """Enters the slots that have come since the last look, as due or, by the policy, as missed; whether any is new.

    Where the clock was set back, what was tried stays so, and what was not will come again.
    """
    if now < ledger.through:
        ledger.slots = [slot for slot in ledger.slots if slot.at <= now or slot.attempts]
        ledger.through = max(now, ledger.floor or now)
        return False
    listed = {slot.at for slot in ledger.slots}
    new, more = deque[datetime](maxlen=KEPT), 0
    for at in planned(schedule, max(ledger.through, now - HORIZON), now):
        if at not in listed:
            more += len(new) == KEPT
            new.append(at)
    ledger.through = now
    if not new:
        return False
    _count(ledger, "missed", more)
    _enter(ledger, [Slot(at=at, state="due") for at in new])
    _settle(ledger, schedule, now)
    return True


def _settle(ledger: Ledger, schedule: Schedule, now: datetime) -> None:
    """Of what is due, the policy says what is still run."""
    due = [slot for slot in ledger.slots if slot.state == "due" and slot.at <= now]
    most = MOST_AT_ONCE if schedule.catch_up == "all" else 1
    for slot in due[:-most]:
        _leave(slot)
    for slot in due[-most:]:
        if schedule.catch_up == "skip" and now - slot.at > LATE and not slot.attempts:
            _leave(slot)


def _leave(slot: Slot) -> None:
    """It will not be run: missed, or what its last attempt came to."""
    slot.state, slot.again = ("failed" if slot.attempts else "missed"), None


def _enter(ledger: Ledger, slots: list[Slot]) -> None:
    ledger.slots = sorted([*ledger.slots, *slots], key=lambda slot: slot.at)
    while len(ledger.slots) > KEPT and ledger.slots[0].state not in OPEN:
        oldest = ledger.slots.pop(0)
        _count(ledger, oldest.state, 1)
        ledger.floor = oldest.at


def _count(ledger: Ledger, state: State, number: int) -> None:
    if number:
        ledger.past[state] = ledger.past.get(state, 0) + number


def ready(ledger: Ledger, schedule: Schedule, now: datetime) -> Iterator[Slot]:
    """The slots to be run now, the oldest first; one that waits for another attempt only when its time has come."""
    for slot in ledger.slots:
        waits = slot.again and now < slot.again <= now + schedule.retry_delay  # else the clock was set back
        if slot.state == "due" and slot.at <= now and not waits:
            yield slot


def out_of_turn(ledger: Ledger, now: datetime) -> Slot:
    """A slot that nobody planned, for now; one that is due already serves as well."""
    found = next((slot for slot in ledger.slots if slot.state == "due"), None) or ledger.slot(now)
    if not found:
        found = Slot(at=now, state="due")
        _enter(ledger, [found])
    return found


def begin(slot: Slot, now: datetime) -> None:
    """Its run starts; to be on the disk before it does."""
    slot.state, slot.started, slot.ended, slot.again = "running", now, None, None
    slot.attempts += 1


def end(ledger: Ledger, slot: Slot, schedule: Schedule, now: datetime, came: Outcome) -> None:
    """Its run has ended; one that failed is due again while there are attempts left and no newer slot is due."""
    slot.state, slot.ended, slot.key, slot.told = came.state, now, came.key, came.told
    newer = schedule.catch_up != "all" and any(other.state == "due" and other.at > slot.at for other in ledger.slots)
    if came.state == "failed" and slot.attempts <= schedule.retries and not newer:
        slot.state, slot.again = "due", now + schedule.retry_delay


def put_back(slot: Slot) -> None:
    """It could not be tried at all, as when another run held the workspace, or was stopped: due as before."""
    slot.state, slot.attempts, slot.started = "due", slot.attempts - 1, None


def reconcile(ledger: Ledger, schedule: Schedule, now: datetime) -> list[Slot]:
    """What was running when its process ended without a word, and becomes of it what the policy says; these slots."""
    crashed = [slot for slot in ledger.slots if slot.state == "running"]
    for slot in crashed:
        again = schedule.catch_up != "skip" and slot.attempts <= MOST_CRASHES + schedule.retries
        slot.state, slot.told = ("due" if again else "crashed"), "the process ended without a word"
    look(ledger, schedule, now)
    _settle(ledger, schedule, now)
    return crashed


def path(root: Path, study: str) -> Path:
    """Where a study's ledger lies."""
    return home(root) / "schedules" / f"{study}.json"


def save(root: Path, study: str, ledger: Ledger) -> None:
    """Writes it whole: on the disk when this returns, its new name too."""
    write_text(path(root, study), ledger.model_dump_json(indent=1, exclude_defaults=True) + "\n")
    folder = os.open(path(root, study).parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(root: Path, study: str) -> Ledger | None:
    """A study's ledger, if it was ever served. Raises MedloopError for a damaged one."""
    return read_model(path(root, study), Ledger) if path(root, study).is_file() else None

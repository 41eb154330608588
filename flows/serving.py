"""Serving schedules: one slot after another, by the ledgers. Clocks and the runs themselves are handed in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from contracts.errors import MedloopError
from flows import ledger as ledgers
from flows import schedule as schedules
from flows.ledger import DONE, Ledger, Outcome, Slot
from flows.notices import Kind, Notice
from flows.schedule import Schedule, local, span
from flows.studies import read_yaml, study_file
from flows.watching import local_paths, stamp

HELD_PAUSE_S = 15.0  # before a workspace that another run holds is tried again
REST_S = 10.0  # for an edit; DVC puts files back for a second or two when it pins a run
WATCH_S = 20.0  # between two looks at a watched source

Tell = Callable[[str, str], None]  # tells a person something of a study
Notify = Callable[[Notice], None]  # tells whoever is not there


class Work(Protocol):
    """A run under way."""

    def outcome(self) -> Outcome | None:
        """What it came to, once it has ended; of state `due` where it could not be tried."""

    def stop(self) -> None:
        """Ends it, and waits until it has."""

    def settle(self, came: Outcome) -> None:
        """Is told what the slot came to."""


Start = Callable[[str, Slot, Schedule], Work]


@dataclass
class Served:
    """A study that is served, as its file was when last read."""

    name: str
    file: Path
    schedule: Schedule
    ledger: Ledger
    sources: list[Path]
    touched: tuple[int, int]
    edited: tuple[int, int] = (0, 0)
    edited_at: float = 0.0
    late: bool = False  # that slots were missed was told since the last run
    glimpse: str = ""
    glimpsed: float = field(default=float("-inf"))


@dataclass
class UnderWay:
    """The one run at a time. `since` is of the steady clock."""

    study: Served
    slot: Slot
    work: Work
    since: float


class Keeper:
    """Keeps the schedules of these studies: `tick` as often as you like, `close` at the end.

    wall: the time of day, which people may set. steady: seconds that only grow, for durations.
    """

    def __init__(
        self,
        root: Path,
        studies: Sequence[str],
        start: Start,
        *,
        wall: Callable[[], datetime],
        steady: Callable[[], float],
        tell: Tell,
        notify: Notify = lambda notice: None,
    ) -> None:
        self._root, self._start, self._wall, self._steady, self._tell = root, start, wall, steady, tell
        self._notify = notify
        self._pause_until = float("-inf")
        self.current: UnderWay | None = None
        self.studies = {name: self._taken_up(name) for name in studies}

    def tick(self) -> None:
        """Enters what has become due, ends what has ended or takes too long, starts what is next."""
        for study in self.studies.values():
            if not self.current:  # a run's files are not as a person left them while DVC pins it
                self._read_again(study)
            self._look(study)
        if self.current:
            self._mind(self.current)
        if not self.current and self._steady() >= self._pause_until:
            self._begin_next()

    def ask(self, name: str) -> Slot:
        """A run out of turn, because a person asks for it; its slot."""
        study = self.studies[name]
        slot = ledgers.out_of_turn(study.ledger, self._now())
        self._save(study)
        return slot

    def close(self) -> None:
        """Ends the run under way; its slot is due when serving starts again."""
        if self.current:
            current, self.current = self.current, None
            current.work.stop()
            self._end(current, current.work.outcome() or Outcome(state="due"))

    def _now(self) -> datetime:
        return self._wall().astimezone(UTC).replace(microsecond=0)

    def _save(self, study: Served) -> None:
        ledgers.save(self._root, study.name, study.ledger)

    def _taken_up(self, name: str) -> Served:
        """As its ledger has it; a run that ended with the process that served it is reconciled."""
        file, now = study_file(self._root, name), self._now()
        schedule, sources = read(self._root, file)
        ledger = self._ledger(name) or Ledger(through=now)
        missed = ledger.totals()["missed"]
        if now < (ledger.floor or now):
            problem = f"the clock is behind the slot of {ledger.floor}, up to which all is done; nothing runs before"
            self._tell(name, f"{problem}. If the clock is right, remove {ledgers.path(self._root, name)}")
        for slot in ledgers.reconcile(ledger, schedule, now):
            again = "it is run again" if slot.state == "due" else "it is not run again"
            self._tell(name, f"the run for {local(slot.at, schedule)} ended without a word; {again}")
            self._alarm(name, slot, schedule)
        study = Served(name, file, schedule, ledger, sources, _touched(file))
        self._tell_missed(study, missed)
        self._save(study)
        return study

    def _ledger(self, name: str) -> Ledger | None:
        """A damaged one is put aside: all that it knew counts as done, and the next slot is the first of a new one."""
        try:
            return ledgers.read(self._root, name)
        except MedloopError as fault:
            damaged = ledgers.path(self._root, name)
            damaged.replace(damaged.with_suffix(".damaged"))
            self._tell(name, f"the ledger is put aside, and begins anew: {fault.problem} ({damaged})")
            return None

    def _read_again(self, study: Served) -> None:
        """Takes up what was edited, once it rests; what is wrong is told, and the former schedule counts on."""
        touched = _touched(study.file)
        if touched != study.edited:
            study.edited, study.edited_at = touched, self._steady()
        if touched == study.touched or self._steady() < study.edited_at + REST_S:
            return
        study.touched, former = touched, study.schedule
        try:
            study.schedule, study.sources = read(self._root, study.file)
        except MedloopError as fault:
            self._tell(study.name, f"the schedule stays as it was, {former.told}: {fault.problem} ({fault.where})")
        if study.schedule != former:
            self._tell(study.name, f"the schedule is now {study.schedule.told}")

    def _look(self, study: Served) -> None:
        now, missed = self._now(), study.ledger.totals()["missed"]
        tried = [slot for slot in study.ledger.slots if slot.state == "due" and slot.attempts]
        new = ledgers.look(study.ledger, study.schedule, now)
        self._tell_missed(study, missed)
        for slot in tried:  # left by now, where a newer one has come
            self._alarm(study.name, slot, study.schedule)
        if study.schedule.watch and self._has_changed(study):
            ledgers.out_of_turn(study.ledger, now)
            study.ledger.seen, new = study.glimpse, True
            self._tell(study.name, "the source has changed")
        if new:
            self._save(study)

    def _tell_missed(self, study: Served, before: int) -> None:
        """Tells whoever is not there, once until a run begins, of slots that came when nothing served and are left."""
        more = study.ledger.totals()["missed"] - before
        if more > 0 and not self.current and not study.late:
            study.late = True
            what = f"{more:,} {'slot was' if more == 1 else 'slots were'} missed, and by catch_up not run."
            self._notify(Notice(kind="late", study=study.name, what=what, next=f"medloop retrain {study.name}"))

    def _has_changed(self, study: Served) -> bool:
        """Only what looks the same twice: a file that is being written is left until it is whole."""
        if self._steady() < study.glimpsed + WATCH_S:
            return False
        before, study.glimpse, study.glimpsed = study.glimpse, stamp(study.sources), self._steady()
        return study.glimpse == before != study.ledger.seen

    def _begin_next(self) -> None:
        now = self._now()
        due = [(slot, study) for study in self.studies.values() for slot in self._ready(study, now)]
        if due:
            slot, study = min(due, key=lambda pair: pair[0].at)
            ledgers.begin(slot, now)
            study.late = False
            self._save(study)
            work = self._start(study.name, slot, study.schedule)
            self.current = UnderWay(study, slot, work, self._steady())

    def _ready(self, study: Served, now: datetime) -> list[Slot]:
        return list(ledgers.ready(study.ledger, study.schedule, now))

    def _mind(self, current: UnderWay) -> None:
        """Ends the run that is over, and the one that takes longer than it may."""
        came, deadline = current.work.outcome(), current.study.schedule.deadline
        if not came and deadline and self._steady() - current.since > deadline.total_seconds():
            current.work.stop()
            came = current.work.outcome()
            if not came or came.state not in DONE:  # else it ended in the same moment
                told = f"it took longer than its deadline, {span(deadline)}, and was ended"
                came = Outcome(state="overdue", told=told)
        if came:
            self.current = None
            self._end(current, came)

    def _end(self, current: UnderWay, came: Outcome) -> None:
        study, slot = current.study, current.slot
        if came.state == "due":
            ledgers.put_back(slot)
            self._pause_until = self._steady() + HELD_PAUSE_S
        else:
            ledgers.end(study.ledger, slot, study.schedule, self._now(), came)
        self._save(study)
        current.work.settle(came)
        self._alarm(study.name, slot, study.schedule)

    def _alarm(self, name: str, slot: Slot, schedule: Schedule) -> None:
        """Tells whoever is not there of a slot that came to nothing, once no attempt is left."""
        if slot.state not in ("failed", "overdue", "crashed"):
            return
        kind: Kind = "late" if slot.state == "overdue" else "failed"
        why = slot.told.splitlines()[0] if slot.told else "no reason is known"
        what = f"The run for {local(slot.at, schedule)} {'was ended' if kind == 'late' else slot.state}: {why}."
        self._notify(Notice(kind=kind, study=name, what=what, next=f"medloop retrain {name}", key=slot.key or ""))


def read(root: Path, file: Path) -> tuple[Schedule, list[Path]]:
    """A study's schedule, and where its source lies on this machine; all else that its file says is unchecked."""
    own = read_yaml(file)
    schedule, sources = schedules.declared(own, file), local_paths(root, own.get("source"))
    if not schedule:
        raise MedloopError(
            f"{file.stem} has no schedule",
            where=str(file),
            mend="add one: schedule: {cron: '15 2 * * *', time_zone: Europe/Berlin}; docs/schedules.md says what fits",
        )
    if schedule.watch and not sources:
        raise MedloopError(
            "watch looks at files on this machine, and the source names none",
            where=f"{file}, schedule.watch",
            mend="give cron or every instead: each run looks whether the data are new",
        )
    return schedule, sources


def _touched(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size

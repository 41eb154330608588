"""Schedules served with simulated clocks: the real schedules, ledgers and policies; only the runs are made up."""

import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from flows import ledger as ledgers
from flows.ledger import KEPT, Ledger, Outcome, Slot
from flows.notices import Notice
from flows.schedule import upcoming
from flows.serving import Keeper

HALF_PAST_TWO = time(2, 30)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOOP_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # a year of nights is written here


@dataclass
class Machine:
    """A computer with its clock, on which runs take some time and end as `comes` says."""

    root: Path
    now: datetime
    uptime: float = 0.0
    takes: timedelta = 20 * MINUTE
    comes: Callable[[Slot], Outcome] = lambda slot: Outcome(state="ran", key="a-run")
    begun: Counter = field(default_factory=Counter)
    whole: dict = field(default_factory=lambda: defaultdict(list))
    said: list[str] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    running: int = 0

    def study(self, name: str = "tiny", **schedule: object) -> None:
        lines = "".join(f"  {key}: {value}\n" for key, value in schedule.items())
        (self.root / "studies").mkdir(exist_ok=True)
        path = self.root / "studies" / f"{name}.yaml"
        path.write_text(f"source: {{kind: file, path: patients.csv}}\nschedule:\n{lines}", encoding="utf-8")
        os.utime(path, ns=(1, int(self.uptime * 1e9) + len(lines)))  # another time, whatever the disk's clock

    def boot(self, *names: str) -> Keeper:
        self.running = 0  # what ran has gone with its parent
        tell = lambda study, text: self.said.append(f"{study}: {text}")  # noqa: E731
        return Keeper(
            self.root,
            names or ("tiny",),
            lambda study, slot, schedule: Run(self, study, slot),
            wall=lambda: self.now,
            steady=lambda: self.uptime,
            tell=tell,
            notify=self.notices.append,
        )

    def pass_by(self, span: timedelta) -> None:
        self.now += span
        self.uptime += span.total_seconds()

    def serve(self, keeper: Keeper, span: timedelta, step: timedelta = 10 * MINUTE) -> None:
        """Ticks every step, and at every slot, since the real one ticks every second."""
        end = self.now + span
        while self.now < end:
            slots = (upcoming(study.schedule, self.now) for study in keeper.studies.values())
            self.pass_by(min(filter(None, [self.now + step, end, *slots])) - self.now)
            keeper.tick()

    def ledger(self, name: str = "tiny") -> Ledger:
        found = ledgers.read(self.root, name)
        assert found
        return found

    def states(self, name: str = "tiny") -> list[str]:
        return [slot.state for slot in self.ledger(name).slots]


class Run:
    """One at a time, or the test fails."""

    def __init__(self, machine: Machine, study: str, slot: Slot) -> None:
        assert machine.running == 0
        machine.running += 1
        machine.begun[study, slot.at] += 1
        on_disk = machine.ledger(study).slot(slot.at)
        assert on_disk and on_disk.state == "running"
        self.machine, self.study, self.slot = machine, study, slot
        self.since, self.came = machine.uptime, None

    def outcome(self) -> Outcome | None:
        if self.came is None and self.machine.uptime - self.since >= self.machine.takes.total_seconds():
            self.came = self.machine.comes(self.slot)
            self.machine.running -= 1
            self.machine.whole[self.study, self.slot.at].append(self.came.state)
        return self.came

    def stop(self) -> None:
        self.machine.running -= 1

    def settle(self, came: Outcome) -> None:
        self.settled = came


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, datetime(2026, 1, 1, 12, tzinfo=UTC))


def nights(zone: str, begin: datetime, end: datetime) -> list[datetime]:
    """The first minute of every day from 02:30 on that its clock shows; the first time, where it shows it twice."""
    clock, found = ZoneInfo(zone), []
    day = begin.astimezone(clock).date()
    while True:
        midnight = datetime(day.year, day.month, day.day, tzinfo=clock).astimezone(UTC)
        shown = ((midnight + k * MINUTE) for k in range(60, 240))
        at = next(at for at in shown if at.astimezone(clock).time() >= HALF_PAST_TWO)
        if at > end:
            return found
        found += [at] if at > begin else []
        day += DAY


@pytest.mark.parametrize(
    ("policy", "zone", "days"),
    [("one", "Europe/Berlin", 365), ("all", "America/New_York", 365), ("skip", "Europe/Berlin", 120)],
)
def test_43_a_year_of_nights_with_kills_outages_and_a_clock_that_is_set(
    machine: Machine, policy: str, zone: str, days: int
) -> None:
    chance, begin = random.Random(f"{zone}, {policy}"), machine.now
    machine.study(cron='"30 2 * * *"', time_zone=zone, catch_up=policy, retries=1, deadline="3 hours")
    machine.takes = HOUR
    machine.comes = lambda slot: Outcome(state="failed" if chance.random() < 0.05 else "unchanged")
    keeper = machine.boot()
    while machine.now < begin + days * DAY:
        event = chance.random()
        machine.serve(keeper, timedelta(hours=chance.randrange(6, 30)), 5 * HOUR)
        if event < 0.10:  # killed, and started again at once or days later
            machine.pass_by(chance.choice([MINUTE, 3 * HOUR, 2 * DAY, 9 * DAY]) if event < 0.05 else MINUTE)
            keeper = machine.boot()
        elif event < 0.13:
            keeper.close()
            keeper = machine.boot()
        elif event < 0.16:  # set back, put right later: the machine's clock against the true one
            machine.now -= DAY * chance.choice([0.04, 1, 3])
        elif event < 0.18:
            machine.now += 40 * DAY
            machine.serve(keeper, DAY, 5 * HOUR)
            machine.now -= 40 * DAY
    machine.serve(keeper, 2 * DAY, 5 * HOUR)
    expected = nights(zone, begin, machine.now)
    ledger = machine.ledger()
    listed = [at for at in expected if not ledger.floor or at > ledger.floor]
    assert [slot.at for slot in ledger.slots if slot.at <= machine.now] == listed
    assert sum(ledger.past.values()) == len(expected) - len(listed) < 150
    assert "due" not in [slot.state for slot in ledger.slots if slot.at < machine.now - DAY]
    assert len(ledger.slots) <= KEPT
    ended = {at: states for (_, at), states in machine.whole.items()}
    for slot in ledger.slots:
        states = ended.get(slot.at, [])
        assert states.count("unchanged") == (slot.state == "unchanged")  # never twice, none forgotten
        assert states.count("failed") <= 2
        assert slot.at > machine.now or slot.state in ("unchanged", "failed", "missed", "crashed")
    assert not keeper.current


def test_43_the_newest_of_what_was_missed_is_run_or_all_or_none(machine: Machine) -> None:
    came = {}
    for policy in ("skip", "one", "all"):
        machine.study(policy, cron="0 2 * * *", catch_up=policy)
        machine.boot(policy)
    machine.pass_by(3 * DAY)
    machine.serve(machine.boot("skip", "one", "all"), 5 * HOUR)
    came = {policy: machine.states(policy) for policy in ("skip", "one", "all")}
    assert came == {"skip": ["missed"] * 3, "one": ["missed", "missed", "ran"], "all": ["ran"] * 3}


def test_what_is_never_served_is_not_missed(machine: Machine) -> None:
    machine.study(cron="0 2 * * *")
    machine.boot()
    assert machine.states() == []


def test_killed_in_a_run_it_is_run_again_but_not_for_ever(machine: Machine) -> None:
    machine.study(every="1 day")
    keeper = machine.boot()
    machine.serve(keeper, 12 * HOUR)
    assert machine.states() == ["running"]
    for _ in range(10):
        keeper = machine.boot()
        keeper.tick()
    assert machine.states() == ["crashed"]
    assert list(machine.begun.values()) == [ledgers.MOST_CRASHES + 1]
    machine.serve(keeper, 25 * HOUR)
    assert machine.states() == ["crashed", "ran"]


def test_where_missed_slots_are_skipped_a_crashed_one_is_counted(machine: Machine) -> None:
    machine.study(every="1 day", catch_up="skip")
    machine.serve(machine.boot(), 12 * HOUR)
    machine.boot().tick()
    assert machine.states() == ["crashed"]
    assert "ended without a word; it is not run again" in machine.said[-1]


def test_a_run_that_fails_is_tried_again_later_until_a_newer_slot_is_due(machine: Machine) -> None:
    machine.study(every="3 hours", retries=20, retry_delay="50 minutes")
    machine.takes, machine.comes = MINUTE, lambda slot: Outcome(state="failed", told="a fault")
    machine.serve(machine.boot(), 6 * HOUR + 5 * MINUTE)
    assert [notice.kind for notice in machine.notices] == ["failed"]
    first, second = machine.ledger().slots
    assert (first.state, first.attempts, first.told) == ("failed", 3, "a fault")
    assert second.at - first.at == 3 * HOUR


def test_a_run_that_takes_too_long_is_ended_and_not_tried_again(machine: Machine) -> None:
    machine.study(every="1 day", deadline="2 hours", retries=3)
    machine.takes = 10 * HOUR
    machine.serve(machine.boot(), 24 * HOUR)
    assert machine.states() == ["overdue"]
    assert machine.running == 0
    assert "longer than its deadline" in machine.ledger().slots[0].told


def test_43_setting_the_clock_neither_ends_a_run_nor_runs_it_twice(machine: Machine) -> None:
    machine.study(every="1 day", deadline="2 hours")
    machine.takes = HOUR
    keeper = machine.boot()
    machine.serve(keeper, 12 * HOUR + 10 * MINUTE)
    machine.now += 5 * HOUR
    machine.serve(keeper, 2 * HOUR)
    machine.now -= 9 * HOUR
    machine.serve(keeper, 12 * HOUR)
    assert machine.states() == ["ran"]


def test_a_workspace_that_another_run_holds_is_waited_for(machine: Machine) -> None:
    machine.study(every="1 day")
    machine.takes, machine.comes = timedelta(), lambda slot: Outcome(state="due")
    keeper = machine.boot()
    machine.serve(keeper, 13 * HOUR)
    assert max(machine.begun.values()) > 1
    machine.comes = lambda slot: Outcome(state="ran")
    machine.serve(keeper, HOUR)
    assert [(slot.state, slot.attempts) for slot in machine.ledger().slots] == [("ran", 1)]


def test_closing_ends_the_run_and_the_next_start_goes_on_with_it(machine: Machine) -> None:
    machine.study(every="1 day")
    keeper = machine.boot()
    machine.serve(keeper, 12 * HOUR)
    keeper.close()
    assert (machine.states(), machine.running) == (["due"], 0)
    machine.serve(machine.boot(), HOUR)
    assert machine.states() == ["ran"]


def test_what_failed_was_late_or_missed_is_told_once_to_whoever_is_not_there(machine: Machine) -> None:
    machine.study(cron='"30 2 * * *"', retries=1, retry_delay="10 minutes", catch_up="skip", deadline="3 hours")
    machine.comes = lambda slot: Outcome(state="failed", told="the source is gone\nwhere: patients.csv")
    keeper = machine.boot()
    machine.serve(keeper, DAY)
    (notice,) = machine.notices
    assert (notice.kind, notice.next) == ("failed", "medloop retrain tiny")
    assert notice.what == "The run for Fri 02 Jan 2026 02:30 UTC failed: the source is gone."
    machine.takes = DAY
    machine.serve(keeper, DAY)
    assert [each.kind for each in machine.notices] == ["failed", "late"]
    keeper.close()
    machine.pass_by(3 * DAY)
    machine.boot()
    assert machine.notices[2].what == "3 slots were missed, and by catch_up not run."
    assert len(machine.notices) == 3


def test_two_studies_take_turns(machine: Machine) -> None:
    machine.study("first", every="1 day")
    machine.study("second", every="1 day")
    machine.serve(machine.boot("first", "second"), 14 * HOUR)
    assert machine.states("first") == machine.states("second") == ["ran"]


def test_a_frequent_schedule_keeps_its_ledger_small_and_counts_all(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "KEPT", 50)
    machine.study(every="1 minute")
    machine.takes = timedelta()
    keeper = machine.boot()
    machine.serve(keeper, HOUR, MINUTE)
    machine.pass_by(DAY)
    machine.serve(keeper, HOUR, MINUTE)
    ledger = machine.ledger()
    assert len(ledger.slots) == 50
    assert sum(ledger.totals().values()) == 26 * 60


def test_an_edited_schedule_is_taken_up_and_a_wrong_one_told(machine: Machine) -> None:
    machine.study(every="1 day")
    keeper = machine.boot()
    machine.study(every="1 mintue")
    keeper.tick()
    assert not machine.said  # may still be written
    machine.serve(keeper, MINUTE, MINUTE)
    assert "did you mean minute" in machine.said[-1]
    machine.study(every="2 hours")
    machine.serve(keeper, 5 * HOUR)
    assert machine.states() == ["ran", "ran"]


def test_a_changed_source_is_run_once_when_it_is_whole(machine: Machine) -> None:
    machine.study(watch="true")
    source, keeper = machine.root / "patients.csv", machine.boot()
    machine.serve(keeper, 5 * HOUR)
    for rows in range(3):  # is being written
        source.write_text("row\n" * (rows + 1))
        machine.serve(keeper, MINUTE, MINUTE)
        assert machine.states() == ["ran"]
    machine.serve(keeper, 3 * HOUR)
    machine.serve(machine.boot(), 3 * HOUR)
    assert machine.states() == ["ran", "ran"]


def test_a_damaged_ledger_is_put_aside_and_nothing_is_run_twice(machine: Machine) -> None:
    machine.study(every="1 day")
    machine.serve(machine.boot(), 13 * HOUR)
    file = ledgers.path(machine.root, "tiny")
    file.write_text(file.read_text()[:-20])
    machine.serve(machine.boot(), 5 * HOUR)
    assert machine.states() == []
    assert "the ledger is put aside" in machine.said[-1]
    assert list(machine.begun.values()) == [1]
    machine.serve(machine.boot(), DAY)
    assert machine.states() == ["ran"]

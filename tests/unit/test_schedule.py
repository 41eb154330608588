"""Which slots a schedule plans, on the days when clocks are set too, and how a wrong one is told."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import MedloopError
from flows.schedule import Schedule, declared, duration, planned, span, upcoming

FILE = Path("studies/tiny.yaml")


def told(schedule: Schedule, begin: str, days: float) -> list[str]:
    """The slots by the schedule's own clock."""
    after = datetime.fromisoformat(begin).replace(tzinfo=schedule.zone).astimezone(UTC)
    slots = planned(schedule, after, after + timedelta(days=days))
    return [f"{slot.astimezone(schedule.zone):%d %H:%M %z}" for slot in slots]


def test_43_a_time_that_the_clock_leaps_over_comes_right_after_the_leap() -> None:
    berlin = Schedule(cron="30 2 * * *", time_zone="Europe/Berlin")
    assert told(berlin, "2026-03-28", 3) == ["28 02:30 +0100", "29 03:00 +0200", "30 02:30 +0200"]
    york = Schedule(cron="15 2 * * *", time_zone="America/New_York")
    assert told(york, "2026-03-07", 3) == ["07 02:15 -0500", "08 03:00 -0400", "09 02:15 -0400"]


def test_43_a_time_that_the_clock_shows_twice_comes_once() -> None:
    berlin = Schedule(cron="30 2 * * *", time_zone="Europe/Berlin")
    assert told(berlin, "2026-10-24", 3) == ["24 02:30 +0200", "25 02:30 +0200", "26 02:30 +0100"]
    york = Schedule(cron="30 1 * * *", time_zone="America/New_York")
    assert told(york, "2026-10-31", 3) == ["31 01:30 -0400", "01 01:30 -0400", "02 01:30 -0500"]
    between = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10 for the second time
    assert upcoming(berlin, between) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_what_comes_every_half_hour_goes_by_the_time_that_passes() -> None:
    berlin = Schedule(cron="*/30 * * * *", time_zone="Europe/Berlin")
    assert len(told(berlin, "2026-10-25", 25 / 24)) == 50
    assert len(told(berlin, "2026-03-29", 23 / 24)) == 46


def test_whole_days_begin_at_midnight_and_weeks_on_mondays() -> None:
    days = Schedule(every="1 day", time_zone="America/New_York")
    assert told(days, "2026-10-31", 3) == ["01 00:00 -0400", "02 00:00 -0500"]
    weeks = Schedule(every="1 week", time_zone="Asia/Tokyo")
    assert told(weeks, "2026-11-18", 14) == ["23 00:00 +0900", "30 00:00 +0900"]
    hours = Schedule(every="36 hours")
    assert [at[3:8] for at in told(hours, "2026-11-18", 4)] == ["00:00", "12:00", "00:00"]


CLOCKS = [
    *({"cron": cron} for cron in ("30 2 * * *", "0 */3 * * *", "59 1,2,3 * * SUN", "*/20 0-4 25-29 3,10 *")),
    *({"every": every} for every in ("7 hours", "1 day", "3 days")),
]


@given(
    clock=st.sampled_from(CLOCKS),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"]),
    begin=st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 5)),
    looks=st.lists(st.integers(1, 5_000), min_size=1, max_size=8),
)
def test_however_often_one_looks_the_slots_are_the_same(
    clock: dict, zone: str, begin: datetime, looks: list[int]
) -> None:
    schedule = Schedule(**clock, time_zone=zone)
    after = begin.replace(tzinfo=UTC)
    moments = [after]
    for minutes in looks:
        moments.append(moments[-1] + timedelta(minutes=minutes))
    whole = list(planned(schedule, after, moments[-1]))
    pieces = [at for a, b in pairwise(moments) for at in planned(schedule, a, b)]
    assert pieces == whole == sorted(set(whole))


@pytest.mark.parametrize(
    ("section", "key", "problem"),
    [
        ({"crom": "* * * * *"}, "schedule.crom", "unknown key crom (did you mean cron?)"),
        ({"cron": "61 * * * *"}, "schedule.cron", "Bad minute"),
        ({"cron": "@daily"}, "schedule.cron", "five fields"),
        ({"cron": "0 0 30 2 *"}, "schedule.cron", "Bad day-of-month"),
        ({"every": "1 mintue"}, "schedule.every", "did you mean minute"),
        ({"every": "0 days"}, "schedule.every", "10 seconds or more"),
        ({"every": "999999 weeks"}, "schedule.every", "3660 days or less"),
        ({"every": 5}, "schedule.every", "a duration such as 30 minutes"),
        ({"every": "1 day", "cron": "0 0 * * *"}, "schedule", "two clocks"),
        ({"every": "1 day", "time_zone": "Europe/Berln"}, "schedule.time_zone", "did you mean Europe/Berlin"),
        ({"every": "1 day", "catch_up": "two"}, "schedule.catch_up", "'skip', 'one' or 'all'"),
        ({"every": "1 day", "retries": -1}, "schedule.retries", "greater than or equal to 0; got '-1'"),
        ({}, "schedule", "when?"),
        (None, "schedule", "a mapping such as"),
        ("nightly", "schedule", "a mapping such as"),
    ],
)
def test_a_wrong_schedule_is_told_with_file_and_key(section: object, key: str, problem: str) -> None:
    with pytest.raises(MedloopError) as fault:
        declared({"schedule": section}, FILE)
    assert problem in fault.value.problem
    assert fault.value.where == f"{FILE}, {key}"
    assert "cron, every, watch" in fault.value.mend


def test_a_study_needs_no_schedule() -> None:
    assert declared({"title": "A study"}, FILE) is None


@pytest.mark.parametrize("text", ["90 seconds", "1 minute", "6 hours", "2 weeks", "36 hours"])
def test_durations_read_as_they_are_told(text: str) -> None:
    assert span(duration(text)) == text

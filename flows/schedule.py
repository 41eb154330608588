"""When a study is run by itself: the section `schedule` of its file, and the slots that it plans. No clock is read."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_validator, model_validator

from contracts.errors import MedloopError
from contracts.frozen import Frozen
from contracts.names import nearest
from flows.studies import read_yaml, study_file, study_names

SECTION = "schedule"
SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
DAY = timedelta(days=1)
SHORTEST, LONGEST = timedelta(seconds=10), timedelta(days=3660)
MONDAY = date(1970, 1, 5)  # intervals count from here, midnight in the schedule's zone, so that weeks begin on Mondays


def duration(value: object) -> object:
    """`6 hours` as a timedelta."""
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"(\d{1,6}) +([a-z]+?)s?", str(value).strip())
    if not found or found[2] not in SECONDS:
        unit = str(value).split()[-1] if isinstance(value, str) and value.split() else ""
        raise ValueError(f"a duration such as 30 minutes, 6 hours or 1 day was expected{nearest(unit, SECONDS)}")
    return timedelta(seconds=int(found[1]) * SECONDS[found[2]])


def span(value: timedelta) -> str:
    """A timedelta as `duration` reads it, in the largest unit that fits."""
    seconds = int(value.total_seconds())
    unit = next(unit for unit in reversed(SECONDS) if seconds % SECONDS[unit] == 0)
    return f"{seconds // SECONDS[unit]} {unit}{'s' if seconds != SECONDS[unit] else ''}"


def _noticeable(value: timedelta) -> timedelta:
    if value < SHORTEST:
        raise ValueError(f"{SHORTEST.seconds} seconds or more were expected")
    if value > LONGEST:
        raise ValueError(f"{LONGEST.days} days or less were expected")
    return value


Duration = Annotated[timedelta, BeforeValidator(duration), AfterValidator(_noticeable)]


class Schedule(Frozen):
    """When a study is run by itself. Everything is a slot: an instant in UTC that is planned, run and accounted for.

    cron: five fields (minute, hour, day, month, weekday), on the clock of `time_zone`. A time of day that the clock
        leaps over comes right after the leap, one that it shows twice comes once (as in Debian's cron).
    every: an interval instead; whole days begin at midnight of `time_zone`, all else is time that has passed.
    watch: run also when the study's local source has changed and is no longer being written.
    only_if: "drift": a slot looks whether the data have drifted, and trains where they have.
    catch_up: of slots missed while nothing served: none is run, the newest (one), or all.
    deadline: a run that takes longer is ended.
    retries: how often a run that failed is tried again, each `retry_delay` later, unless a newer slot has come.
    """

    cron: str | None = None
    every: Duration | None = None
    watch: bool = False
    only_if: Literal["drift"] | None = None
    time_zone: str = "UTC"
    catch_up: Literal["skip", "one", "all"] = "one"
    deadline: Duration | None = None
    retries: Annotated[int, Field(strict=True, ge=0, le=20)] = 0
    retry_delay: Duration = timedelta(minutes=10)

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            near = nearest(name, available_timezones())
            raise ValueError(f"a time zone such as Europe/Berlin was expected{near}") from None
        return name

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, text: str | None) -> str | None:
        if text is not None:
            problem = "" if len(text.split()) == 5 else "five fields, minute hour day month weekday, were expected"
            try:
                next(CronSim(text, datetime(2000, 1, 1, tzinfo=UTC)))
            except CronSimError as error:
                problem = problem or str(error)
            except StopIteration:
                problem = problem or "such a day never comes"
            if problem:
                raise ValueError(problem)
        return text

    @model_validator(mode="after")
    def _one_clock(self) -> Self:
        if self.cron and self.every:
            raise ValueError("cron and every are two clocks: give one of them")
        if not (self.cron or self.every or self.watch):
            raise ValueError("when? Give cron, such as '15 2 * * *', or every, such as 6 hours, or watch: true")
        return self

    @cached_property
    def zone(self) -> tzinfo:
        """The zone whose clock counts."""
        return ZoneInfo(self.time_zone)

    @property
    def told(self) -> str:
        """In words, for people."""
        clock = f"every {span(self.every)}" if self.every else f"cron {self.cron}" if self.cron else ""
        clock += f" in {self.time_zone}" if clock else ""
        when = " and ".join(filter(None, [clock, "when its source changes" if self.watch else ""]))
        return f"{when}, trained only if the data have drifted" if self.only_if else when


def planned(schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    """The slots in (after, until], in UTC, ascending, none twice."""
    last = after
    for each in _from(schedule, after):
        slot = each.astimezone(UTC)
        if slot > until:
            return
        if slot > last:
            yield slot
            last = slot


def upcoming(schedule: Schedule, after: datetime) -> datetime | None:
    """The next slot, in UTC; none where only changes start a run."""
    return next(planned(schedule, after, datetime.max.replace(tzinfo=UTC)), None)


def local(at: datetime, schedule: Schedule) -> str:
    """A slot on the clock of its schedule."""
    return f"{at.astimezone(schedule.zone):%a %d %b %Y %H:%M %Z}"


def _from(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """The slots from about `after` on; those of an hour that the clock shows twice may lie before."""
    if schedule.cron:
        yield from CronSim(schedule.cron, after.astimezone(schedule.zone))
    elif schedule.every and schedule.every % DAY:
        anchor = datetime(MONDAY.year, MONDAY.month, MONDAY.day, tzinfo=schedule.zone).astimezone(UTC)
        yield from (anchor + k * schedule.every for k in count((after - anchor) // schedule.every + 1))
    elif schedule.every:
        days = schedule.every.days
        first = (after.astimezone(schedule.zone).date() - MONDAY).days // days
        for k in count(first):
            day = MONDAY + timedelta(days=days * k)
            yield datetime(day.year, day.month, day.day, tzinfo=schedule.zone)


def declared(own: Mapping[str, Any], path: Path) -> Schedule | None:
    """The schedule that a study's file declares, if any. Raises MedloopError naming the key and what was expected."""
    section = own.get(SECTION)
    if section is None and SECTION not in own:
        return None
    try:
        return Schedule.model_validate(section)
    except ValidationError as error:
        raise _explained(error.errors()[0], path) from None


def _explained(fault: Mapping[str, Any], path: Path) -> MedloopError:
    key, came = ".".join([SECTION, *map(str, fault["loc"])]), fault.get("input")
    problem = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        problem = f"unknown key {fault['loc'][-1]}{nearest(str(fault['loc'][-1]), Schedule.model_fields)}"
    elif fault["type"] == "model_type":
        problem = f"a mapping such as {{cron: '15 2 * * *', time_zone: Europe/Berlin}} was expected; got {came!r}"
    elif fault["loc"]:
        problem = f"{problem}; got {str(came)[:60]!r}"
    known = f"one of: {', '.join(Schedule.model_fields)}"
    return MedloopError(problem, where=f"{path}, {key}", mend=f"{known}; docs/schedules.md says what each means")


def scheduled(root: Path) -> list[str]:
    """The studies whose file has a schedule, right or wrong; a file that cannot be read has none."""
    found = []
    for name in study_names(root):
        try:
            if SECTION in read_yaml(study_file(root, name)):
                found.append(name)
        except MedloopError:
            continue
    return found

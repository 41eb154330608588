"""The table of runs: one page of a view, read in a few short queries whatever the number of runs."""

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy import func as sql

from flows.board import database as db
from flows.board.conditions import HIDDEN, MODEL, NOTE, STAR, conditions, group_of, in_order, ordered
from flows.board.view import ROWS, SCORE, View

AT_ONCE = 900  # names in one query
LOW, HIGH = "_low", "_high"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A run, or a group of runs that differ by seeds and folds alone; then `run_id` is the newest's.

    `values`: by column, the texts that params and tags have; `numbers`: by metric the numbers, each with its interval.
    """

    run_id: str
    experiment: int
    study: str
    name: str
    status: str
    started: int | None
    ended: int | None
    members: int = 1
    score: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, list[str]] = field(default_factory=dict)
    numbers: Mapping[str, "Number"] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The name that the study gives the model; of a run of other making, none."""
        return self.tags.get(MODEL) or next(iter(self.values.get("params.model", [])), "")


@dataclass(frozen=True, kw_only=True)
class Number:
    """A metric: of one run with its interval, of several their mean with the deviation."""

    value: float
    low: float | None = None
    high: float | None = None
    deviation: float | None = None
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a view. `total`: rows in all."""

    rows: list[Row]
    total: int
    view: View

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return max(1, -(-self.total // ROWS))


def page(c: Connection, view: View, scores: Mapping[int, str], visible: Collection[int] | None = None) -> Page:
    """The rows of a view's page. Raises MedloopError for a search that cannot be understood.

    scores: by experiment the metric that its study is judged by. visible: experiments that may be seen; None: all.
    """
    joined, by = ordered(view, scores)
    having = conditions(view, visible)
    if view.grouped:
        return _grouped(c, view, scores, joined, by, having)
    order = in_order(by, ascending=view.ascending)
    asked = select(db.runs.c.run_uuid).select_from(joined).where(*having).order_by(*order, db.runs.c.run_uuid)
    ids = c.scalars(asked).all()  # a count would cost the search once more
    view = _within(view, len(ids))
    return Page(rows=list(_rows(c, [[one] for one in _part(ids, view)], view, scores)), total=len(ids), view=view)


def _within(view: View, total: int) -> View:
    """The last page there is, where the address asks for one beyond: runs may have gone since."""
    return replace(view, page=min(view.page, max(1, -(-total // ROWS))))


def _part(whole: Sequence[str], view: View) -> Sequence[str]:
    return whole[(view.page - 1) * ROWS : view.page * ROWS]


def _grouped(
    c: Connection, view: View, scores: Mapping[int, str], joined: Any, by: list[Any], having: list[Any]
) -> Page:
    tag, group = group_of()
    joined = joined.outerjoin(*tag)
    each = (group, db.runs.c.experiment_id)
    middle = [sql.avg(e) if view.sort.startswith(("metrics.", SCORE)) else sql.max(e) for e in by]
    asked = select(group).select_from(joined).where(*having).group_by(*each)
    every = c.scalars(asked.order_by(*in_order(middle, ascending=view.ascending), group)).all()
    view = _within(view, len(every))
    names = _part(every, view)
    members = select(group, db.runs.c.run_uuid).select_from(joined).where(*having, group.in_(names))
    found: dict[str, list[str]] = {name: [] for name in names}
    for name, run in c.execute(members.order_by(db.runs.c.start_time.desc(), db.runs.c.run_uuid)):
        found[name].append(run)
    return Page(rows=list(_rows(c, list(found.values()), view, scores)), total=len(every), view=view)


def _rows(c: Connection, groups: Sequence[Sequence[str]], view: View, scores: Mapping[int, str]) -> Iterator[Row]:
    """The rows, with what their columns show, in the order given; each the runs of a group, the newest first."""
    ids = [run for group in groups for run in group]
    heads = {row.run_uuid: row for row in _heads(c, [group[0] for group in groups if group])}
    wanted = {name.partition(".")[2] for name in view.columns if name.startswith("metrics.")}
    wanted |= set(scores.values()) if SCORE in view.columns else set()
    numbers = _numbers(c, ids, wanted)
    texts = _texts(c, ids, view.columns)
    for group in groups:
        head = heads[group[0]]
        yield Row(
            run_id=head.run_uuid,
            experiment=head.experiment_id,
            study=head.study,
            name=head.name or "",
            status=head.status or "",
            started=head.start_time,
            ended=head.end_time,
            members=len(group),
            score=scores.get(head.experiment_id, ""),
            tags={k: texts[f"tags.{k}"].get(group[0], "") for k in (MODEL, STAR, HIDDEN, NOTE, "medloop.run")},
            values={name: _distinct(texts[name], group) for name in (*view.columns, "params.model")},
            numbers={key: n for key in wanted if (n := _together(numbers, key, group)) is not None},
        )


def _heads(c: Connection, ids: Sequence[str]) -> Iterable[Any]:
    for some in _portions(ids):
        yield from c.execute(db.with_study().where(db.runs.c.run_uuid.in_(some)))


def _numbers(c: Connection, ids: Sequence[str], keys: Collection[str]) -> dict[str, dict[str, float]]:
    """By metric and run its value, the ends of the interval as metrics of their own."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    names = [f"{key}{end}" for key in keys for end in ("", LOW, HIGH)]
    of = db.metrics.c
    for some in _portions(ids) if names else ():
        asked = select(of.key, of.run_uuid, of.value).where(of.run_uuid.in_(some), of.key.in_(names), ~of.is_nan)
        for key, run, value in c.execute(asked):
            found[key][run] = value
    return found


def _texts(c: Connection, ids: Sequence[str], columns: Sequence[str]) -> dict[str, dict[str, str]]:
    """By column and run what its parameter or tag says."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    wanted = [*columns, "params.model", *(f"tags.{key}" for key in (MODEL, STAR, HIDDEN, NOTE, "medloop.run"))]
    for prefix, of in (("params", db.params.c), ("tags", db.tags.c)):
        keys = [name.partition(".")[2] for name in wanted if name.startswith(f"{prefix}.")]
        for some in _portions(ids):
            asked = select(of.key, of.run_uuid, of.value).where(of.run_uuid.in_(some), of.key.in_(keys))
            for key, run, value in c.execute(asked):
                found[f"{prefix}.{key}"][run] = value or ""
    return found


def _portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]


def _distinct(by_run: Mapping[str, str], group: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(by_run[run] for run in group if run in by_run))


def _together(numbers: Mapping[str, Mapping[str, float]], key: str, group: Sequence[str]) -> Number | None:
    """One run's value with its interval; of several the mean and the sample standard deviation."""
    values = [numbers[key][run] for run in group if run in numbers.get(key, {})]
    if not values:
        return None
    if len(group) == 1:
        low, high = (numbers.get(f"{key}{end}", {}).get(group[0]) for end in (LOW, HIGH))
        return Number(value=values[0], low=low, high=high)
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Number(value=statistics.fmean(values), deviation=deviation, count=len(values))

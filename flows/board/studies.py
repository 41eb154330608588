"""What there is of each study, shortest first: the champion, or else the best model, with its metric."""

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import Connection, and_, select
from sqlalchemy import func as sql

from flows.board import database as db
from flows.board.conditions import KIND, MODEL
from flows.board.runs import HIGH, LOW, Number

COMPARED, BEST = "comparison", "medloop.best"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A study: `metric` is what it is judged by, `role` that of the model shown: champion, or best of its run."""

    experiment: int
    study: str
    runs: int
    metric: str = ""
    verdict: str = ""
    role: str = ""
    run_id: str = ""
    model: str = ""
    version: str = ""
    score: Number | None = None
    when: int | None = None


@dataclass(kw_only=True)
class _Found:
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


def summaries(c: Connection, visible: Collection[int] | None = None) -> list[Summary]:
    """Every study that has runs, by name."""
    alive = [db.runs.c.lifecycle_stage == db.ACTIVE, db.experiments.c.lifecycle_stage == db.ACTIVE]
    if visible is not None:
        alive.append(db.experiments.c.experiment_id.in_(list(visible)))
    joined = db.experiments.join(db.runs, db.runs.c.experiment_id == db.experiments.c.experiment_id)
    e = db.experiments.c
    counted = select(e.experiment_id, e.name, sql.count(), sql.max(db.runs.c.start_time)).select_from(joined)
    asked = counted.where(*alive).group_by(e.experiment_id, e.name).order_by(e.name)
    compared, champions = _last_comparisons(c), _champions(c)
    return [
        _summary(c, (number, name, runs, when), compared.get(number), champions.get(name))
        for number, name, runs, when in c.execute(asked)
    ]


def scores(summaries: Collection[Summary]) -> dict[int, str]:
    """By experiment the metric that its study is judged by."""
    return {one.experiment: one.metric for one in summaries if one.metric}


def _summary(
    c: Connection, told: tuple[int, str, int, int | None], comparison: str | None, champion: tuple[str, str] | None
) -> Summary:
    experiment, name, runs, when = told
    found = _found(c, comparison) if comparison else _Found()
    best = found.tags.get(BEST, "")
    metric = next((key.removeprefix(f"{best}_") for key in found.metrics if key.startswith(f"{best}_test_")), "")
    run_id, version = champion or (found.tags.get(f"{MODEL}.{best}", ""), "")
    shown = _found(c, run_id) if run_id else _Found()
    value = shown.metrics.get(metric)
    number = None
    if value is not None:
        number = Number(value=value, low=shown.metrics.get(f"{metric}{LOW}"), high=shown.metrics.get(f"{metric}{HIGH}"))
    return Summary(
        experiment=experiment,
        study=name,
        runs=runs,
        metric=metric,
        verdict=found.tags.get("mlflow.note.content", "").split("\n")[0],
        role="champion" if champion else "best" if run_id else "",
        run_id=run_id,
        model=shown.tags.get(MODEL, ""),
        version=version,
        score=number,
        when=when,
    )


def _found(c: Connection, run_id: str) -> _Found:
    tags = c.execute(select(db.tags.c.key, db.tags.c.value).where(db.tags.c.run_uuid == run_id))
    of = db.metrics.c
    metrics = c.execute(select(of.key, of.value).where(of.run_uuid == run_id, ~of.is_nan))
    return _Found(tags={k: v or "" for k, v in tags}, metrics={str(k): float(v) for k, v in metrics})


def _last_comparisons(c: Connection) -> dict[int, str]:
    """By experiment its newest comparison that came to an end."""
    of = db.runs.c
    kind = and_(db.tags.c.key == KIND, db.tags.c.value == COMPARED)
    compared = [of.run_uuid.in_(select(db.tags.c.run_uuid).where(kind)), of.lifecycle_stage == db.ACTIVE]
    finished = [*compared, of.status == "FINISHED"]
    newest = select(of.experiment_id, sql.max(of.start_time).label("at")).where(*finished).group_by(of.experiment_id)
    last = newest.subquery()
    same = and_(of.experiment_id == last.c.experiment_id, of.start_time == last.c.at)
    asked = select(of.experiment_id, of.run_uuid).select_from(db.runs.join(last, same)).where(*finished)
    return {experiment: str(run) for experiment, run in c.execute(asked)}


def _champions(c: Connection) -> dict[str, tuple[str, str]]:
    """By registered model, which is named as its study, the champion's run and version."""
    return {name: (run, number) for name, alias, run, number in _aliased(c) if alias == "champion"}


def roles(c: Connection) -> dict[str, str]:
    """By run what its registered model is at present: the champion or a challenger."""
    return {run: alias for _, alias, run, _ in sorted(_aliased(c), key=lambda one: one[1], reverse=True)}


def _aliased(c: Connection) -> list[tuple[str, str, str, str]]:
    """Registered model, alias, run and version."""
    a, v = db.aliases.c, db.versions.c
    same = and_(a.name == v.name, a.version == v.version)
    asked = select(a.name, a.alias, v.run_id, v.version).select_from(db.aliases.join(db.versions, same))
    return [(name, alias, str(run), str(number)) for name, alias, run, number in c.execute(asked)]

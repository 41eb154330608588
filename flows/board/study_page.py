"""The page of a study: who was champion when, what was decided and why, what is planned, and what came of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import abort, render_template
from sqlalchemy import Connection, and_, select

from contracts.errors import MedloopError
from flows.board import database as db
from flows.board import studies
from flows.board.conditions import KIND, MODEL
from flows.board.curves import Spread, spread
from flows.board.heat import heat
from flows.board.runs import HIGH, LOW, Number
from flows.board.server import Board

DECISION = "medloop.decision."
NEWEST = 20
MOST_BYTES = 1_000_000  # of a file that is read whole


@dataclass(frozen=True, kw_only=True)
class Version:
    """A registered version, with the study's metric."""

    number: int
    run_id: str
    when: int | None
    model: str
    score: Number | None
    roles: list[str]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided of a version, by whom and why."""

    number: int
    what: str
    when: str
    who: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Planned:
    """When the study is run, what comes next, and the newest slots, the last first."""

    when: str
    next: str
    slots: list[Any]


def show(board: Board, name: str) -> str:
    """`/board/study/NAME`."""
    with board.reading() as (connection, visible):
        found = next((one for one in studies.summaries(connection, visible) if one.study == name), None)
        if found is None:
            abort(HTTPStatus.NOT_FOUND, "There is no study of this name with a run.")
        versions, decisions = _versions(connection, name, found.metric), _decisions(connection, name)
        comparisons = _comparisons(connection, found.experiment)
    return render_template(
        "board/study.html",
        study=found,
        versions=versions,
        decisions=decisions,
        comparisons=comparisons,
        gates=_files(board.root, "gates", name),
        drift=(looks := _files(board.root, "drift", name)),
        heat=heat(looks),
        planned=_planned(board.root, name),
        reigns=(reigns := _reigns(versions, decisions)),
        picture=_picture(reigns),
    )


def _versions(c: Connection, name: str, metric: str) -> list[Version]:
    v, a = db.versions.c, db.aliases.c
    aliases: dict[int, list[str]] = {}
    for alias, number in c.execute(select(a.alias, a.version).where(a.name == name)):
        aliases.setdefault(number, []).append(alias)
    found = c.execute(select(v.version, v.run_id, v.creation_time).where(v.name == name).order_by(v.version.desc()))
    return [_version(c, row, metric, sorted(aliases.get(row.version, []))) for row in found]


def _version(c: Connection, row: Any, metric: str, roles: list[str]) -> Version:
    m, run = db.metrics.c, str(row.run_id or "")
    names = [f"{metric}{end}" for end in ("", LOW, HIGH)]
    found = dict(c.execute(select(m.key, m.value).where(m.run_uuid == run, m.key.in_(names), ~m.is_nan)).tuples().all())
    score = None
    if metric in found:
        score = Number(value=found[metric], low=found.get(f"{metric}{LOW}"), high=found.get(f"{metric}{HIGH}"))
    model = c.scalar(select(db.tags.c.value).where(db.tags.c.run_uuid == run, db.tags.c.key == MODEL))
    return Version(
        number=row.version, run_id=run, when=row.creation_time, model=str(model or ""), score=score, roles=roles
    )


def _decisions(c: Connection, name: str) -> list[Decision]:
    """The latest first."""
    t = db.version_tags.c
    asked = select(t.key, t.value, t.version).where(t.name == name, t.key.startswith(DECISION, autoescape=True))
    return [d for _, text, number in c.execute(asked.order_by(t.key.desc())) if (d := _decision(number, text))]


def _decision(number: int, text: str) -> Decision | None:
    told = _object(text)
    if not told:
        return None
    what, when, who, why = (str(told.get(key) or "") for key in ("what", "when", "who", "why"))
    return Decision(number=number, what=what, when=when[:16].replace("T", " "), who=who, why=why)


def _comparisons(c: Connection, experiment: int) -> list[tuple[str, str, int | None, str]]:
    """The newest runs of the study that compared its models: run, key, when, verdict."""
    r, t = db.runs.c, db.tags
    kind, note = t.alias("kind"), t.alias("note")
    joined = db.runs.join(kind, and_(kind.c.run_uuid == r.run_uuid, kind.c.key == KIND, kind.c.value == "comparison"))
    joined = joined.outerjoin(note, and_(note.c.run_uuid == r.run_uuid, note.c.key == "mlflow.note.content"))
    asked = select(r.run_uuid, r.name, r.start_time, note.c.value).select_from(joined)
    having = asked.where(r.experiment_id == experiment, r.lifecycle_stage == db.ACTIVE)
    found = c.execute(having.order_by(r.start_time.desc()).limit(NEWEST))
    return [(run, name or "", when, (told or "").split("\n")[0]) for run, name, when, told in found]


def _reigns(versions: list[Version], decisions: list[Decision]) -> list[tuple[str, Version]]:
    """Since when which version was champion, as far as it was kept, the oldest first."""
    known = {one.number: one for one in versions}
    told = [(one.when, known[one.number]) for one in decisions if one.what == "promoted" and one.number in known]
    return list(reversed(told))


def _picture(reigns: list[tuple[str, Version]]) -> Spread | None:
    """The champions' metric with its interval, where there were two or more."""
    scores = [(f"version {one.number}", one.score) for _, one in reigns[-NEWEST:] if one.score]
    values = [
        (name, s.value, s.value if s.low is None else s.low, s.value if s.high is None else s.high)
        for name, s in scores
    ]
    return spread("Champions", values) if len(values) > 1 else None


def _files(root: Path | None, folder: str, study: str) -> list[Mapping[str, Any]]:
    """The newest files of a kind that medloop's home keeps of a study, the latest first."""
    from contracts.names import check_name
    from flows.home import home

    try:
        where = home(root) / folder / check_name(study, what="study") if root else None
    except MedloopError:
        return []
    found = sorted(where.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True) if where else []
    read = [_object(path.read_text("utf-8")) for path in found[:NEWEST] if path.stat().st_size < MOST_BYTES]
    return [one for one in read if one]


def _object(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _planned(root: Path | None, study: str) -> Planned | None:
    """The study's schedule, where it has one on this machine."""
    from flows import ledger, serving
    from flows.agenda import told_next
    from flows.studies import study_file

    try:
        if root is None or not study_file(root, study).is_file():
            return None
        schedule, _ = serving.read(root, study_file(root, study))
        kept = ledger.read(root, study)
    except MedloopError:
        return None
    return Planned(
        when=schedule.told, next=told_next(schedule), slots=list(reversed(kept.slots[-NEWEST:])) if kept else []
    )

"""Everything that is known of one run, gathered from MLflow's tables, the run's artifacts and its journal."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, select

from flows.board import database as db
from flows.board.conditions import KIND, MODEL, PARENTS
from flows.board.curves import Chart, learning
from flows.board.participants import Participants, participants
from flows.board.runs import HIGH, LOW, Number
from flows.board.server import Board
from flows.board.studies import roles

if TYPE_CHECKING:
    from flows.journal import Journal

PARENT = "mlflow.parentRunId"
INFINITE = 1e300  # MLflow keeps infinity as the largest number there is
MOST_STEPS = 50_000  # of a run's history
CERTIFICATE, LEDGER, SOURCE = "certificate.json", "cleaning/ledger.json", "source/provenance.json"
BALANCE, MISSING, VALIDATED = "balance/report.json", "missingness/missingness.json", "validation/verdict.json"


@dataclass(frozen=True, kw_only=True)
class Known:
    """What MLflow's tables say of a run. `above` is the comparison that it belongs to, or the run itself."""

    run_id: str
    experiment: int
    study: str
    name: str
    status: str
    started: int | None
    ended: int | None
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    history: Mapping[str, list[tuple[float, float]]]
    above: str
    beside: Mapping[str, str]
    role: str
    versions: list[int]

    @property
    def model(self) -> str:
        """What the study calls the model; of the run of a comparison, nothing."""
        return self.tags.get(MODEL, "")

    @property
    def holds_others(self) -> bool:
        """Whether this is no model's run but that of a comparison, a sweep, folds, a search or a look for drift."""
        return self.tags.get(KIND, "") in PARENTS

    @property
    def measured(self) -> dict[str, Number]:
        """Final metrics, each with its interval where it has one."""
        final = {k: v for k, v in self.metrics.items() if not k.endswith((LOW, HIGH)) and k not in self.changing}
        return {
            key: Number(value=value, low=self.metrics.get(f"{key}{LOW}"), high=self.metrics.get(f"{key}{HIGH}"))
            for key, value in final.items()
        }

    @cached_property
    def changing(self) -> set[str]:
        """Metrics that have a value for each of several steps."""
        return {key for key, points in self.history.items() if points[-1][0] > 0}

    @cached_property
    def charts(self) -> list[Chart]:
        """The learning curves."""
        return learning({key: points for key, points in self.history.items() if key in self.changing})


def known(c: Connection, run_id: str, visible: Collection[int] | None = None) -> Known | None:
    """A run that is not deleted and may be seen."""
    having = [db.runs.c.run_uuid == run_id, db.runs.c.lifecycle_stage == db.ACTIVE]
    found = c.execute(db.with_study().where(*having)).first()
    if found is None or (visible is not None and found.experiment_id not in visible):
        return None
    tags = _pairs(c, db.tags, run_id)
    above = tags.get(PARENT, run_id)
    return Known(
        run_id=run_id,
        experiment=found.experiment_id,
        study=found.study,
        name=found.name or "",
        status=found.status or "",
        started=found.start_time,
        ended=found.end_time,
        tags=tags,
        params=_pairs(c, db.params, run_id),
        metrics={key: v for key, v, nan in _metrics(c, run_id) if not nan},
        history=_history(c, run_id),
        above=above,
        beside=_models(_pairs(c, db.tags, above)),
        role=roles(c).get(run_id, ""),
        versions=list(c.scalars(select(db.versions.c.version).where(db.versions.c.run_id == run_id))),
    )


def there(c: Connection, ids: Collection[str], visible: Collection[int] | None = None) -> set[str]:
    """Those of these runs that are not deleted and may be seen."""
    r = db.runs.c
    asked = select(r.run_uuid, r.experiment_id).where(r.run_uuid.in_(list(ids)), r.lifecycle_stage == db.ACTIVE)
    return {run for run, experiment in c.execute(asked) if visible is None or experiment in visible}


def _pairs(c: Connection, of: Any, run_id: str) -> dict[str, str]:
    asked = select(of.c.key, of.c.value).where(of.c.run_uuid == run_id).order_by(of.c.key)
    return {str(key): str(value or "") for key, value in c.execute(asked)}


def _models(tags: Mapping[str, str]) -> dict[str, str]:
    """By model the run that a comparison has of it."""
    return {key.removeprefix(f"{MODEL}."): run for key, run in tags.items() if key.startswith(f"{MODEL}.")}


def _metrics(c: Connection, run_id: str) -> list[tuple[str, float, bool]]:
    m = db.metrics.c
    return [(k, v, n) for k, v, n in c.execute(select(m.key, m.value, m.is_nan).where(m.run_uuid == run_id))]


def _history(c: Connection, run_id: str) -> dict[str, list[tuple[float, float]]]:
    h, found = db.history.c, dict[str, list[tuple[float, float]]]()
    having = and_(h.run_uuid == run_id, ~h.is_nan)
    for key, step, value in c.execute(
        select(h.key, h.step, h.value).where(having).order_by(h.key, h.step).limit(MOST_STEPS)
    ):
        if abs(value) < INFINITE:
            found.setdefault(key, []).append((step, value))
    return found


@dataclass(frozen=True, kw_only=True)
class Files:
    """What a run's artifacts say; empty where a file is absent, or is not what it should be."""

    certificate: Mapping[str, Any] = field(default_factory=dict)
    ledger: list[Mapping[str, Any]] = field(default_factory=list)
    source: Mapping[str, Any] = field(default_factory=dict)
    missing: Mapping[str, Any] = field(default_factory=dict)
    validated: Mapping[str, Any] = field(default_factory=dict)
    participants: Participants | None = None


def files(board: Board, run: Known) -> Files:
    """Those of the comparison that the run belongs to: steps before the model are the same for all its models."""
    read = {path: _json(board, run.above, path) for path in (CERTIFICATE, LEDGER, SOURCE, BALANCE, MISSING, VALIDATED)}
    ledger = read[LEDGER] if isinstance(read[LEDGER], list) else []
    certificate, source, balance, missing, validated = (
        read[path] if isinstance(read[path], dict) else {}
        for path in (CERTIFICATE, SOURCE, BALANCE, MISSING, VALIDATED)
    )
    flow = participants(source, ledger, certificate, balance) if certificate.get("parts") else None
    return Files(
        certificate=certificate, ledger=ledger, source=source, missing=missing, validated=validated, participants=flow
    )


def _json(board: Board, run_id: str, path: str) -> Any:
    body = board.artifact(run_id, path)
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


def journal_of(root: Any, run: Known) -> "Journal | None":
    """The journal of the run's key, where it ran on this machine."""
    from contracts.errors import MedloopError
    from contracts.names import check_name
    from flows.journal import path, read

    key = run.tags.get("medloop.run", "")
    try:
        return read(path(root, check_name(key, what="run"))) if root and key else None
    except (MedloopError, OSError):
        return None

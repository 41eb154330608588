"""What MLflow is told of a run: parameters, metrics, figures, the model. Alone imports mlflow, but for the board."""

import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from contracts.errors import MedloopError
from flows.bundle import DESCRIPTION
from flows.moved import follow
from flows.servers import artifacts, elsewhere, tracking_uri

PARENT = "mlflow.parentRunId"
COLLECTED = "medloop.collected"  # the tag of a run whose files `medloop gc` removed; its value is when
CHAMPION, CHALLENGER = "champion", "challenger"
BATCH = 500  # MLflow takes at most 1,000 entries a call
PATIENCE_S = 30  # a slow server is not one that is away


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a run shows. `history` holds (step, values); `files` maps a local path to its artifact folder.

    ended: when it did, in milliseconds since 1970, if that is long ago
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    history: Iterable[tuple[int, Mapping[str, float]]] = ()
    files: Mapping[Path, str] = field(default_factory=dict)
    ended: int | None = None


def client(root: Path) -> Any:
    """A client of the team's server or of this workspace's own database, made on first use."""
    from mlflow import MlflowClient

    prepare_database(root)
    return MlflowClient(tracking_uri(root))


class AwayError(MedloopError):
    """The team's server does not answer now, and may in a moment."""


@contextmanager
def answering(root: Path) -> Iterator[None]:
    """Raises AwayError at once where the team's server is away, MedloopError for what MLflow refuses in the block."""
    from mlflow.exceptions import MlflowException

    theirs = elsewhere("mlflow")
    mend = "start it, or correct MLFLOW_TRACKING_URI; then give the same command again"
    try:
        if theirs:
            with suppress(HTTPError), urlopen(theirs, timeout=PATIENCE_S):  # a refusal is an answer, too
                pass
    except (OSError, HTTPException, ValueError) as error:
        problem = f"MLflow does not answer ({type(error).__name__}); all that is on this machine stays as it is"
        raise AwayError(problem, where=str(theirs), mend=mend) from None
    try:
        yield
    except MlflowException as error:
        raise MedloopError(
            f"MLflow could not do it ({error.error_code})", where=theirs or "MLflow's database", mend=mend
        ) from None


def refusal() -> type[Exception]:
    """What MLflow raises for what it does not know."""
    from mlflow.exceptions import MlflowException

    kind: type[Exception] = MlflowException
    return kind


def attach(root: Path, run_id: str, path: Path, tags: Mapping[str, str]) -> None:
    """Adds a file and tags to a run that has ended."""
    client(root).log_artifact(run_id, str(path))
    tag(root, run_id, tags)


def prepare_database(root: Path) -> None:
    """Makes this workspace's own database, if need be; write-ahead logging lets it be read while it is written."""
    for chatty in ("mlflow", "mlflow.store.db.utils", "alembic"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    scheme, _, place = tracking_uri(root).partition(":///")
    path = Path(place)
    if scheme != "sqlite":
        return
    try:
        if not path.exists():
            _make_database(path)
        with closing(sqlite3.connect(path, timeout=30)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            if path.parent == artifacts(root).parent:
                follow(database, artifacts(root))
    except sqlite3.DatabaseError as error:
        mend = "check the disk and what else holds it, or move it away: MLflow begins anew, data and weights lie in DVC"
        raise MedloopError(f"MLflow's database cannot be used: {error}", where=f"{path}", mend=mend) from None


def _make_database(path: Path) -> None:
    """Whole or not at all: MLflow makes its tables one after another, and never goes on where that was cut short."""
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    engine = create_sqlalchemy_engine(f"sqlite:///{draft}")
    try:
        _initialize_tables(engine)
        engine.dispose()
        with suppress(FileExistsError):  # another process was quicker, and may have told it something
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)


def experiment_id(mlflow: Any, root: Path, study: str) -> str:
    """The MLflow experiment of a study, made on first use."""
    existing = mlflow.get_experiment_by_name(study)
    if existing:
        return str(existing.experiment_id)
    own = tracking_uri(root).startswith("sqlite:")
    location = (artifacts(root) / study).as_uri() if own else None
    with _answer_may_be_lost():
        return str(mlflow.create_experiment(study, artifact_location=location))
    return str(mlflow.get_experiment_by_name(study).experiment_id)


@contextmanager
def _answer_may_be_lost() -> Iterator[None]:
    """A server that answers late did what it was asked for, and refuses it when it is asked again."""
    try:
        yield
    except refusal() as error:
        if getattr(error, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
            raise


def open_run(
    mlflow: Any,
    experiment: str,
    name: str,
    tags: Mapping[str, str],
    parent: str | None = None,
    started: int | None = None,
) -> str:
    """A new run; its id. `started`: when it did, in milliseconds since 1970, if not now."""
    above = {PARENT: parent} if parent else {}
    made = mlflow.create_run(experiment, run_name=name, tags={**tags, **above}, start_time=started)
    return str(made.info.run_id)


def complete(mlflow: Any, run_id: str, content: Content) -> str:
    """Fills a run, values in batches, and ends it; its id. A run that could not be filled is shown as failed."""
    with failed_otherwise(mlflow, run_id):
        for path, folder in content.files.items():
            send = mlflow.log_artifacts if path.is_dir() else mlflow.log_artifact
            send(run_id, str(path), folder or None)
        _log_values(mlflow, run_id, content)
    mlflow.set_terminated(run_id, end_time=content.ended)
    return run_id


@contextmanager
def failed_otherwise(mlflow: Any, run_id: str) -> Iterator[None]:
    """Shows a run as failed where the block raises."""
    try:
        yield
    except BaseException:
        with suppress(Exception):  # MLflow itself may be what failed
            mlflow.set_terminated(run_id, "FAILED")
        raise


def write_signature(folder: Path, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    """Says in MLflow's own format (MLmodel) which columns a model takes and gives; `string` or `double` each."""
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema

    takes = Schema([ColSpec(kind, name, required=True) for name, kind in inputs.items()])
    gives = Schema([ColSpec(kind, name) for name, kind in outputs.items()])
    described = Model(signature=ModelSignature(inputs=takes, outputs=gives), flavors={})
    (folder / DESCRIPTION).write_text(described.to_yaml(), encoding="utf-8")


def _log_values(mlflow: Any, run_id: str, content: Content) -> None:
    from mlflow.entities import Metric, Param, RunTag

    now = content.ended or int(time.time() * 1000)
    params = [Param(key, _short(value)) for key, value in content.params.items()]
    metrics = [Metric(key, value, now, 0) for key, value in content.metrics.items()]
    metrics += [Metric(key, value, now, step) for step, values in content.history for key, value in values.items()]
    mlflow.log_batch(run_id, tags=[RunTag(key, value) for key, value in content.tags.items()])
    for start in range(0, len(params), 100):
        mlflow.log_batch(run_id, params=params[start : start + 100])
    for start in range(0, len(metrics), BATCH):
        mlflow.log_batch(run_id, metrics=metrics[start : start + BATCH])


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 6000 else f"{text[:5990]}…"


def find(mlflow: Any, experiment: str, tags: Mapping[str, str]) -> str | None:
    """The finished run with these tags, so that recording twice changes nothing."""
    clauses = ["attributes.status = 'FINISHED'", *(f"tags.`{key}` = '{value}'" for key, value in tags.items())]
    found = mlflow.search_runs([experiment], " and ".join(clauses), max_results=1)
    return str(found[0].info.run_id) if found else None


def register(mlflow: Any, study: str, run_id: str, tags: Mapping[str, str], *, late: bool = False) -> tuple[int, str]:
    """Registers a run's model under the study's name: its version and alias.

    The first model becomes the champion; later ones are challengers until someone promotes them. One that is told
    `late` becomes none where the champion or the challenger is of a newer run.
    """
    if not any(m.name == study for m in mlflow.search_registered_models(f"name = '{study}'")):
        with _answer_may_be_lost():
            mlflow.create_registered_model(study)
    version = _version(mlflow, study, run_id, tags)
    aliases = {name: str(number) for name, number in mlflow.get_registered_model(study).aliases.items()}
    alias = CHAMPION if CHAMPION not in aliases else CHALLENGER
    if aliases.get(CHAMPION) == str(version):
        return version, CHAMPION
    if late and _older(mlflow, study, run_id, aliases.values()):
        return version, ""
    mlflow.set_registered_model_alias(study, alias, str(version))
    return version, alias


def _version(mlflow: Any, study: str, run_id: str, tags: Mapping[str, str]) -> int:
    """The version of a run's model, made on first use; one that was made twice, since an answer was lost, is one."""
    of_run = f"name = '{study}' and run_id = '{run_id}'"
    if known := mlflow.search_model_versions(of_run):
        return int(known[0].version)
    mlflow.create_model_version(study, source=f"runs:/{run_id}/model", run_id=run_id, tags=dict(tags))
    first, *more = sorted(int(one.version) for one in mlflow.search_model_versions(of_run))
    for twin in more:
        mlflow.delete_model_version(study, str(twin))
    return first


def _older(mlflow: Any, study: str, run_id: str, versions: Iterable[str]) -> bool:
    """Whether a run began before one of these versions'."""
    others = [mlflow.get_model_version(study, number).run_id for number in versions]
    began, *since = (mlflow.get_run(one).info.start_time for one in (run_id, *others))
    return any(began < other for other in since)


def tag(root: Path, run_id: str, tags: Mapping[str, str]) -> None:
    """Adds to what is said of a run."""
    mlflow = client(root)
    for key, value in tags.items():
        mlflow.set_tag(run_id, key, value)

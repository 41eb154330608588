"""After the stages: the run is pinned as a DVC experiment, told to MLflow, and the best model registered."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows import journal as journals
from flows import settings as settings_files
from flows import tracking, workspace
from flows.bundle import pack
from flows.index import INDEX, NOTES
from flows.journal import Journal
from flows.stages import Context
from flows.store import read_json

STEPS = ("split", "impute", "normalize", "balance", "train", "evaluate")


def study(root: Path, journal: Journal, name: str, *, say: Callable[[str], None]) -> str:
    """Records one study of a run; what was recorded, in one line."""
    if journal.experiment is None:
        say("pinning the run as a DVC experiment")
        untracked = [INDEX, "dvc.lock", f"studies/{name}.yaml", f"{NOTES}/{name}.json"]
        there = [path for path in untracked if (root / path).is_file()]
        journal.experiment = workspace.pin(root, journal.key, f"compare@{name}", there)
        journals.save(root, journal)
    say("telling MLflow")
    mlflow = tracking.client(root)
    context = Context(root=root, settings=settings_files.load(root, name), say=say)
    experiment = tracking.experiment_id(mlflow, root, name)
    leaderboard = read_json(context.folder("compare") / "leaderboard.json")
    certificate = read_json(context.folder("audit") / "certificate.json")
    tags = _tags(journal, certificate)
    parent = tracking.log(mlflow, experiment, _comparison(context, journal, tags, leaderboard))
    runs = {model: _log_model(mlflow, experiment, context, model, tags, parent) for model in context.settings.models}
    journal.mlflow_runs.update({f"{name}/{model}": run for model, run in runs.items()})
    journals.save(root, journal)
    return _register(mlflow, name, runs, leaderboard["rows"][0]["model"], certificate, journal)


def _tags(journal: Journal, certificate: dict[str, Any]) -> dict[str, str]:
    return {
        "medloop.run": journal.key,
        "medloop.experiment": str(journal.experiment),
        "medloop.certificate": certificate["verdict"],
        "medloop.certificate_sha256": certificate["sha256"],
    }


def _comparison(
    context: Context, journal: Journal, tags: dict[str, str], leaderboard: dict[str, Any]
) -> tracking.Record:
    """The run's own page: the leaderboard, the certificate, what validation and cleaning found."""
    files = {
        context.folder("compare") / "leaderboard.html": "",
        context.folder("compare") / "leaderboard.json": "",
        context.folder("audit") / "certificate.json": "",
        context.folder("validate") / "docs.html": "validation",
        context.folder("clean") / "ledger.json": "cleaning",
        context.folder("ingest") / "provenance.json": "source",
    }
    note = {"mlflow.note.content": leaderboard["verdict"]}
    metric = leaderboard["metric"]
    values = {f"{row['model']}_test_{metric}": row["metrics"][metric]["value"] for row in leaderboard["rows"]}
    return tracking.Record(
        name=journal.key, tags={**tags, **note, "medloop.kind": "comparison"}, metrics=values, files=files
    )


def _log_model(mlflow: Any, experiment: str, context: Context, model: str, tags: dict[str, str], parent: str) -> str:
    context = Context(root=context.root, settings=context.settings, model=model, say=context.say)
    recipe = workspace.output_hash(context.root, f"evaluate@{context.settings.name}-{model}")
    evaluation = read_json(context.model_folder("evaluate") / "evaluation.json")
    history = read_json(context.model_folder("train") / "history.json")
    with tempfile.TemporaryDirectory(prefix="medloop-") as scratch:
        bundle = pack(context, Path(scratch) / "model")
        record = tracking.Record(
            name=model,
            tags={**tags, "medloop.model": model, "medloop.kind": "model", "medloop.recipe": recipe},
            params=_params(context, model),
            metrics=_metrics(evaluation),
            history=[(int(row["epoch"]), {k: v for k, v in row.items() if k != "epoch"}) for row in history],
            files={bundle: "model", context.model_folder("evaluate") / "report.html": ""},
            parent=parent,
        )
        return tracking.log(mlflow, experiment, record)


def _metrics(evaluation: dict[str, Any]) -> dict[str, float]:
    values: dict[str, float] = {}
    for name, interval in evaluation["metrics"].items():
        named = {
            f"test_{name}": interval["value"],
            f"test_{name}_low": interval["low"],
            f"test_{name}_high": interval["high"],
        }
        values |= {key: value for key, value in named.items() if value is not None}
    return values


def _params(context: Context, model: str) -> dict[str, object]:
    """Every setting that shaped this model, as `stage.key`."""
    dumped = json.loads(context.settings.model_dump_json())
    flat = {f"{step}.{key}": value for step in STEPS for key, value in dumped[step].items()}
    return {"model": model, **flat, **{f"{model}.{k}": v for k, v in context.settings.models[model].items()}}


def _register(
    mlflow: Any, name: str, runs: dict[str, str], best: str, certificate: dict[str, Any], journal: Journal
) -> str:
    """Registers the best model, unless the leak certificate is not clean."""
    if certificate["verdict"] != "clean":
        return f"{best} is not registered: the leak certificate says {certificate['verdict']}"
    version, alias = tracking.register(mlflow, name, runs[best], {"medloop.run": journal.key, "medloop.model": best})
    tracking.tag(mlflow, runs[best], {"medloop.best": "yes"})
    return f"{best} registered as {name} version {version} ({alias})"

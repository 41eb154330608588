"""After the stages: the run is pinned as a DVC experiment, told to MLflow, and the best model registered."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from flows import board, bundle, tracking, workspace
from flows import journal as journals
from flows import settings as settings_files
from flows.costs import costs
from flows.environment import LOCK, machine, surroundings
from flows.git import git, pin_commit
from flows.groups import GROUP, group
from flows.home import scratch
from flows.index import INDEX, NOTES
from flows.journal import Journal
from flows.plan import Stage
from flows.servers import tracked
from flows.stages import Context
from flows.store import read_json, read_model
from pipelines.audit import Certificate
from pipelines.results import Result
from pipelines.tasks import RESULTS

# Sections that do not shape a model.
APART = {
    "study",
    "source",
    "ingest",
    "validation",
    "audit",
    "train",
    "models",
    "explain",
    "compare",
    "gate",
    "drift",
    "notify",
}


def study(root: Path, journal: Journal, plan: Sequence[Stage], *, say: Callable[[str], None]) -> str:
    """Records one study of a run, whose stages are `plan`; what was recorded, in one line."""
    name, last = str(plan[-1].study), plan[-1].name
    workspace.make_whole(root, [stage.name for stage in plan])
    context = Context(root=root, settings=settings_files.load(root, name), say=say)
    if journal.experiment is None:
        say("pinning the run as a DVC experiment")
        pin(root, journal)
    say("telling MLflow")
    mlflow = tracking.client(root)
    experiment = tracking.experiment_id(mlflow, root, name)
    leaderboard = read_json(context.folder("compare") / "leaderboard.json")
    certificate = read_model(context.folder("audit") / "certificate.json", Certificate)
    tags = _tags(context, journal, certificate)
    end_cut_short(mlflow, experiment, journals.unrecorded(root, name, but=journal.key))
    began, ended = _moments(journal)
    page = tracking.open_run(mlflow, experiment, journal.key, {**tags, "medloop.kind": "comparison"}, started=began)
    with tracking.failed_otherwise(mlflow, page):
        runs = {
            model: _log_model(mlflow, experiment, context, model, tags, page, journal)
            for model in context.settings.models
        }
        best = str(leaderboard["choice"])
        comparison = _comparison(context, leaderboard, best, runs)
    tracking.complete(mlflow, page, replace(comparison, ended=ended))
    end_doubled(mlflow, experiment, journal.key)
    said = _register(mlflow, name, runs, best, certificate, journal)
    journal.mlflow_runs.update({f"{name}/{model}": run for model, run in runs.items()})
    journal.recorded[name], journal.tracked = workspace.outputs(root, last), tracked()
    journals.save(root, journal)
    return said


def pin(root: Path, journal: Journal) -> None:
    """Keeps code, settings and `dvc.lock` of a run as the DVC experiment of its key."""
    journal.experiment = pin_commit(root, journal.key, _untracked(root, journal), surroundings(root).model_dump_json())
    journals.save(root, journal)


def _untracked(root: Path, journal: Journal) -> list[str]:
    """Files that Git may not know yet and without which the run cannot be had again."""
    own = [f"{folder}/{name}" for name in journal.studies for folder in ("studies", NOTES)]
    files = [INDEX, "dvc.lock", *(f"{path}.{kind}" for path in own for kind in ("yaml", "json"))]
    new_code = git(root, "ls-files", "--others", "--exclude-standard", "--", "*.py").splitlines()
    return [path for path in (*files, *new_code) if (root / path).is_file()]


def _tags(context: Context, journal: Journal, certificate: Certificate) -> dict[str, str]:
    """What ties an MLflow run to its code, environment, data and proof."""
    lock = context.root / LOCK
    return {
        "medloop.run": journal.key,
        "medloop.experiment": str(journal.experiment),
        "medloop.git_commit": workspace.revision(context.root),
        "medloop.machine": machine().model_dump_json(),
        "medloop.environment_sha256": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else "no lock",
        "medloop.data_sha256": _data_hash(context),
        "medloop.certificate": certificate.verdict,
        "medloop.certificate_sha256": certificate.sha256,
        **({"medloop.flow_run": journal.flow_run} if journal.flow_run else {}),
    }


def _data_hash(context: Context) -> str:
    return hashlib.sha256((context.folder("ingest") / "provenance.json").read_bytes()).hexdigest()


def _comparison(context: Context, leaderboard: dict[str, Any], best: str, runs: dict[str, str]) -> tracking.Content:
    """The run's own page: the leaderboard, the certificate, what validation and cleaning found, which runs are its."""
    metric = leaderboard["metric"]
    return tracking.Content(
        tags={
            "mlflow.note.content": f"{leaderboard['verdict']}\n\n{board.link('study', context.settings.name)}",
            "medloop.best": best,
            **{f"medloop.model.{model}": run for model, run in runs.items()},
        },
        metrics={f"{row['model']}_test_{metric}": row["metrics"][metric]["value"] for row in leaderboard["rows"]},
        files={
            context.folder("compare") / "leaderboard.html": "",
            context.folder("compare") / "leaderboard.json": "",
            context.folder("audit") / "certificate.json": "",
            context.folder("validate") / "docs.html": "validation",
            context.folder("validate") / "verdict.json": "validation",
            context.folder("impute") / "missingness.json": "missingness",
            context.folder("impute") / "missingness.html": "missingness",
            context.folder("balance") / "report.json": "balance",
            context.folder("clean") / "ledger.json": "cleaning",
            context.folder("ingest") / "provenance.json": "source",
        },
    )


def _log_model(
    mlflow: Any,
    experiment: str,
    context: Context,
    model: str,
    tags: dict[str, str],
    page: str,
    journal: Journal,
) -> str:
    """A model's run, or the one that was recorded for the very same bundle, settings, results and certificate."""
    context = replace(context, model=model)
    kind = RESULTS[context.settings.study.target.task]
    evaluation = read_model(context.model_folder("evaluate") / "evaluation.json", kind)
    history = read_json(context.model_folder("train") / "history.json")
    explanation = context.model_folder("explain") / "explanation.json"
    params = params_of(context, model)
    with scratch(context.root) as folder:
        packed = bundle.pack(context, folder / "model")
        tracking.write_signature(packed, *bundle.signature(packed))
        manifest = read_json(packed / bundle.MANIFEST)
        results = [evaluation.model_dump(mode="json"), read_json(explanation)]
        recipe = _hash([manifest, params, *results, tags["medloop.certificate_sha256"]])
        known = tracking.find(mlflow, experiment, {"medloop.recipe": recipe})
        if known:
            adopt(mlflow, known, tags, page)
            return known
        own = {**tags, "medloop.kind": "model", "medloop.model": model, "medloop.manifest_sha256": bundle.seal(packed)}
        began, ended = _moments(journal)
        run = tracking.open_run(mlflow, experiment, model, own, parent=page, started=began)
        content = tracking.Content(
            tags={"medloop.recipe": recipe, GROUP: group(params), "mlflow.note.content": board.link("run", run)},
            params=params,
            metrics=metrics(evaluation) | costs(context, journal.stages, context.say),
            history=[(int(row["epoch"]), {k: v for k, v in row.items() if k != "epoch"}) for row in history],
            files={
                packed: "model",
                context.model_folder("evaluate") / "report.html": "",
                explanation: "",
                explanation.with_suffix(".html"): "",
            },
            ended=ended,
        )
        return tracking.complete(mlflow, run, content)


def _moments(journal: Journal) -> tuple[int | None, int | None]:
    """When a run of the past, which is told once more, began and ended, in milliseconds; of one under way neither."""
    if journal.ended is None:
        return None, None
    began, ended = (datetime.fromisoformat(moment).timestamp() for moment in (journal.started, journal.ended))
    return int(1000 * began), int(1000 * ended)


def end_cut_short(mlflow: Any, experiment: str, keys: Iterable[str]) -> None:
    """Shows as killed what runs of these keys, whose processes are gone, left open, and the pages of their models."""
    for key in keys:
        for run in mlflow.search_runs([experiment], f"tags.`medloop.run` = '{key}'"):
            page, status = run.data.tags.get("medloop.kind") == "comparison", run.info.status
            if status == "RUNNING" or (page and status == "FINISHED"):
                mlflow.set_terminated(run.info.run_id, "KILLED")


def end_doubled(mlflow: Any, experiment: str, key: str) -> None:
    """Shows as killed what a server that died opened and could not say so, so that it was asked for again."""
    for run in mlflow.search_runs([experiment], f"tags.`medloop.run` = '{key}'"):
        if run.info.status == "RUNNING":
            mlflow.set_terminated(run.info.run_id, "KILLED")


def adopt(mlflow: Any, run_id: str, tags: Mapping[str, str], page: str) -> None:
    """Puts a model's run under this page where the page that it was made for was never finished."""
    above = mlflow.get_run(run_id).data.tags.get(tracking.PARENT)
    if above and mlflow.get_run(above).info.status != "FINISHED":
        for key, value in {**tags, tracking.PARENT: page}.items():
            mlflow.set_tag(run_id, key, value)


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def metrics(evaluation: Result, part: str = "test") -> dict[str, float]:
    """The metrics of an evaluation and their intervals' ends, named after the part: `test_auroc_low`."""
    values: dict[str, float] = {}
    for name, interval in evaluation.measured.items():
        named = {"": interval.value, "_low": interval.low, "_high": interval.high}
        values |= {f"{part}_{name}{end}": value for end, value in named.items() if value is not None}
    return values


def params_of(context: Context, model: str) -> dict[str, object]:
    """Every setting that shaped this model, defaults too, as `stage.key`."""
    dumped = json.loads(context.settings.model_dump_json(exclude=APART))
    trained = read_json(context.model_folder("train") / "model" / "model.json")
    sections = {**dumped, "train": trained["params"], model: trained["config"]}
    return {"model": model, **{f"{name}.{key}": v for name, section in sections.items() for key, v in section.items()}}


def _register(
    mlflow: Any, name: str, runs: dict[str, str], best: str, certificate: Certificate, journal: Journal
) -> str:
    """Registers the best model, unless the leak certificate is not clean, or not as it was sealed."""
    if certificate.verdict != "clean" or not certificate.intact:
        why = certificate.verdict if certificate.intact else "it was changed after it was sealed"
        return f"{best} is not registered: the leak certificate says {why}"
    tags, late = {"medloop.run": journal.key, "medloop.model": best}, journal.ended is not None
    version, alias = tracking.register(mlflow, name, runs[best], tags, late=late)
    return f"{best} registered as {name} version {version} ({alias or 'a newer one serves'})"

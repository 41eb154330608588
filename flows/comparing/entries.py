"""What a run says of its test rows, as it wrote it; of classes also in the form of earlier versions."""

from collections.abc import Mapping
from pathlib import Path

from contracts.errors import MedloopError
from contracts.tables import Schema
from contracts.tasks import Task
from flows.comparing.files import Files
from flows.stages.compare import said
from flows.store import read_json, read_model
from pipelines.evaluate import evaluate
from pipelines.results import Entry, EvaluateParams
from pipelines.tasks import RESULTS

EVALUATION = ("evaluation.json", "predictions.parquet")


def entry(of: Files, found: Mapping[str, Path], schema: Schema) -> Entry:
    """Raises MedloopError for an evaluation that cannot be read."""
    try:
        return entry_of(found, schema.task)
    except MedloopError:
        return _judged_again(of, found[EVALUATION[1]], schema)


def entry_of(found: Mapping[str, Path], task: Task) -> Entry:
    """What a run says of its test rows. Raises MedloopError for an evaluation that an earlier version wrote."""
    evaluation, predictions = (found[name] for name in EVALUATION)
    return Entry(evaluation=read_model(evaluation, RESULTS[task]), **said(predictions))


def _judged_again(of: Files, path: Path, schema: Schema) -> Entry:
    """Predictions whose evaluation an earlier version wrote, judged as this one does; of classes alone."""
    if schema.task != "classes":
        raise MedloopError("it was evaluated by an earlier version of medloop, in a form that this one cannot read")
    described = read_json(of.paths("train", ["model/model.json"])["model/model.json"])
    told = said(path)
    threshold, positive = described.get("threshold"), schema.positive_index
    evaluation = evaluate(
        target=told["target"],
        probability=told["predicted"],
        group=told["group"],
        threshold=threshold,
        classes=list(schema.classes),
        positive=positive,
        params=EvaluateParams(),
    )
    return Entry(evaluation=evaluation, **told)

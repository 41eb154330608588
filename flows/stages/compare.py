"""evaluate/*/{evaluation.json, predictions.parquet}, explain/*/explanation.json → leaderboard.json, leaderboard.html"""

from pathlib import Path
from typing import Any

from contracts.tables import label_names, labels_of
from flows.stages import Context
from flows.store import read_model, read_table, write_json, write_text
from pipelines.audit import Certificate
from pipelines.compare import compare
from pipelines.explain import Explanation
from pipelines.explanation_page import beside
from pipelines.figures import leaderboard_page
from pipelines.results import Entry, Result
from pipelines.tasks import RESULTS


def run(context: Context) -> str:
    """Ranks the study's models on the same test rows and says whether the difference is real."""
    folder, settings = context.folder("compare"), context.settings
    kind = RESULTS[settings.study.target.task]
    entries = {model: entry(context.folder("evaluate") / model, kind) for model in settings.models}
    baselines = {model for model, entry in entries.items() if entry.evaluation.baseline}
    leaderboard = compare(entries, settings.compare, baselines=baselines)
    certificate = read_model(context.folder("audit") / "certificate.json", Certificate)
    if certificate.verdict != "clean":
        caution = f"Too good to be true? {certificate.sentence}. Until then: {leaderboard.verdict}"
        leaderboard = leaderboard.model_copy(update={"verdict": caution})
    explanations = {
        row.model: read_model(context.folder("explain") / row.model / "explanation.json", Explanation)
        for row in leaderboard.rows
    }
    write_json(folder / "leaderboard.json", leaderboard)
    write_text(
        folder / "leaderboard.html",
        leaderboard_page(
            leaderboard, {m: e.evaluation for m, e in entries.items()}, settings.study.title, beside(explanations)
        ),
    )
    return leaderboard.verdict


def entry(folder: Path, kind: type[Result]) -> Entry:
    """What a model's evaluation, of this kind, left in its folder."""
    evaluation = read_model(folder / "evaluation.json", kind)
    return Entry(evaluation=evaluation, **said(folder / "predictions.parquet"))


def said(path: Path) -> dict[str, Any]:
    """Target, prediction and patient of each row of predictions."""
    table = read_table(path)
    predicted = table.drop(columns=["@id", "@group", *label_names(table)]).to_numpy()
    return {"target": labels_of(table), "predicted": predicted, "group": table["@group"].to_numpy()}

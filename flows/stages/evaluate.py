"""model/, normalize/test.parquet → evaluation.json, metrics.json, predictions.parquet, report.html"""

import pandas as pd

from flows.arrays import examples
from flows.stages import Context
from flows.store import read_table, write_json, write_table, write_text
from models import family
from models.store import load
from pipelines.evaluate import evaluate
from pipelines.figures import report


def run(context: Context) -> str:
    """Measures one model on the test rows, once, with intervals by patient."""
    folder, settings = context.model_folder("evaluate"), context.settings
    trained = load(context.model_folder("train") / "model")
    test = read_table(context.folder("normalize") / "test.parquet")
    probability = trained.predict_proba(examples(test))
    evaluation = evaluate(
        target=test["@target"].to_numpy(),
        probability=probability,
        group=test["@group"].to_numpy(),
        threshold=trained.threshold,
        classes=trained.inputs.classes,
        positive=trained.inputs.positive,
        params=settings.evaluate,
    ).model_copy(update={"baseline": not family.is_network(family.load(trained.family))})
    write_json(folder / "evaluation.json", evaluation)
    write_json(folder / "metrics.json", {name: interval.value for name, interval in evaluation.metrics.items()})
    predictions = pd.DataFrame(probability, columns=[f"@probability={c}" for c in trained.inputs.classes])
    write_table(folder / "predictions.parquet", pd.concat([test[["@id", "@group", "@target"]], predictions], axis=1))
    write_text(folder / "report.html", report(evaluation, f"{settings.study.title}: {context.model}"))
    auroc = evaluation.metrics["auroc"]
    return f"AUROC {auroc} on {evaluation.counts.rows:,} test rows"

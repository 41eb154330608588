"""model/, normalize/test.parquet → evaluation.json, metrics.json, predictions.parquet, report.html"""

import pandas as pd

from contracts.tables import Part
from flows.arrays import examples
from flows.stages import Context
from flows.store import read_payloads, read_table, write_json, write_table, write_text
from models import family
from models.store import load
from pipelines.evaluate import Entry, evaluate
from pipelines.figures import report


def run(context: Context) -> str:
    """Measures one model on the test rows, once, with intervals by patient."""
    folder, settings = context.model_folder("evaluate"), context.settings
    judged, test = judge(context, "test")
    evaluation = judged.evaluation
    write_json(folder / "evaluation.json", evaluation)
    write_json(folder / "metrics.json", {name: interval.value for name, interval in evaluation.measured.items()})
    predictions = pd.DataFrame(judged.probability, columns=[f"@probability={c}" for c in evaluation.classes])
    write_table(folder / "predictions.parquet", pd.concat([test[["@id", "@group", "@target"]], predictions], axis=1))
    write_text(folder / "report.html", report(evaluation, f"{settings.study.title}: {context.model}"))
    auroc = evaluation.metrics["auroc"]
    spread = f", spread {evaluation.spread}" if evaluation.spread else ""
    return f"AUROC {auroc} on {evaluation.counts.rows:,} test rows{spread}"


def judge(context: Context, part: Part) -> tuple[Entry, pd.DataFrame]:
    """What the trained model is worth on the rows of a part, and these rows."""
    trained = load(context.model_folder("train") / "model")
    ready = context.folder("normalize")
    rows = read_table(ready / f"{part}.parquet")
    target, group = rows["@target"].to_numpy(), rows["@group"].to_numpy()
    features = examples(rows, read_payloads(ready / "payloads" / part))
    probability = trained.predict_proba(features)
    evaluation = evaluate(
        target=target,
        probability=probability,
        group=group,
        threshold=trained.threshold,
        classes=trained.inputs.classes,
        positive=trained.inputs.positive,
        params=context.settings.evaluate,
        spread=trained.spread(features)[:, trained.inputs.positive] if trained.is_ensemble else None,
        raw=trained.predict_proba(features, raw=True) if trained.calibration else None,
    )
    baseline = family.is_baseline(family.load(trained.family))
    found = evaluation.model_copy(update={"baseline": baseline})
    return Entry(evaluation=found, target=target, probability=probability, group=group), rows

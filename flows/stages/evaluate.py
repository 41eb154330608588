"""model/, normalize/test.parquet → evaluation.json, metrics.json, predictions.parquet, report.html"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from contracts.tables import Part, label_names, labels_of
from contracts.tasks import Task
from flows.arrays import examples
from flows.stages import Context
from flows.store import read_payloads, read_table, write_json, write_table, write_text
from models import family
from models.store import load
from models.tasks import MODULES
from pipelines import evaluate
from pipelines.figures import report
from pipelines.results import Entry, EvaluateParams, Result, mean_interval
from pipelines.tasks import METRICS, forecasting, multilabel, ordinal, regression, survival, tagging

if TYPE_CHECKING:
    from collections.abc import Callable

    from contracts.examples import Examples
    from models.store import Trained


def run(context: Context) -> str:
    """Measures one model on the test rows, once, with intervals by patient."""
    folder, settings = context.model_folder("evaluate"), context.settings
    entry, test = judge(context, "test")
    evaluation = entry.evaluation
    write_json(folder / "evaluation.json", evaluation)
    write_json(folder / "metrics.json", {name: interval.value for name, interval in evaluation.measured.items()})
    told = MODULES[evaluation.task].columns(settings.study.target)
    numbers = [f"@{name}" for name, kind in told.items() if kind == "double"] or ["@entities"]
    predictions = pd.DataFrame(entry.predicted, columns=numbers)
    own = test[["@id", "@group", *label_names(test)]]
    write_table(folder / "predictions.parquet", pd.concat([own, predictions], axis=1))
    write_text(folder / "report.html", report(evaluation, f"{settings.study.title}: {context.model}"))
    first = next(iter(evaluation.metrics))
    spread = evaluation.measured.get("spread")
    told_spread = f", spread {spread}" if spread else ""
    return f"{METRICS[first].label} {evaluation.metrics[first]} on {evaluation.counts.rows:,} test rows{told_spread}"


def judge(context: Context, part: Part) -> tuple[Entry, pd.DataFrame]:
    """What the trained model is worth on the rows of a part, and these rows."""
    trained = load(context.model_folder("train") / "model")
    ready = context.folder("normalize")
    rows = read_table(ready / f"{part}.parquet")
    features = examples(rows, read_payloads(ready / "payloads" / part))
    return judged(trained, features, rows, context.settings.evaluate), rows


def judged(trained: "Trained", features: "Examples", rows: pd.DataFrame, params: EvaluateParams) -> Entry:
    """What a model is worth on these rows, which have label and patient; `features` are what it takes of them."""
    target, group = labels_of(rows), rows["@group"].to_numpy()
    predicted, spread = trained.told(features)
    if trained.inputs.task == "tagging":  # what is kept of each text is its entities, not a number a word and tag
        predicted = np.stack(MODULES["tagging"].answers(predicted, trained.inputs, None), axis=1)
    given = {"target": target, "predicted": predicted, "group": group, "params": params}
    evaluation = EVALUATE[trained.inputs.task](trained, features, given)
    baseline = family.is_baseline(family.load(trained.family))
    mean = None if spread is None else mean_interval(spread, group, params)
    found = evaluation.model_copy(update={"baseline": baseline, "spread": mean})
    return Entry(evaluation=found, target=target, predicted=predicted, group=group)


def _classes(trained: "Trained", features: "Examples", given: dict[str, Any]) -> Result:
    assert not isinstance(trained.threshold, list)
    return evaluate.evaluate(
        target=given["target"],
        probability=given["predicted"],
        group=given["group"],
        threshold=trained.threshold,
        classes=trained.inputs.classes,
        positive=trained.inputs.positive,
        params=given["params"],
        raw=trained.predict(features, raw=True) if trained.calibration else None,
    )


def _regression(trained: "Trained", features: "Examples", given: dict[str, Any]) -> Result:
    assert trained.calibration
    return regression.evaluate(**given, unit=trained.inputs.unit, aim=trained.calibration.state["coverage"])


def _forecasting(trained: "Trained", features: "Examples", given: dict[str, Any]) -> Result:
    assert trained.calibration
    return forecasting.evaluate(**given, unit=trained.inputs.unit, aim=trained.calibration.state["coverage"])


def _ordinal(trained: "Trained", features: "Examples", given: dict[str, Any]) -> Result:
    return ordinal.evaluate(**given, classes=trained.inputs.classes)


def _survival(trained: "Trained", features: "Examples", given: dict[str, Any]) -> Result:
    return survival.evaluate(**given, horizon=trained.inputs.horizon, unit=trained.inputs.unit)


def _multilabel(trained: "Trained", features: "Examples", given: dict[str, Any]) -> Result:
    assert isinstance(trained.threshold, list)
    return multilabel.evaluate(**given, labels=trained.inputs.labels, thresholds=trained.threshold)


def _tagging(trained: "Trained", features: "Examples", given: dict[str, Any]) -> Result:
    return tagging.evaluate(**given, labels=trained.inputs.labels)


EVALUATE: "dict[Task, Callable[[Trained, Examples, dict[str, Any]], Result]]" = {
    "classes": _classes,
    "ordinal": _ordinal,
    "regression": _regression,
    "forecasting": _forecasting,
    "survival": _survival,
    "multilabel": _multilabel,
    "tagging": _tagging,
}

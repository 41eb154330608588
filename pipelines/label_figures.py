"""What the pages of results say and show of models of several labels."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from pipelines.charts import PALETTE, dotted, drawn
from pipelines.compare import JudgedPart
from pipelines.metrics import GRID
from pipelines.page import section
from pipelines.result_tables import in_brackets, label_table, metric_table, short, worst_to_best
from pipelines.tasks.multilabel import OWN, LabelsEvaluation

MEANING = {
    "auroc": "how often a row with the label is scored above one without, averaged over the labels",
    "average_precision": "area under the precision–recall curve, averaged over the labels",
    "brier": "mean squared error of the probabilities, averaged over the labels",
}


def answer(evaluation: LabelsEvaluation) -> str:
    """What the model is worth, in a sentence."""
    told = {of.label: of.metrics["auroc"].value for of in evaluation.labels}
    values = {label: value for label, value in told.items() if value is not None}
    if not values:
        return "No label is told well enough to judge."
    return f"Mean AUROC of {len(told)} labels {evaluation.metrics['auroc']}{worst_to_best(values)}."


def counts(evaluation: LabelsEvaluation, part: JudgedPart) -> str:
    """Whose rows were judged."""
    of = evaluation.counts
    told = ", ".join(f"{escape(label.label)} {label.positives:,} of {label.rows:,}" for label in evaluation.labels)
    return f"{part.capitalize()} part: {of.rows:,} rows of {of.patients:,} patients; {told}."


def sections(evaluation: LabelsEvaluation) -> list[str]:
    """The means, each label, the labels' ROC curves side by side."""
    span = in_brackets(evaluation.params.confidence)
    threshold = "Recall, specificity and precision are those at the threshold, chosen on validation rows."
    return [
        section("Metrics", f"Means over the labels. {span}", metric_table(evaluation, MEANING)),
        section("Labels", f"Each on the rows where it is known. {threshold} {span}", _labels(evaluation)),
        section(
            "ROC curves",
            "Sensitivity by false-positive rate, a chart a label; dotted: chance",
            _small({"model": evaluation}, across=3),
        ),
    ]


def overlay(shown: list[str], evaluations: Mapping[str, LabelsEvaluation]) -> str:
    """The ROC curves of the first models on one another, a chart a label."""
    note = f"The best {len(shown)}: sensitivity by false-positive rate, a chart a label; dotted: chance"
    return section("ROC curves", note, _small({name: evaluations[name] for name in shown}, across=2))


def _labels(evaluation: LabelsEvaluation) -> str:
    labels = {
        of.label: ([f"{of.positives:,} of {of.rows:,}", f"{of.threshold:.3f}"], of.metrics) for of in evaluation.labels
    }
    return label_table(labels, ["rows with it", "threshold"], OWN)


def _small(evaluations: Mapping[str, LabelsEvaluation], *, across: int) -> str:
    import plotly.graph_objects as go

    labels = [of.label for of in next(iter(evaluations.values())).labels]
    traces: list[Any] = []
    for k in range(len(labels)):
        axes = {"xaxis": f"x{k + 1}", "yaxis": f"y{k + 1}"}
        chance = dotted([0, 1], [0, 1], "chance")
        traces.append(chance.update(showlegend=False, **axes))
        for (name, evaluation), color in zip(evaluations.items(), PALETTE, strict=False):
            if not evaluation.labels[k].sensitivity:
                continue
            curve = [0, *evaluation.labels[k].sensitivity]
            shown = {"showlegend": len(evaluations) > 1 and k == 0, "name": escape(name), "legendgroup": name}
            line = {"color": color, "width": 2}
            traces.append(go.Scatter(x=[0, *GRID], y=curve, mode="lines", line=line, **shown, **axes))
    return drawn("roc", traces, _grid(labels, across))


def _grid(labels: list[str], across: int) -> dict[str, Any]:
    """A chart a label, so many in a line, each under its name."""
    lines = int(np.ceil(len(labels) / across))
    width, height = 1 / across, 1 / lines
    layout: dict[str, Any] = {
        "height": 70 + 250 * lines,
        "annotations": [],
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
    }
    axis = {"range": [-0.02, 1.02], "tickformat": ".0%", "dtick": 0.5}
    for k, label in enumerate(labels):
        left, top = (k % across) * width, 1 - (k // across) * height
        wide, up = [left + 0.05, left + width - 0.02], [top - height + 0.12 / lines, top - 0.14 / lines]
        layout[f"xaxis{k + 1}"] = {**axis, "domain": wide, "anchor": f"y{k + 1}"}
        layout[f"yaxis{k + 1}"] = {**axis, "domain": up, "anchor": f"x{k + 1}"}
        title = {"text": short(label), "x": sum(wide) / 2, "y": up[1], "xref": "paper", "yref": "paper"}
        layout["annotations"].append({**title, "showarrow": False, "xanchor": "center", "yanchor": "bottom"})
    return layout

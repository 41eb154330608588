"""What the pages of results say and show of models that find entities in texts."""

from collections.abc import Mapping
from html import escape
from typing import Any

from pipelines.charts import PALETTE, drawn
from pipelines.compare import JudgedPart
from pipelines.page import section
from pipelines.result_tables import in_brackets, label_table, metric_table, short, worst_to_best
from pipelines.tasks.tagging import OWN, TagsEvaluation

MEANING = {
    "f1": "harmonic mean of precision and recall",
    "precision": "share of the entities found that are right: label, first and last word",
    "recall": "share of the entities there are that are found, label, first and last word",
    "macro_f1": "F1 of each label alone, averaged",
    "accuracy": "share of words with their true tag; most are outside of any entity",
}


def answer(evaluation: TagsEvaluation) -> str:
    """What the model is worth, in a sentence."""
    told = {of.label: of.metrics["f1"].value for of in evaluation.labels}
    values = {label: value for label, value in told.items() if value is not None}
    whole = f"Entity F1 {evaluation.metrics['f1']}"
    return f"{whole}{worst_to_best(values) if values else ''}."


def counts(evaluation: TagsEvaluation, part: JudgedPart) -> str:
    """Whose texts were judged."""
    of, told = evaluation.counts, ", ".join(f"{escape(n.label)} {n.entities:,}" for n in evaluation.labels)
    return (
        f"{part.capitalize()} part: {of.rows:,} texts of {of.patients:,} patients, {evaluation.words:,} words; "
        f"entities: {told}."
    )


def sections(evaluation: TagsEvaluation) -> list[str]:
    """All labels together, then each."""
    span = in_brackets(evaluation.params.confidence)
    right = "An entity is right where its label, its first and its last word are."
    return [
        section("Metrics", f"Entities of all labels together. {right} {span}", metric_table(evaluation, MEANING)),
        section("Labels", f"Each label's entities alone. {span}", _labels(evaluation)),
        section("F1 by label", span.replace("In brackets", "Lines:"), _marks({"model": evaluation})),
    ]


def overlay(shown: list[str], evaluations: Mapping[str, TagsEvaluation]) -> str:
    """Each label's F1 by the first models, beside one another."""
    first = next(iter(evaluations.values()))
    span = in_brackets(first.params.confidence).replace("In brackets", "Lines:")
    return section("F1 by label", f"The best {len(shown)}. {span}", _marks({name: evaluations[name] for name in shown}))


def _labels(evaluation: TagsEvaluation) -> str:
    labels = {of.label: ([f"{of.entities:,}", f"{of.called:,}"], of.metrics) for of in evaluation.labels}
    return label_table(labels, ["entities", "found, right or not"], OWN)


def _marks(evaluations: Mapping[str, TagsEvaluation]) -> str:
    labels = [of.label for of in next(iter(evaluations.values())).labels]
    names = [short(label) for label in labels]
    traces = [
        _trace(name, evaluation, place, len(evaluations), color)
        for place, ((name, evaluation), color) in enumerate(zip(evaluations.items(), PALETTE, strict=False))
    ]
    ticks = {"tickvals": list(range(len(labels))), "ticktext": names[::-1], "range": [-0.6, len(labels) - 0.4]}
    layout = {
        "height": 130 + 24 * len(labels) * max(1, len(evaluations)),
        "xaxis": {"range": [-0.02, 1.02], "dtick": 0.2},
        "yaxis": {**ticks, "automargin": True},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
    }
    return drawn("f1", traces, layout)


def _trace(name: str, evaluation: TagsEvaluation, place: int, models: int, color: str) -> Any:
    """A model's marks, the first label's on top, the models of one label below one another."""
    import plotly.graph_objects as go

    lift = ((models - 1) / 2 - place) * 0.8 / models
    value = [of.metrics["f1"].value for of in evaluation.labels]
    ends = [(of.metrics["f1"].low, of.metrics["f1"].high) for of in evaluation.labels]
    lines = [
        None if v is None or low is None or high is None else (v - low, high - v)
        for v, (low, high) in zip(value, ends, strict=True)
    ]
    spread = {"array": [of and of[1] for of in lines], "arrayminus": [of and of[0] for of in lines]}
    return go.Scatter(
        x=value,
        y=[len(value) - 1 - k + lift for k in range(len(value))],
        mode="markers",
        name=escape(name),
        showlegend=models > 1,
        marker={"color": color, "size": 9},
        error_x={"type": "data", "symmetric": False, "color": color, "width": 0, **spread},
    )

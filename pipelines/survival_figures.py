"""What the pages of results say and show of models of a time to an event."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from contracts.follow_up import times
from pipelines.charts import PALETTE, dotted, drawn
from pipelines.compare import JudgedPart
from pipelines.page import section
from pipelines.result_tables import in_brackets, metric_table
from pipelines.tasks.survival import MOMENTS, SurvivalEvaluation

RISING = (PALETTE[0], PALETTE[4], PALETTE[1])


def answer(evaluation: SurvivalEvaluation) -> str:
    """What the model is worth, in a sentence."""
    metrics, risk = evaluation.metrics, evaluation.observed_risk
    told = [
        f"Concordance {metrics['concordance']}: so often, of two patients, the first to have the event had more risk"
    ]
    if risk.value is not None and evaluation.excess.value is not None:
        expected = risk.value + evaluation.excess.value
        told.append(
            f"by {_by(evaluation)} the event happens to {risk.value:.1%} (Kaplan–Meier), {expected:.1%} was predicted"
        )
    return "; ".join(told) + "."


def counts(evaluation: SurvivalEvaluation, part: JudgedPart) -> str:
    """Whose rows were judged."""
    of = evaluation.counts
    told = f"{of.by_class['event']:,} with the event, {of.by_class['censored']:,} censored before it"
    return f"{part.capitalize()} part: {of.rows:,} rows of {of.patients:,} patients; {told}."


def sections(evaluation: SurvivalEvaluation) -> list[str]:
    """The metrics, survival by predicted risk, calibration at the horizon."""
    span, by = in_brackets(evaluation.params.confidence), _by(evaluation)
    return [
        section("Metrics", f"The horizon is {by}. {span}", metric_table(evaluation)),
        '<div class="pair">',
        section(
            "Survival by predicted risk",
            "Rows in thirds of the predicted risk: observed (Kaplan–Meier, lines and bands), and predicted on average "
            "(dots)",
            _thirds(evaluation),
        ),
        section(
            "Calibration at the horizon",
            f"Risk by {by}: observed (Kaplan–Meier) by mean predicted, rows of alike predictions together. "
            f"Over all rows, predicted less observed is {evaluation.excess}",
            _calibration(evaluation),
        ),
        "</div>",
    ]


def overlay(shown: list[str], evaluations: Mapping[str, SurvivalEvaluation]) -> str:
    """Calibration at the horizon of the first models on one another."""
    traces: list[Any] = []
    for name, color in zip(shown, PALETTE, strict=False):
        traces.append(_points(evaluations[name], escape(name), color, "lines+markers", intervals=False))
    axes = _axes([evaluations[name] for name in shown])
    note = f"The best {len(shown)}: observed by mean predicted risk, rows of alike predictions together"
    return section("Calibration at the horizon", note, drawn("calibration", [_perfect(axes), *traces], axes))


def _thirds(evaluation: SurvivalEvaluation) -> str:
    import plotly.graph_objects as go

    moments = np.linspace(0, evaluation.horizon, MOMENTS).tolist()
    traces: list[Any] = []
    for third, color in zip(evaluation.thirds, RISING, strict=False):
        if not third.observed:
            continue
        red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
        around = {"x": [*moments, *moments[::-1]], "y": [*third.high, *third.low[::-1]]}
        band = {"fill": "toself", "fillcolor": f"rgba({red},{green},{blue},0.15)", "line": {"width": 0}}
        line, marker = {"color": color, "width": 2.5, "shape": "hv"}, {"color": color, "size": 6}
        traces += [
            go.Scatter(**around, **band, hoverinfo="skip", showlegend=False),
            go.Scatter(x=moments, y=list(third.observed), name=third.label, mode="lines", line=line),
            go.Scatter(
                x=times(evaluation.horizon).tolist(), y=list(third.predicted), mode="markers", marker=marker,
                showlegend=False, name=f"{third.label}, predicted",
            ),
        ]  # fmt: skip
    unit = f" ({escape(evaluation.unit)})" if evaluation.unit else ""
    least = min((min(third.low) for third in evaluation.thirds if third.low), default=0.0)
    axes = {
        "xaxis": {"title": f"Time{unit}", "range": [0, evaluation.horizon]},
        "yaxis": {"title": "Without the event", "range": [max(0.0, least - 0.05), 1.01], "tickformat": ".0%"},
        "legend": {"x": 0.02, "y": 0.04, "xanchor": "left", "yanchor": "bottom", "bgcolor": "rgba(255,255,255,0.8)"},
    }
    return drawn("survival", traces, axes)


def _calibration(evaluation: SurvivalEvaluation) -> str:
    axes = _axes([evaluation])
    points = _points(evaluation, "observed", PALETTE[0], "markers", intervals=True)
    return drawn("calibration", [_perfect(axes), points], axes)


def _points(evaluation: SurvivalEvaluation, name: str, color: str, mode: str, *, intervals: bool) -> Any:
    import plotly.graph_objects as go

    bins = [b for b in evaluation.bins if b.predicted is not None and b.observed.value is not None]
    middle, low, high = (
        np.array([getattr(b.observed, end) for b in bins], dtype=float) for end in ("value", "low", "high")
    )
    spread = {"array": (high - middle).tolist(), "arrayminus": (middle - low).tolist(), "width": 4}
    return go.Scatter(
        x=[b.predicted for b in bins], y=middle.tolist(), name=name, mode=mode, marker={"size": 9, "color": color},
        line={"color": color, "width": 2}, error_y=spread if intervals else None,
    )  # fmt: skip


def _axes(evaluations: list[SurvivalEvaluation]) -> dict[str, Any]:
    bins = [b for evaluation in evaluations for b in evaluation.bins if b.predicted is not None]
    ends = [end for b in bins for end in (b.predicted, b.observed.value, b.observed.high) if end is not None]
    most = min(1.0, 1.05 * max(ends, default=1.0)) + 0.01
    axis = {"range": [-0.01, most], "tickformat": ".0%"}
    return {"xaxis": {"title": "Mean predicted risk", **axis}, "yaxis": {"title": "Observed risk", **axis}}


def _perfect(axes: dict[str, Any]) -> Any:
    most = axes["xaxis"]["range"][1]
    return dotted([0, most], [0, most], "perfect")


def _by(evaluation: SurvivalEvaluation) -> str:
    return f"{evaluation.horizon:,g} {escape(evaluation.unit)}".rstrip()

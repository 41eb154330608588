"""What the pages of results say and show of models of a number."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from pipelines.bootstrap import Interval
from pipelines.charts import BLUES, PALETTE, dotted, drawn
from pipelines.compare import JudgedPart
from pipelines.page import section
from pipelines.result_tables import in_brackets, metric_table
from pipelines.tasks.regression import NumberBin, NumberEvaluation


def answer(evaluation: NumberEvaluation) -> str:
    """What the model is worth, in a sentence."""
    unit, metrics = f" {evaluation.unit}" if evaluation.unit else "", evaluation.metrics
    told = [f"MAE {metrics['mae']}{unit}: predictions are off by that much on average"]
    if metrics["r2"].value is not None:
        told.append(f"R² {metrics['r2']}")
    told.append(
        f"intervals {_number(metrics['width'])}{unit} wide hold {_share(metrics['coverage'])} of the rows "
        f"({evaluation.aim:.0%} was aimed at)"
    )
    return "; ".join(told) + "."


def counts(evaluation: NumberEvaluation, part: JudgedPart) -> str:
    """Whose rows were judged."""
    return f"{part.capitalize()} part: {evaluation.counts.rows:,} rows of {evaluation.counts.patients:,} patients."


def sections(evaluation: NumberEvaluation) -> list[str]:
    """The metrics, predicted against observed, errors and coverage by the size of the prediction."""
    unit, few = evaluation.unit or "the label’s unit", evaluation.params.min_patients
    alike = "Rows of alike predictions together"
    return [
        section("Metrics", f"Errors in {unit}. {in_brackets(evaluation.params.confidence)}", metric_table(evaluation)),
        '<div class="pair">',
        section(
            "Predicted and observed",
            f"Rows by both numbers; cells of fewer than {few} patients are blank ({evaluation.density.hidden:,} rows)",
            _density(evaluation),
        ),
        section("Calibration", f"Mean observed by mean predicted. {alike}", _calibration(evaluation)),
        section("Residuals", f"Predicted less observed, mean. {alike}", _errors(evaluation)),
        section("Coverage", f"Does the interval hold the label as often as promised? {alike}", _coverage(evaluation)),
        "</div>",
    ]


def overlay(shown: list[str], evaluations: Mapping[str, NumberEvaluation]) -> str:
    """Mean observed by mean predicted of the first models on one another."""
    import plotly.graph_objects as go

    traces: list[Any] = []
    for name, color in zip(shown, PALETTE, strict=False):
        bins = _told(evaluations[name])
        x, y = [b.predicted for b in bins], [b.observed.value for b in bins]
        line, marker = {"color": color, "width": 2}, {"size": 8}
        traces.append(go.Scatter(x=x, y=y, name=escape(name), mode="lines+markers", line=line, marker=marker))
    ends = [b.predicted for name in shown for b in _told(evaluations[name]) if b.predicted is not None]
    if ends:
        traces.insert(0, dotted([min(ends), max(ends)], [min(ends), max(ends)], "perfect"))
    unit = next(iter(evaluations.values())).unit
    axes = {"xaxis": _axis("Mean predicted", unit), "yaxis": _axis("Mean observed", unit)}
    note = f"The best {len(shown)}: mean observed by mean predicted, rows of alike predictions together"
    return section("Calibration", note, drawn("observed", traces, axes))


def _density(evaluation: NumberEvaluation) -> str:
    import plotly.graph_objects as go

    edges, rows = np.array(evaluation.density.edges), np.array(evaluation.density.rows, dtype=float)
    middle = (edges[1:] + edges[:-1]) / 2
    heat = go.Heatmap(
        x=middle.tolist(), y=middle.tolist(), z=np.where(rows.T > 0, rows.T, np.nan).tolist(),
        colorscale=BLUES, zmin=0, colorbar={"title": "rows", "thickness": 12}, hoverongaps=False,
        hovertemplate="predicted %{x}, observed %{y}: %{z} rows<extra></extra>",
    )  # fmt: skip
    ends = [float(edges[0]), float(edges[-1])]
    axes = {
        "xaxis": {**_axis("Predicted", evaluation.unit), "range": ends},
        "yaxis": {**_axis("Observed", evaluation.unit), "range": ends},
        "showlegend": False,
    }
    return drawn("density", [heat, dotted(ends, ends, "perfect")], axes)


def _calibration(evaluation: NumberEvaluation) -> str:
    bins = _told(evaluation)
    ends = [b.predicted for b in bins if b.predicted is not None] or [0.0]
    perfect = dotted([min(ends), max(ends)], [min(ends), max(ends)], "perfect")
    axes = {"xaxis": _axis("Mean predicted", evaluation.unit), "yaxis": _axis("Mean observed", evaluation.unit)}
    return drawn("calibration", [perfect, _points(bins, [b.observed for b in bins], "observed")], axes)


def _errors(evaluation: NumberEvaluation) -> str:
    bins = _told(evaluation)
    ends = [b.predicted for b in bins if b.predicted is not None] or [0.0]
    axes = {"xaxis": _axis("Mean predicted", evaluation.unit), "yaxis": _axis("Mean error", evaluation.unit)}
    none = dotted([min(ends), max(ends)], [0, 0], "none")
    return drawn("residuals", [none, _points(bins, [b.error for b in bins], "mean error")], axes)


def _coverage(evaluation: NumberEvaluation) -> str:
    bins = _told(evaluation)
    ends = [b.predicted for b in bins if b.predicted is not None] or [0.0]
    axes = {
        "xaxis": _axis("Mean predicted", evaluation.unit),
        "yaxis": {"title": "Share held", "range": [0, 1.02], "tickformat": ".0%"},
    }
    aim = dotted([min(ends), max(ends)], [evaluation.aim, evaluation.aim], "aimed at")
    return drawn("coverage", [aim, _points(bins, [b.coverage for b in bins], "held")], axes)


def _told(evaluation: NumberEvaluation) -> list[NumberBin]:
    return [b for b in evaluation.bins if b.predicted is not None]


def _points(bins: list[NumberBin], values: list[Interval], name: str) -> Any:
    import plotly.graph_objects as go

    middle, low, high = (
        np.array([getattr(value, end) for value in values], dtype=float) for end in ("value", "low", "high")
    )
    spread = {"array": (high - middle).tolist(), "arrayminus": (middle - low).tolist(), "width": 4}
    return go.Scatter(
        x=[b.predicted for b in bins], y=middle.tolist(), error_y=spread, mode="markers", name=name,
        marker={"size": 9, "color": PALETTE[0]},
    )  # fmt: skip


def _axis(title: str, unit: str) -> dict[str, Any]:
    return {"title": f"{title} ({escape(unit)})" if unit else title}


def _number(value: Interval) -> str:
    return "–" if value.value is None else f"{value.value:.3g}"


def _share(value: Interval) -> str:
    return "–" if value.value is None else f"{value.value:.1%}"

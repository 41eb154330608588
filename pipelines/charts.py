"""Charts of results as parts of an HTML page; the page brings plotly's script."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from pipelines.compare import Leaderboard
from pipelines.evaluate import Curve, Evaluation
from pipelines.metrics import GRID, Floats
from pipelines.page import FAINT, figure
from pipelines.reliability import Bin
from pipelines.tasks import METRICS

# Okabe & Ito (2008): told apart with every kind of colour blindness.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BLUES = [[0, "#f5f9fc"], [1, "#0072B2"]]


def drawn(name: str, traces: list[Any], layout: dict[str, Any]) -> str:
    """A figure of the usual height, its legend where curves leave room."""
    legend = {"x": 0.98, "y": 0.04, "xanchor": "right", "yanchor": "bottom", "bgcolor": "rgba(255,255,255,0.8)"}
    return figure(name, traces, {"height": 400, "legend": legend, **layout})


def _share(title: str) -> dict[str, Any]:
    return {"title": title, "range": [-0.02, 1.02], "tickformat": ".0%", "dtick": 0.2}


def _roc_axes() -> dict[str, Any]:
    return {"xaxis": _share("False-positive rate (1 − specificity)"), "yaxis": _share("Sensitivity (recall)")}


def _line(x: Any, y: Any, name: str, color: str) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(x=list(x), y=list(y), name=name, mode="lines", line={"color": color, "width": 2.5})


def _band(low: tuple[float, ...], high: tuple[float, ...], confidence: float) -> list[Any]:
    import plotly.graph_objects as go

    if not low:
        return []
    around = {"x": [*GRID, *GRID[::-1]], "y": [*high, *low[::-1]]}
    fill = {"fill": "toself", "fillcolor": "rgba(0,114,178,0.16)", "line": {"width": 0}, "hoverinfo": "skip"}
    return [go.Scatter(**around, **fill, name=f"{confidence:.0%} interval, pointwise")]


def dotted(x: list[float], y: list[float], name: str) -> Any:
    """A line to compare with."""
    import plotly.graph_objects as go

    return go.Scatter(
        x=x, y=y, name=name, mode="lines", line={"color": FAINT, "dash": "dot", "width": 1.5}, hoverinfo="skip"
    )


def _point(x: float | None, y: float | None) -> list[Any]:
    """Where the chosen threshold lies on a curve."""
    import plotly.graph_objects as go

    if x is None or y is None:
        return []
    marker = {"color": PALETTE[1], "size": 11, "line": {"color": "white", "width": 1.5}}
    return [go.Scatter(x=[x], y=[y], mode="markers", name="chosen threshold", marker=marker)]


def _called(curve: Curve, evaluation: Evaluation) -> str:
    return "model" if len(evaluation.curves) == 1 else _short(curve.label)


def _short(label: str) -> str:
    return escape(label if len(label) <= 16 else f"{label[:15]}…")


def roc(evaluation: Evaluation) -> str:
    """ROC curve with its band and the chosen threshold; one curve a class when there are more than two."""
    traces: list[Any] = [dotted([0, 1], [0, 1], "chance")]
    for curve, color in zip(evaluation.curves, PALETTE, strict=False):
        traces += _band(curve.sensitivity_low, curve.sensitivity_high, evaluation.params.confidence)
        if curve.sensitivity:
            traces.append(_line([0, *GRID], [0, *curve.sensitivity], _called(curve, evaluation), color))
    specificity, recall = evaluation.metrics["specificity"].value, evaluation.metrics["recall"].value
    if evaluation.threshold is not None and specificity is not None:
        traces += _point(1 - specificity, recall)
    return drawn("roc", traces, _roc_axes())


def precision_recall(evaluation: Evaluation) -> str:
    """Precision–recall curve above the line of chance, the prevalence."""
    traces: list[Any] = []
    if len(evaluation.curves) == 1:
        share = evaluation.curves[0].prevalence
        traces.append(dotted([0, 1], [share, share], f"chance (prevalence {share:.1%})"))
    for curve, color in zip(evaluation.curves, PALETTE, strict=False):
        traces += _band(curve.precision_low, curve.precision_high, evaluation.params.confidence)
        traces.append(_line(GRID, curve.precision, _called(curve, evaluation), color))
    if evaluation.threshold is not None:
        traces += _point(evaluation.metrics["recall"].value, evaluation.metrics["precision"].value)
    steep = (evaluation.metrics["average_precision"].value or 0) < 0.65  # the corner that the curve leaves free
    free = {"x": 0.98, "y": 0.98, "xanchor": "right", "yanchor": "top"} if steep else {"x": 0.02, "xanchor": "left"}
    axes = {"xaxis": _share("Recall (sensitivity)"), "yaxis": _share("Precision"), "legend": free}
    return drawn("precision-recall", traces, axes)


def calibration(evaluation: Evaluation) -> str:
    """Observed against predicted share with intervals, before recalibration too, and how many rows each bin holds."""
    import plotly.graph_objects as go

    bins = evaluation.calibration.bins
    middle = (np.arange(len(bins)) + 0.5) / len(bins)
    rows = [b.rows for b in bins]
    bars = go.Bar(
        x=middle.tolist(), y=rows, text=rows, textposition="outside", cliponaxis=False, width=0.9 / len(bins),
        marker={"color": PALETTE[5]}, name="rows", showlegend=False, yaxis="y2",
    )  # fmt: skip
    before = evaluation.uncalibrated
    traces = [
        dotted([0, 1], [0, 1], "perfect"),
        *([_shares(before.bins, "before recalibration", PALETTE[1], "diamond-open")] if before else []),
        _shares(bins, "after recalibration" if before else "observed", PALETTE[0], "circle"),
        bars,
    ]
    binary = len(evaluation.classes) == 2
    layout = {
        "xaxis": {
            **_share("Predicted probability" if binary else "Probability of the likeliest class"),
            "anchor": "y2",
        },
        "yaxis": {**_share("Observed share" if binary else "Share predicted rightly"), "domain": [0.32, 1]},
        "yaxis2": {"title": "Rows", "domain": [0, 0.2], "showticklabels": False, "showgrid": False},
        "legend": {"x": 0.02, "y": 0.98, "xanchor": "left", "yanchor": "top", "bgcolor": "rgba(255,255,255,0.6)"},
    }
    return drawn("calibration", traces, layout)


def _shares(bins: tuple[Bin, ...], name: str, color: str, symbol: str) -> Any:
    """The bins that are told, each a point with its interval."""
    import plotly.graph_objects as go

    seen = [b for b in bins if b.predicted is not None and b.observed.value is not None]
    value = np.array([b.observed.value for b in seen], dtype=float)
    low, high = (np.array([getattr(b.observed, end) for b in seen], dtype=float) for end in ("low", "high"))
    spread = {"array": (high - value).tolist(), "arrayminus": (value - low).tolist(), "width": 4, "thickness": 1.5}
    return go.Scatter(
        x=[b.predicted for b in seen],
        y=value.tolist(),
        mode="markers+lines",
        name=name,
        line={"color": color, "width": 1.5},
        marker={"size": 9, "symbol": symbol},
        error_y=spread,
    )


def confusion(rows: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """True by predicted class: the share of each true class, and rows. Shape: rows (C, C)."""
    import plotly.graph_objects as go

    counts = np.array(rows)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    text = [
        [f"<b>{s:.0%}</b><br>{c:,}" for s, c in zip(*pair, strict=True)] for pair in zip(share, counts, strict=True)
    ]
    heat = go.Heatmap(
        z=share.tolist(), text=text, texttemplate="%{text}", textfont={"size": 16 if len(counts) < 5 else 12},
        colorscale=BLUES, zmin=0, zmax=1, showscale=False, xgap=3, ygap=3, hoverinfo="skip",
    )  # fmt: skip
    names = [_short(label) for label in classes]
    ticks = {"tickvals": list(range(len(names))), "ticktext": names, "showgrid": False}
    axes = {
        "xaxis": {"title": "Predicted class", **ticks},
        "yaxis": {"title": "True class", **ticks, "autorange": "reversed"},
    }
    return drawn("confusion", [heat], axes)


def forest(leaderboard: Leaderboard) -> str:
    """The ranking metric of each model with its interval, best on top."""
    import plotly.graph_objects as go

    told = [row for row in leaderboard.rows if row.metrics[leaderboard.metric].value is not None]
    traces = []
    for place, row in enumerate(told):
        value = row.metrics[leaderboard.metric]
        middle, low, high = (np.nan if v is None else v for v in (value.value, value.low, value.high))
        color = PALETTE[place] if place < len(PALETTE) else FAINT
        spread = {"array": [high - middle], "arrayminus": [middle - low], "width": 6, "thickness": 2}
        marker = {
            "size": 13,
            "symbol": "diamond-open" if row.baseline else "circle",
            "color": color,
            "line": {"width": 2.5, "color": color},
        }
        label = f"{escape(row.model)}<br><span style='font-size:12px;color:#52606d'>{value}</span>"
        traces.append(
            go.Scatter(x=[middle], y=[label], mode="markers", marker=marker, error_x=spread, cliponaxis=False)
        )
    best = told[0].metrics[leaderboard.metric].value
    layout = {
        "showlegend": False,
        "height": max(400, 90 + 52 * len(told)),
        "xaxis": {"title": METRICS[leaderboard.metric].label, "range": _reach(leaderboard)},
        "yaxis": {"autorange": "reversed", "showgrid": False, "ticklabelstandoff": 10},
        "shapes": [{"type": "line", "x0": best, "x1": best, "yref": "paper", "y0": 0, "y1": 1, "layer": "below",
                    "line": {"color": FAINT, "dash": "dot", "width": 1.5}}],
    }  # fmt: skip
    return drawn("forest", traces, layout)


def _reach(leaderboard: Leaderboard) -> list[float]:
    """From the lowest to the highest end of the intervals and a little more, as far as the metric can go."""
    values = [row.metrics[leaderboard.metric] for row in leaderboard.rows]
    ends = [end for v in values for end in (v.value, v.low, v.high) if end is not None]
    least, most = METRICS[leaderboard.metric].span
    most = 2 if leaderboard.metric == "brier" and len(leaderboard.counts.by_class) > 2 else most
    room = 0.06 * (max(ends) - min(ends)) or 0.05
    return [max(least, min(ends) - room), min(most, max(ends) + room)]


def roc_overlay(shown: list[str], evaluations: Mapping[str, Evaluation]) -> str:
    """The ROC curves of the first models on one another, macro-averaged over more than two classes."""
    traces = [dotted([0, 1], [0, 1], "chance")]
    for name, color in zip(shown, PALETTE, strict=False):
        if all(curve.sensitivity for curve in evaluations[name].curves):
            average: Floats = np.mean([curve.sensitivity for curve in evaluations[name].curves], axis=0)
            traces.append(_line([0, *GRID], [0, *average], escape(name), color))
    return drawn("roc", traces, _roc_axes())

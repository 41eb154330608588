"""The page of a cross-validation: the pooled comparison, and every fold's own value."""

from collections.abc import Mapping
from typing import Any

from pipelines.charts import PALETTE
from pipelines.compare import Leaderboard
from pipelines.figures import leaderboard_page
from pipelines.page import FAINT, figure, section
from pipelines.page import table as html_table
from pipelines.pooling import Spread
from pipelines.results import Result
from pipelines.tasks import METRICS

NOTE = (
    "Each fold is tested once a repeat, by models trained on other patients. Folds share training rows, so their "
    "deviation is no standard error: the intervals above are of the pooled predictions."
)


def folds_page(
    leaderboard: Leaderboard, evaluations: Mapping[str, Result], spreads: Mapping[str, Spread], title: str
) -> str:
    """The leaderboard's page with the spread over folds and repeats, by model."""
    heading = f"{METRICS[leaderboard.metric].label} fold by fold"
    found = section(heading, NOTE, _points(spreads, METRICS[leaderboard.metric].label) + _table(spreads))
    return leaderboard_page(leaderboard, evaluations, title, more=[found])


def _points(spreads: Mapping[str, Spread], label: str) -> str:
    """A point a fold, a row a model, the mean as a line across."""
    import plotly.graph_objects as go

    traces: list[Any] = []
    for (model, found), color in zip(spreads.items(), PALETTE * len(spreads), strict=False):
        values = [value for repeat in found.folds for value in repeat]
        marker = {"color": color, "size": 11, "opacity": 0.7}
        traces.append(go.Scatter(x=values, y=[model] * len(values), mode="markers", marker=marker, showlegend=False))
        line = {"symbol": "line-ns", "size": 26, "line": {"width": 3, "color": FAINT}}
        traces.append(go.Scatter(x=[found.mean], y=[model], mode="markers", marker=line, showlegend=False))
    axes = {"xaxis": {"title": f"{label}; grey: the mean"}, "yaxis": {"autorange": "reversed"}}
    return figure("folds", traces, {"height": 120 + 44 * len(spreads), **axes})


def _table(spreads: Mapping[str, Spread]) -> str:
    first = next(iter(spreads.values()))
    head = ["model", "mean ± deviation (least to most)"]
    head += [f"repeat {number}" for number in range(1, len(first.by_repeat) + 1)] if len(first.by_repeat) > 1 else []
    lines = [
        [model, str(found), *(_number(value) for value in found.by_repeat if len(found.by_repeat) > 1)]
        for model, found in spreads.items()
    ]
    return html_table(head, lines)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"

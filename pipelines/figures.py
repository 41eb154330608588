"""Pages of results: one self-contained HTML file each, that opens without a network and is the same byte for byte."""

from collections.abc import Mapping, Sequence
from html import escape
from math import nan
from typing import Any, Protocol

from contracts.tasks import Task
from pipelines import (
    charts,
    class_figures,
    forecast_figures,
    label_figures,
    number_figures,
    ordinal_figures,
    survival_figures,
    tag_figures,
)
from pipelines.bootstrap import Interval
from pipelines.compare import JudgedPart, Leaderboard, behind_text
from pipelines.page import page, section
from pipelines.result_tables import cell, in_brackets
from pipelines.results import Result
from pipelines.tasks import METRICS

STYLE = """
.pair{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(430px,100%),1fr));column-gap:18px}
.pair section{min-width:0}th,td{overflow-wrap:normal}
th:first-child,td:first-child{white-space:nowrap;position:sticky;left:0;background:#fff}
small{color:#52606d;font-size:14px;font-weight:400}.best{font-weight:700}
"""


class Figures(Protocol):
    """What a task's module of figures has; `evaluations` are of that task all."""

    def answer(self, evaluation: Any) -> str:
        """What a model is worth, in a sentence."""

    def counts(self, evaluation: Any, part: JudgedPart) -> str:
        """Whose rows were judged."""

    def sections(self, evaluation: Any) -> list[str]:
        """The page of a model, metrics first."""

    def overlay(self, shown: list[str], evaluations: Any) -> str:
        """The section that shows models on one another."""


FIGURES: dict[Task, Figures] = {
    "classes": class_figures,
    "ordinal": ordinal_figures,
    "regression": number_figures,
    "forecasting": forecast_figures,
    "survival": survival_figures,
    "multilabel": label_figures,
    "tagging": tag_figures,
}


def report(evaluation: Result, title: str) -> str:
    """A model's page: the answer in a sentence, the metrics, then the task's own figures."""
    told = FIGURES[evaluation.task]
    note = told.counts(evaluation, "test")
    return page(title, told.answer(evaluation), note, told.sections(evaluation), style=STYLE)


def leaderboard_page(
    leaderboard: Leaderboard, evaluations: Mapping[str, Result], title: str, more: Sequence[str] = ()
) -> str:
    """The comparison's page: the verdict, a forest plot, the task's own figure, every metric of every model.

    `more`: sections that follow.
    """
    label, first = METRICS[leaderboard.metric].label, next(iter(evaluations.values()))
    told, span = FIGURES[first.task], in_brackets(leaderboard.confidence)
    key = f"{span} Filled: networks and ensembles; hollow: simple models; dotted: the best."
    legend = f"{span} Bold: the best value. Differences are paired, on the same resamples."
    shown = [row.model for row in leaderboard.rows][: len(charts.PALETTE)]
    sections = [
        '<div class="pair">',
        section(label, key, charts.forest(leaderboard)),
        told.overlay(shown, evaluations),
        "</div>",
        section("All metrics", legend, _board_table(leaderboard)),
        *more,
    ]
    note = told.counts(first, leaderboard.part)
    if len(leaderboard.rows) > 1:
        note += f" The choice was made on this {leaderboard.part} part, so the best value is a little flattered."
    return page(title, leaderboard.verdict, note, sections, style=STYLE)


def _board_table(leaderboard: Leaderboard) -> str:
    head = "".join(
        f"<th>{escape(row.model)} <small>{'simple model' if row.baseline else 'larger model'}</small></th>"
        for row in leaderboard.rows
    )
    behind = "".join(f"<td>{escape(behind_text(row))}</td>" for row in leaderboard.rows)
    names = [leaderboard.metric, *(name for name in leaderboard.rows[0].metrics if name != leaderboard.metric)]
    lines = [_board_line(name, [row.metrics[name] for row in leaderboard.rows]) for name in names]
    label = METRICS[leaderboard.metric].label
    lines.insert(1, f"<tr><td>{label} behind the best</td>{behind}</tr>")
    return f"<table><tr><th>metric</th>{head}</tr>{''.join(lines)}</table>"


def _board_line(name: str, values: list[Interval]) -> str:
    metric = METRICS[name]
    told = [value.value for value in values if value.value is not None]
    best = (max if metric.higher_is_better else min)(told, default=nan)
    cells = "".join(
        f'<td class="number{" best" if value.value == best else ""}">{cell(value)}</td>' for value in values
    )
    aim = "" if metric.higher_is_better else " <small>lower is better</small>"
    return f"<tr><td>{metric.label}{aim}</td>{cells}</tr>"

"""Tables of metrics as HTML, and the words under them, for every task's pages."""

from collections.abc import Mapping
from html import escape
from types import MappingProxyType

from pipelines.bootstrap import Interval
from pipelines.results import Result
from pipelines.tasks import METRICS


def in_brackets(confidence: float) -> str:
    """What the numbers in brackets are."""
    return f"In brackets the {confidence:.0%} interval of a patient-level bootstrap."


def metric_table(evaluation: Result, meaning: Mapping[str, str] = MappingProxyType({})) -> str:
    """Every metric of a model; `meaning` where it is not the usual one."""
    lines = "".join(
        f'<tr><td>{METRICS[name].label}</td><td class="number">{cell(value)}</td>'
        f"<td>{meaning.get(name, METRICS[name].meaning)}"
        f"{'' if METRICS[name].higher_is_better else ' (lower is better)'}</td></tr>"
        for name, value in evaluation.metrics.items()
    )
    return f"<table><tr><th>metric</th><th>value</th><th>what it says</th></tr>{lines}</table>"


def cell(value: Interval) -> str:
    """A value, its interval or why there is none in small."""
    number, _, ends = str(value).partition(" ")
    return f"{number} <small>{escape(ends or value.reason)}</small>"

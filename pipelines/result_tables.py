"""Tables of metrics as HTML, and the words under them, for every task's pages."""

from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType

from pipelines.bootstrap import Interval
from pipelines.results import Result
from pipelines.tasks import METRICS

LONGEST = 24  # letters of a label in a chart


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
    return f"{str(value).partition(' ')[0]} <small>{escape(value.around)}</small>"


def label_table(
    labels: Mapping[str, tuple[Sequence[str], Mapping[str, Interval]]], counted: Sequence[str], own: Sequence[str]
) -> str:
    """A line a label: what is `counted` of it, then its own metrics; `counted` and `own` head the columns."""
    head = "".join(f"<th>{told}</th>" for told in ("label", *counted, *(METRICS[name].label for name in own)))
    lines = "".join(
        f"<tr><td>{escape(label)}</td>"
        + "".join(f'<td class="number">{told}</td>' for told in (*counts, *(cell(metrics[name]) for name in own)))
        + "</tr>"
        for label, (counts, metrics) in labels.items()
    )
    return f"<table><tr>{head}</tr>{lines}</table>"


def worst_to_best(values: Mapping[str, float]) -> str:
    """Between which labels' values a mean lies; nothing where all read the same."""
    worst, best = min(values, key=lambda label: values[label]), max(values, key=lambda label: values[label])
    low, high = f"{values[worst]:.3f}", f"{values[best]:.3f}"
    return "" if low == high else f": from {low} ({escape(worst)}) to {high} ({escape(best)})"


def short(label: str) -> str:
    """A label, cut where it is too long for a chart."""
    return escape(label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…")

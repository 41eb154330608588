"""What the pages of results say and show of models of classes in order."""

from collections.abc import Mapping
from html import escape

from pipelines import charts
from pipelines.compare import JudgedPart
from pipelines.page import section
from pipelines.result_tables import cell, in_brackets, metric_table
from pipelines.tasks.ordinal import OrdinalEvaluation


def answer(evaluation: OrdinalEvaluation) -> str:
    """What the model is worth, in a sentence."""
    metrics = evaluation.metrics
    return (
        f"Quadratic kappa {metrics['qwk']} (1: always right, 0: no better than chance); "
        f"{metrics['steps']} classes off on average."
    )


def counts(evaluation: OrdinalEvaluation, part: JudgedPart) -> str:
    """Whose rows were judged."""
    rows = evaluation.counts.rows
    told = ", ".join(f"{n:,} ({n / rows:.1%}) of class “{c}”" for c, n in evaluation.counts.by_class.items())
    return f"{part.capitalize()} part: {rows:,} rows of {evaluation.counts.patients:,} patients; {told}."


def sections(evaluation: OrdinalEvaluation) -> list[str]:
    """The metrics, each cut, true by called class."""
    span = in_brackets(evaluation.params.confidence)
    return [
        section("Metrics", span, metric_table(evaluation)),
        '<div class="pair">',
        section("Cuts", f"How well rows above each class are told from the others. {span}", _cuts(evaluation)),
        section(
            "Confusion matrix",
            "Rows by true class; the median of the predicted distribution is called",
            charts.confusion(evaluation.confusion, evaluation.classes),
        ),
        "</div>",
    ]


def overlay(shown: list[str], evaluations: Mapping[str, OrdinalEvaluation]) -> str:
    """The AUROC of each cut of the first models beside one another."""
    head = "".join(f"<th>{escape(name)}</th>" for name in shown)
    first = evaluations[shown[0]].cuts
    lines = [
        f"<tr><td>above “{escape(cut.above)}”</td>"
        + "".join(f'<td class="number">{cell(evaluations[name].cuts[k].auroc)}</td>' for name in shown)
        + "</tr>"
        for k, cut in enumerate(first)
    ]
    table = f"<table><tr><th>cut</th>{head}</tr>{''.join(lines)}</table>"
    return section("AUROC of each cut", "How well rows above each class are told from the others", table)


def _cuts(evaluation: OrdinalEvaluation) -> str:
    lines = "".join(
        f'<tr><td>above “{escape(cut.above)}”</td><td class="number">{cell(cut.auroc)}</td></tr>'
        for cut in evaluation.cuts
    )
    return f"<table><tr><th>cut</th><th>AUROC</th></tr>{lines}</table>"

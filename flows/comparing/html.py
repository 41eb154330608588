"""The comparison's page, part by part."""

from flows.comparing.assemble import Comparison
from pipelines.comparison import sections
from pipelines.comparison.decision import SMALL, Decisions, decisions
from pipelines.comparison.page import comparison_page
from pipelines.evaluate import Evaluation
from pipelines.figures import FIGURES
from pipelines.results import Entry


def html(of: Comparison) -> str:
    """The whole page."""
    data: dict[str, object] = {"runs": [], "small": SMALL}
    parts: list[tuple[str, str]] = []
    if of.shared and of.standing:
        parts = [*_figures(of, data)]
    title = " and ".join(run.name for run in of.runs) if len(of.runs) < 4 else f"{len(of.runs)} runs"
    return comparison_page(f"Comparison of {title}", of.answer, _note(of), of.cautions, parts, data)


def _note(of: Comparison) -> str:
    if not of.shared or not of.standing:
        return "No figure is shown, for none would be fair."
    told = f"On {of.standing.rows:,} test rows of {of.standing.patients:,} patients that the runs share"
    told += f"; {of.shared.left_out:,} others are left out: not test rows of all, or learnt from by one" * bool(
        of.shared.left_out
    )
    told += f"; {of.shared.relabelled:,} whose label differs" * bool(of.shared.relabelled)
    return f"{told}. No patient's row is in this file."


def _figures(of: Comparison, data: dict[str, object]) -> list[tuple[str, str]]:
    assert of.shared and of.standing
    entries, order = of.shared.entries, of.order
    ordered = {name: entries[name] for name in order}
    drawn = dict(list(ordered.items())[: sections.DRAWN])
    parts = []
    if len(order) > 2:
        parts.append(("Who is best", sections.standing_section(of.standing)))
    parts.append(("Metrics", sections.metrics_section(drawn, of.drawn, list(drawn), of.metric)))
    evaluations = sections.of_two_classes({name: entry.evaluation for name, entry in drawn.items()})
    if evaluations:
        decided = {name: _decided(entry, evaluations[name]) for name, entry in drawn.items()}
        data["runs"] = sections.curves_data(evaluations, decided)
        parts.append(("Curves and thresholds", sections.curves_section(evaluations, decided, len(order) - len(drawn))))
    else:
        task = entries[order[0]].evaluation.task
        overlay = FIGURES[task].overlay(list(drawn), {name: entry.evaluation for name, entry in drawn.items()})
        parts.append(("Figures", overlay))
    if of.groups:
        data["forests"] = sections.forests_data(of.groups)
        parts.append(("Subgroups", sections.subgroups_section(of.groups, of.gate.min_patients)))
    return parts


def _decided(entry: Entry, evaluation: Evaluation) -> Decisions:
    at = evaluation.classes.index(evaluation.positive)
    params = evaluation.params
    return decisions(
        entry.target == at,
        entry.predicted[:, at].astype("float64"),
        entry.group,
        confidence=params.confidence,
        resamples=params.resamples,
        seed=params.seed,
    )

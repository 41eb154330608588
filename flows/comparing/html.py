"""The comparison's page, part by part."""

from datetime import UTC, datetime

from flows.comparing.assemble import Comparison
from flows.comparing.recipes import code, machines, packages, params_that_differ
from flows.comparing.runs import Run
from flows.comparing.training import curves, spreads, training
from pipelines.bootstrap import Interval
from pipelines.comparison import recipe_sections, sections
from pipelines.comparison.decision import SMALL, Decisions, decisions
from pipelines.comparison.disagreement import disagreement
from pipelines.comparison.page import comparison_page, note
from pipelines.comparison.recipe_sections import Stored
from pipelines.evaluate import Evaluation
from pipelines.figures import FIGURES
from pipelines.results import Entry
from pipelines.tasks import METRICS


def html(of: Comparison) -> str:
    """The whole page."""
    drawing: dict[str, object] = {"runs": [], "small": SMALL}
    parts: list[tuple[str, str]] = []
    if of.shared and of.standing:
        parts += _figures(of, drawing)
        parts.append(("Training", _training(of, drawing)))
    if of.many:
        parts.insert(0, ("All runs", _stored(of)))
    elif of.stored_only or not of.standing:
        parts.append(("Stored metrics", _stored(of)))
    parts.append(("What differs", _differs(of)))
    if of.shared and len(of.order) == 2 and (found := _disagreement(of)):
        parts.append(("Where the two disagree", found))
    title = " and ".join(run.name for run in of.runs) if len(of.runs) < 4 else f"{len(of.runs)} runs"
    return comparison_page(f"Comparison of {title}", of.answer, _note(of), of.cautions, parts, drawing)


def _note(of: Comparison) -> str:
    if not of.shared or not of.standing:
        return "No figure is shown, for none would be fair."
    on, share = (of.many, "the first was tested on") if of.many else (of.standing, "the runs share")
    told = f"On {on.rows:,} test rows of {on.patients:,} patients that {share}"
    told += f"; {of.shared.left_out:,} others are left out: not test rows of all, or learnt from by one" * bool(
        of.shared.left_out and not of.many
    )
    told += f"; {of.shared.relabelled:,} whose label differs" * bool(of.shared.relabelled)
    return f"{told}. No patient's row is in this file."


def _figures(of: Comparison, drawing: dict[str, object]) -> list[tuple[str, str]]:
    assert of.shared and of.standing
    entries, order = of.shared.entries, of.order
    ordered = {name: entries[name] for name in order}
    drawn = dict(list(ordered.items())[: sections.DRAWN])
    parts = []
    if len(order) > 2 and not of.many:
        parts.append(("Who is best", sections.standing_section(of.standing)))
    parts.append(("Metrics", sections.metrics_section(drawn, of.drawn, list(drawn), of.metric)))
    evaluations = sections.of_two_classes({name: entry.evaluation for name, entry in drawn.items()})
    if evaluations:
        decided = {name: _decided(entry, evaluations[name]) for name, entry in drawn.items()}
        drawing["runs"] = sections.curves_data(evaluations, decided)
        parts.append(("Curves and thresholds", sections.curves_section(evaluations, decided, len(order) - len(drawn))))
    else:
        task = entries[order[0]].evaluation.task
        overlay = FIGURES[task].overlay(list(drawn), {name: entry.evaluation for name, entry in drawn.items()})
        parts.append(("Figures", overlay))
    if of.groups:
        drawing["forests"] = sections.forests_data(of.groups)
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


def _training(of: Comparison, drawing: dict[str, object]) -> str:
    names = of.order[: sections.DRAWN]
    trained = {name: training(of.root, of.judged[name].files) for name in names}
    spread = spreads(of.root, [of.judged[name].run for name in names], of.metric)
    drawn = curves(trained, of.metric)
    drawing["learning"] = drawn
    head = ["run", "family", "epochs (best of all)", "seconds to train", "ms to predict 1,000 rows", "numbers kept"]
    head += ["size", *(["seeds"] if spread else [])]
    lines = [
        [
            name,
            one.family,
            one.epochs or "–",
            "–" if one.seconds is None else f"{one.seconds:,.1f}",
            "–" if one.latency is None else f"{1000 * one.latency:,.3g}",
            "–" if one.numbers is None else f"{one.numbers:,}",
            "–" if one.size is None else f"{max(1, round(one.size / 1000)):,} kB",
            *([str(spread.get(name, "one seed"))] if spread else []),
        ]
        for name, one in trained.items()
    ]
    return recipe_sections.training_section(lines, head, drawn)


def _stored(of: Comparison) -> str:
    """The runs as they were evaluated then, best first; of many each beside the first of them, too."""
    runs = of.stored_only if of.standing and not of.many else of.runs
    names = [name for name in METRICS if any(f"test_{name}" in run.metrics for run in runs)]
    names.sort(key=lambda name: name != of.metric)
    behind = of.many.behind if of.many else {}
    told = [
        Stored(
            name=run.name,
            study=run.study,
            when=f"{datetime.fromtimestamp(run.started / 1000, UTC):%Y-%m-%d %H:%M}" if run.started else "now",
            values=[_interval(run, name) for name in names],
            behind="first" if of.many and run.name == of.many.first else behind.get(run.name),
        )
        for run in runs
    ]
    sign = -1 if METRICS[of.metric].higher_is_better else 1
    values = {run.name: run.metrics.get(f"test_{of.metric}") for run in runs}
    told.sort(key=lambda one: float("inf") if (value := values[one.name]) is None else sign * value)
    return recipe_sections.stored_section(told, names, of.many)


def _interval(run: Run, name: str) -> Interval:
    value, low, high = (run.metrics.get(f"test_{name}{end}") for end in ("", "_low", "_high"))
    return Interval(value=value, low=low, high=high)


def _differs(of: Comparison) -> str:
    names = [run.name for run in of.runs]
    parts = [
        "<h3>Settings</h3>",
        recipe_sections.settings_table(params_that_differ(of.root, of.runs), names, "setting"),
    ]
    judged = list(of.judged.values())[: sections.DRAWN]
    if len(judged) > 1:
        first = judged[0]
        parts.append("<h3>Data</h3>")
        base = of.shared.judged[0].run.name if of.shared else ""
        parts += [
            recipe_sections.data_part(one.run.name, base, of.changed.get(one.run.name))
            for one in judged
            if one.run.name != base
        ]
        parts.append("<h3>Code</h3>")
        changed = {one.run.name: code(of.root, first.files, one.files) for one in judged[1:]}
        parts += [
            recipe_sections.code_part(name, first.run.name, one.stat, one.shaping, one.diff)
            for name, one in changed.items()
            if one
        ] or [note("The same in all.")]
        files = [one.files for one in judged]
        shown = [one.run.name for one in judged]
        parts += ["<h3>Packages</h3>", recipe_sections.settings_table(packages(of.root, files), shown, "package")]
    machine = machines(of.runs)
    parts += ["<h3>Machine</h3>", recipe_sections.settings_table(machine, names, "machine")]
    return "".join(parts)


def _disagreement(of: Comparison) -> str:
    assert of.shared
    first, second = of.order
    columns = of.groups.columns if of.groups else {}
    found = disagreement(
        of.shared.entries[first],
        of.shared.entries[second],
        of.shared.rows,
        of.judged[first].schema.features,
        columns,
        min_patients=of.gate.min_patients,
    )
    return recipe_sections.disagreement_section(found, first, second) if found else ""

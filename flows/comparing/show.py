"""`medloop compare` in the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from contracts.errors import MedloopError
from flows import console, servers, tracking
from flows.comparing import Comparison, compared
from flows.home import find_root
from flows.store import write_text
from pipelines.comparison.many import Many, in_words
from pipelines.comparison.standing import p_text
from pipelines.paired import sign
from pipelines.tasks import METRICS

NOT_COMPARABLE = 3
LISTED = 20  # of many runs in the terminal


def compare_runs(runs: Sequence[str], path: Path | None, by: Sequence[str]) -> int:
    """`medloop compare`: the answer first; with a path, the page too; the exit code."""
    root = find_root()
    servers.prepare_environment(root)
    if path and not path.resolve().parent.is_dir():
        raise MedloopError("there is no such folder", where=str(path.resolve().parent), mend="make it, or name another")
    with tracking.answering(root), console.console.status("comparing"):
        found = compared(root, runs, columns(by))
        if path:
            from flows.comparing.html import html

            write_text(path, html(found))
    _show(found)
    if path:
        console.console.print(f"[green]✓[/] The whole comparison, one file that opens offline: {path}")
    return 0 if found.standing else NOT_COMPARABLE


def columns(by: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """`sex` or `age=40,65` as columns with where they are cut. Raises MedloopError for what is no number."""
    found: dict[str, tuple[float, ...]] = {}
    for one in by:
        name, _, cuts = one.partition("=")
        try:
            found[name] = tuple(float(cut) for cut in cuts.split(",")) if cuts else ()
        except ValueError:
            raise MedloopError(
                f"numbers were expected after =; got {cuts!r}", where=f"--by {one}", mend="--by sex, or --by age=40,65"
            ) from None
    return found


def _show(of: Comparison) -> None:
    console.console.print(f"\n{of.answer}\n", style="bold", markup=False, soft_wrap=True)
    for caution in of.cautions:
        console.warn(caution)
    if of.many:  # p, which decides, before what a narrow terminal leaves out
        header = ["", "run", METRICS[of.metric].label, "p", "behind the first by", "shown to be behind?"]
        console.show_table(header, _many(of, of.many), 2)
        console.show_facts({"p": "corrected for all pairs of runs (Bonferroni)"})
    elif of.standing and of.shared:
        rows = [[str(at), *cells] for at, cells in enumerate(_standing(of), start=1)]
        header = ["", "run", METRICS[of.metric].label, "p", "behind the best by"]
        header += [METRICS[name].label for name in _others(of)]
        console.show_table(header, rows, 2)
        console.show_facts({"rows": f"{of.standing.rows:,} shared test rows of {of.standing.patients:,} patients"})
        if len(rows) > 2:
            console.show_facts({"p": "corrected for all pairs of runs (Holm)"})
    if of.groups:
        console.show_facts({"subgroups": _groups(of)})


def _others(of: Comparison) -> list[str]:
    """The other metrics' names, by which the shared rows' are looked up: these stand in another order."""
    return [name for name in of.judged[of.order[0]].entry.evaluation.metrics if name != of.metric]


def _standing(of: Comparison) -> list[list[str]]:
    assert of.standing and of.shared
    lines = []
    for place in of.standing.places:
        metrics: Mapping[str, object] = of.shared.entries[place.model].evaluation.metrics
        others = [str(metrics.get(name, "")).partition(" ")[0] for name in _others(of)]
        lead = "best" if place.lead is None else str(place.lead)
        p = "" if place.lead is None else _bare(p_text(place.adjusted))
        lines.append([place.model, str(place.value), p, lead, *others])
    return lines


def _bare(p: str) -> str:
    return p.removeprefix("p ").removeprefix("= ")


def _many(of: Comparison, many: Many) -> list[list[str]]:
    """The first runs by their stored value; the page has all."""
    lines = [["1", many.first, str(many.value), "", "first", ""]]
    stored = {run.name: run.metrics.get(f"test_{of.metric}") for run in of.runs}
    order = sorted(many.behind, key=lambda name: -sign(of.metric) * (stored[name] or 0.0))
    for at, name in enumerate(order[: LISTED - 1], start=2):
        p, apart = in_words(many.behind[name])
        value = "–" if stored[name] is None else f"{stored[name]:.3f}"
        lines.append([str(at), name, value, _bare(p), str(many.behind[name].lead), apart])
    more = many.models - len(lines)
    return (
        [*lines, ["", f"and {more:,} more, all of them on the page (--html FILE)", "", "", "", ""]] if more else lines
    )


def _groups(of: Comparison) -> str:
    assert of.groups
    columns = ", ".join(of.groups.columns)
    few = f", {of.groups.few} of fewer than {of.gate.min_patients} patients left out" if of.groups.few else ""
    return f"{len(of.groups.groups)} groups by {columns}{few}; the page (--html FILE) shows each"

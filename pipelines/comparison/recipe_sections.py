"""The parts of a comparison's page that tell what differs, how runs were trained, and where they disagree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from pipelines.bootstrap import Interval
from pipelines.comparison.differs import DataDifference
from pipelines.comparison.disagreement import Disagreement
from pipelines.comparison.many import Behind, Many, in_words
from pipelines.comparison.page import clean, figure, interval, note, runs_key, table, text
from pipelines.tasks import METRICS

LONGEST = 160  # letters of a setting's value


def training_section(lines: Sequence[Sequence[str]], head: Sequence[str], curves: Sequence[Mapping[str, Any]]) -> str:
    """A line a run, then the curves by epoch; `lines` begin with the run's name."""
    keys = runs_key([line[0] for line in lines])
    told = table(list(head), [[key, *map(text, line[1:])] for key, line in zip(keys, lines, strict=True)], "training")
    drawn = "".join(figure(f"learning-{at}", str(of["title"]), "by epoch") for at, of in enumerate(curves))
    said = (
        "Seconds of the training stage on the machine that ran it; milliseconds there in a batch of 200 rows, the "
        "model alone. Nobody measured energy."
    )
    return note(said) + told + (f'<div class="figures">{drawn}</div>' if drawn else "")


def settings_table(found: Mapping[str, Mapping[str, Any]], names: Sequence[str], what: str) -> str:
    """What is not the same in all runs; a line a setting, or of many runs a line a run."""
    if not found:
        return note("The same in all.")
    if len(names) <= 6:
        lines = [[f"<code>{text(name)}</code>", *(_value(of, run) for run in names)] for name, of in found.items()]
        return table([what, *map(text, names)], lines, what)
    head = ["run", *(f"<code>{text(name).replace('.', '.<wbr>')}</code>" for name in found)]
    return table(head, [[text(run), *(_value(of, run) for of in found.values())] for run in names], what)


def _value(of: Mapping[str, Any], run: str) -> str:
    if run not in of:
        return "–"
    told = str(of[run])
    return text(told if len(told) <= LONGEST else f"{told[: LONGEST - 1]}…")


def data_part(name: str, reference: str, of: DataDifference | None) -> str:
    """Rows and columns of a run's data beside the first one's."""
    if of is None:
        return f"<p>{text(name)}: the same samples as {text(reference)}.</p>"
    told = f"<p>{text(name)}: {text(of.sentence)} (beside {text(reference)}).</p>"
    for what, columns in (("New columns", of.columns_added), ("Columns gone", of.columns_removed)):
        told += f"<p>{what}: {', '.join(text(column) for column in columns[:40])}.</p>" if columns else ""
    if not of.drift:
        return told
    lines = [
        [
            text(one.column.replace("@target", "label") if one.column.startswith("@target") else one.column),
            f"{one.changed:,}",
            "–" if one.difference is None else f"{one.difference:+.2f}".replace("-", "−"),
            f"{one.missing[0]:.0%} → {one.missing[1]:.0%}",
        ]
        for one in of.drift
    ]
    said = "Columns that changed most; a standardised difference under 0.1 in size is of no account"
    return told + note(said) + table(["column", "cells changed", "standardised difference", "missing"], lines, said)


def code_part(name: str, reference: str, stat: str, shaping: Sequence[str], diff: str) -> str:
    """What changed in code and settings."""
    which = f"{len(shaping)} files that shaped the model or its figures" if shaping else "none that shaped the model"
    return (
        f"<p>{text(name)} beside {text(reference)}: of the files that changed, {which}"
        + (f": {', '.join(f'<code>{text(path)}</code>' for path in shaping[:12])}" if shaping else "")
        + (f" and {len(shaping) - 12} more" if len(shaping) > 12 else "")
        + f'.</p><details><summary>Files changed</summary><pre tabindex="0">{text(stat)}</pre></details>'
        + (
            f'<details><summary>The changes</summary><pre tabindex="0">{_coloured(diff)}</pre></details>'
            if diff
            else ""
        )
    )


def _coloured(diff: str) -> str:
    def line(said: str) -> str:
        kind = {"+": "add", "-": "del"}.get(said[:1])
        shown = escape(clean(said))
        return f'<span class="{kind}">{shown}</span>' if kind and said[:3] not in ("+++", "---") else shown

    return "\n".join(line(said) for said in diff.splitlines())


def disagreement_section(of: Disagreement, first: str, second: str) -> str:
    """Where two runs call rows differently."""
    said = (
        f"Each at its own threshold, {first} and {second} call {_count(of.differ)} of {of.rows:,} rows differently: "
        f"{first} is right in {_count(of.first_right)} of these, {second} in {_count(of.second_right)}"
        + (f", neither in {_count(of.neither)}" if of.neither else "")
        + ". Counts of fewer than 5 are not told, nor any row."
    )
    scores = table(
        ["probabilities apart by", "rows", "called differently"],
        [[text(name), _count(rows), _count(differ)] for name, rows, differ in of.by_gap],
        "disagreement by score",
    )
    if not of.by_group:
        return note(said) + scores
    groups = table(
        ["group", "rows", "called differently", "share"],
        [
            [text(name), f"{rows:,}", _count(differ), "–" if differ is None else f"{differ / rows:.1%}"]
            for name, rows, differ in of.by_group
        ],
        "disagreement by group",
    )
    return note(said) + scores + "<h3>By subgroup</h3>" + groups


def _count(count: int | None) -> str:
    return "under 5" if count is None else f"{count:,}"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A run as the tracker has it. `behind`: what it is behind the first of many; None where that cannot be told."""

    name: str
    study: str
    when: str
    values: Sequence[Interval]
    behind: Behind | Literal["first"] | None = None


def stored_section(runs: Sequence[Stored], metrics: Sequence[str], many: Many | None) -> str:
    """A line a run: its metrics, the ranking one first, with their intervals; of many what it is behind the first."""
    names = [text(METRICS[name].label) for name in metrics]
    said = "As they were evaluated then, each on its own test rows, with intervals."
    if many:
        said += (
            f" Behind the first: on the {many.rows:,} rows that {many.first} was tested on, for runs that were tested "
            f"on the same; {many.confidence:.0%} intervals of a patient-level bootstrap, p corrected (Bonferroni) for "
            "all pairs, since the first was found on these very rows."
        )
    else:
        said += " Of these, nothing is shown to be better."
    beside = ["behind the first by", "corrected", "shown to be behind?"] if many else []
    head = ["run", *names[:1], *beside, *names[1:], "study", "when"]
    lines = [
        [
            text(one.name),
            *map(interval, one.values[:1]),
            *(_behind(one.behind) if many else []),
            *map(interval, one.values[1:]),
            text(one.study),
            text(one.when),
        ]
        for one in runs
    ]
    return note(said) + table(head, lines, "stored metrics", classes=["", *["n"] * (len(head) - 1)])


def _behind(of: Behind | Literal["first"] | None) -> list[str]:
    if of is None:
        return ["<small>other rows</small>", "", ""]
    return ["first", "", ""] if of == "first" else [interval(of.lead), *in_words(of)]

"""A model card, and the TRIPOD+AI checklist, drafted from what a run recorded; what a person must still say is marked.

Mitchell et al., "Model cards for model reporting", FAT* 2019; Collins et al., "TRIPOD+AI statement: updated guidance
for reporting clinical prediction models that use regression or machine learning methods", BMJ 385, 2024 (items in words
of our own: report by the original).
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from contracts.study import Frozen
from pipelines.comparison.page import clean

TO_FILL = "A person must fill in"


class Facts(Frozen):
    """What is known of a run, each in a sentence or a few; empty where nothing is recorded.

    metrics: label, value with interval. groups: group, rows, value with interval. flow: why rows left, and how many.
    """

    title: str
    study: str
    model: str
    family: str
    run: str
    revision: str
    when: str
    source: str
    question: str
    cohort: str
    predictors: tuple[str, ...]
    protected: str
    read: str
    flow: tuple[tuple[str, str], ...]
    parts: str
    gaps: str
    scaling: str
    balance: str
    training: str
    threshold: str
    calibration: str
    numbers: str
    answer: str
    metrics: tuple[tuple[str, str], ...]
    metric: str
    groups: tuple[tuple[str, str, str], ...]
    certificate: str
    reproduce: str
    software: str


class Part(NamedTuple):
    """A part of the card: what is known, a table, and what a person must still say."""

    heading: str
    known: Sequence[str]
    table: tuple[Sequence[str], Sequence[Sequence[str]]] | None
    missing: Sequence[str]


class Item(NamedTuple):
    """An item of TRIPOD+AI: its number, what it asks, what is drafted, and what a person must still say."""

    number: str
    asks: str
    drafted: str
    missing: str


def parts(of: Facts) -> list[Part]:
    """The card."""
    flow = (("why", "rows"), of.flow) if of.flow else None
    groups = ((of.metric, "rows", "value"), [(name, rows, value) for name, rows, value in of.groups])
    return [
        Part(
            "Model",
            [f"{of.model} ({of.family}) of the study {of.study}: {of.title}.", of.training, of.threshold, of.numbers],
            None,
            ["who made it, who answers for it, and how to reach them", "version and licence under which it is given"],
        ),
        Part(
            "Intended use",
            [of.question],
            None,
            ["who is to use it, for whom, at which point of care, and what follows from its answer",
             "for whom and for what it must not be used"],
        ),
        Part(
            "Data",
            [of.source, of.cohort, of.read, of.parts, of.protected],
            flow,
            ["where and when the people were seen, and how they were chosen",
             "who measured predictors and outcome, and whether they knew one when they measured the other",
             "consent, ethical approval, and the ground on which the data may be used"],
        ),
        Part("Preparation", [of.gaps, of.scaling, of.balance], None, ["why these were chosen"]),
        Part(
            "Performance",
            [of.answer, of.calibration],
            (("metric", "test rows"), of.metrics),
            ["what a clinically useful value would be", "performance at other sites and later times"],
        ),
        Part(
            "Fairness",
            [] if of.groups else ["No subgroup was large enough, or none is declared (gate.subgroups)."],
            groups if of.groups else None,
            ["which differences matter here, and what is done about them"],
        ),
        Part("Proof and reproduction", [of.certificate, of.reproduce, of.software], None, []),
        Part("Limits and risks", [], None, ["known limits, and what can go wrong", "how it is watched once it serves"]),
    ]  # fmt: skip


def checklist(of: Facts) -> list[Item]:
    """The 27 items of TRIPOD+AI."""
    measured = "; ".join(f"{name} {value}" for name, value in of.metrics)
    grouped = "; ".join(f"{name}: {value}" for name, _, value in of.groups)
    left = "; ".join(f"{why}: {rows}" for why, rows in of.flow)
    several = f"{len(of.predictors)} predictors: {', '.join(of.predictors[:30])}"
    several += f" and {len(of.predictors) - 30} more" if len(of.predictors) > 30 else ""
    rows = [
        ("1", "Title says what is developed or evaluated, in whom, for what", of.title, "the final title"),
        ("2", "Abstract by TRIPOD+AI for Abstracts", "", "the abstract"),
        ("3", "Background: context, intended use, known inequalities", "", "all of it"),
        ("4", "Objectives: development, evaluation or both", of.question, "the objective in the field's terms"),
        ("5", "Data: source, dates, how representative", of.source, "dates, and how representative they are"),
        ("6", "Participants: setting, eligibility, treatments", of.cohort, "setting, centres and treatments"),
        ("7", "Preparation of data, the same in all groups",
         " ".join(filter(None, (of.gaps, of.scaling))), "checks that were made by hand"),
        ("8", "Outcome: definition, how and when it was assessed", of.question, "how and by whom it was assessed"),
        ("9", "Predictors: which, how measured, how chosen", several, "why these, and how they were measured"),
        ("10", "Sample size: how it was arrived at", of.parts, "whether it suffices, and by which reckoning"),
        ("11", "Missing data", of.gaps, "why values are missing, and what is left out for that"),
        ("12", "Analysis: use of data, model, training, measures, updating",
         " ".join(filter(None, (of.training, of.parts, of.threshold))), "why this type of model"),
        ("13", "Class imbalance, and recalibration after it", " ".join(filter(None, (of.balance, of.calibration))), ""),
        ("14", "Fairness: approach and its reasons", grouped, "the approach, and which groups"),
        ("15", "What the model gives out, and thresholds", of.threshold, "what the answer means to its user"),
        ("16", "Differences between development and evaluation data", of.parts, "differences in setting, if others'"),
        ("17", "Ethical approval and consent", "", "all of it"),
        ("18", "Open science: funding, interests, protocol, registration, data, code",
         f"{of.reproduce} {of.revision}", "funding, interests, protocol, registration, who may have data and code"),
        ("19", "Patients' and the public's part", "", "all of it"),
        ("20", "Flow and characteristics of participants",
         " ".join(filter(None, (of.read, left and f"{left}.", of.parts))), "characteristics by group, and follow-up"),
        ("21", "Numbers of participants and outcomes in each analysis", of.parts, ""),
        ("22", "The full model, so that it can be used",
         f"{of.run}: weights and fitted steps are kept with the run in MLflow.", "how others may have it"),
        ("23", "Performance with intervals, by key groups", "; ".join(filter(None, (measured, grouped))), ""),
        ("24", "Results of updating, if any", "", "whether it was updated"),
        ("25", "Interpretation, fairness too", "", "all of it"),
        ("26", "Limitations", of.certificate, "representativeness, sample size, bias"),
        ("27", "Use in practice: poor inputs, users' skill, next steps", "", "all of it"),
    ]  # fmt: skip
    return [Item(*row) for row in rows]


def markdown(of: Facts) -> str:
    """The card and the checklist as Markdown."""
    lines = [f"# Model card: {_inline(of.study)}, {_inline(of.model)}", "", _inline(_head(of)), ""]
    for part in parts(of):
        lines += [f"## {part.heading}", "", *(f"{_inline(said)}\n" for said in part.known if said)]
        if part.table:
            head, rows = part.table
            lines += [_row(head), _row(["---"] * len(head)), *(_row(row) for row in rows), ""]
        lines += [*(f"- [ ] **{TO_FILL}:** {said}" for said in part.missing), ""]
    lines += ["## TRIPOD+AI", "", _row(["item", "what it asks", "drafted", TO_FILL.lower()]), _row(["---"] * 4)]
    lines += [_row(item) for item in checklist(of)]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _head(of: Facts) -> str:
    return f"Drafted by medloop from {of.run}, recorded {of.when}. It is no report until a person has filled it in."


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_inline(cell).replace('|', chr(92) + '|') or '–' for cell in cells)} |"


def _inline(said: str) -> str:
    """Any text as a line of Markdown that starts no markup of its own."""
    flat = " ".join(clean(said).split())
    return escape(flat, quote=False).replace("[", "\\[").replace("`", "\\`").replace("*", "\\*").replace("_", "\\_")


STYLE = """
:root{--page:#f4f6f8;--card:#fff;--ink:#1f2933;--soft:#52606d;--line:#dde3e9;--warn:#8a4b00;color-scheme:light dark}
@media screen and (prefers-color-scheme:dark){:root{--page:#11161c;--card:#1a2129;--ink:#e6ebf0;--soft:#aab6c2}}
@media screen and (prefers-color-scheme:dark){:root{--line:#323d49;--warn:#ffce85}}
@media print{:root{--page:#fff;--card:#fff;--ink:#000;--soft:#333;--line:#bbb;--warn:#5a3000}}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,"Segoe UI",Roboto,Arial,sans-serif}
main{max-width:980px;margin:0 auto;padding:28px 18px 48px}h1{font-size:24px;margin:0}h2{font-size:19px;margin:0 0 4px}
section{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px 18px;margin-top:16px}
.scroll{overflow-x:auto}p{margin:4px 0;overflow-wrap:anywhere}.soft{color:var(--soft)}.fill{color:var(--warn)}
table{border-collapse:collapse;width:100%;font-size:15px}ul{margin:6px 0;padding-left:20px}
th,td{text-align:left;vertical-align:top;padding:5px 12px 5px 0;border-bottom:1px solid var(--line)}
td{overflow-wrap:break-word}
th{color:var(--soft);font-size:14px}
"""


def page(of: Facts) -> str:
    """The card and the checklist as one HTML file."""
    body = [_section(part) for part in parts(of)]
    rows = [[item.number, item.asks, item.drafted or "–", item.missing] for item in checklist(of)]
    body.append(_html("TRIPOD+AI", _table(["item", "what it asks", "drafted", TO_FILL.lower()], rows, last="fill")))
    title = escape(clean(f"Model card: {of.study}, {of.model}"))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f'<body><main><h1>{title}</h1><p class="soft">{escape(clean(_head(of)))}</p>{"".join(body)}'
        "</main></body></html>\n"
    )


def _section(part: Part) -> str:
    known = "".join(f"<p>{escape(clean(said))}</p>" for said in part.known if said)
    told = _table(*part.table) if part.table else ""
    asked = "".join(f"<li>{TO_FILL}: {escape(said)}</li>" for said in part.missing)
    return _html(part.heading, f"{known}{told}" + (f'<ul class="fill">{asked}</ul>' if asked else ""))


def _html(heading: str, body: str) -> str:
    return f"<section><h2>{escape(heading)}</h2>{body}</section>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], last: str = "") -> str:
    top = "".join(f'<th scope="col">{escape(clean(cell))}</th>' for cell in head)
    lines = "".join(
        "<tr>"
        + "".join(
            f"<td{f' class={last}' if last and at == len(row) - 1 else ''}>{escape(clean(cell))}</td>"
            for at, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    named = escape(clean(", ".join(head)), quote=True)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="table: {named}"><table>'
        f"<thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def known_share(of: Facts) -> Mapping[str, int]:
    """How many items of the checklist are drafted whole, in part, and not at all."""
    items = checklist(of)
    whole = sum(bool(item.drafted) and not item.missing for item in items)
    part = sum(bool(item.drafted) and bool(item.missing) for item in items)
    return {"drafted": whole, "in part": part, "open": len(items) - whole - part}

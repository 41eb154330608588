"""The parts of a comparison's page that tell figures: metrics, thresholds, subgroups."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.bootstrap import Interval
from pipelines.comparison.decision import SMALL, Decisions
from pipelines.comparison.page import figure, interval, note, runs_key, table, text
from pipelines.comparison.standing import Standing, p_text
from pipelines.comparison.subgroups import Groups, label
from pipelines.evaluate import Evaluation
from pipelines.paired import Draws, holm
from pipelines.paired import paired as paired_of
from pipelines.results import Entry, Result
from pipelines.tasks import METRICS

DRAWN = 6  # runs whose curves are drawn: as many as there are colours


def standing_section(of: Standing) -> str:
    """The models by the primary metric, best first."""
    name = METRICS[of.metric].label
    lines = [
        [
            key,
            interval(place.value),
            "best" if place.lead is None else interval(place.lead),
            "" if place.lead is None else f"{p_text(place.p)} <small>{text(place.test)}</small>",
            "" if place.lead is None else p_text(place.adjusted),
            _told(place.told_apart, first=place.lead is None),
        ]
        for place, key in zip(of.places, runs_key([place.model for place in of.places]), strict=True)
    ]
    many = len(of.places) > 2
    said = (
        f"In brackets the {of.confidence:.0%} interval of a patient-level bootstrap, of one difference alone. "
        + ("p is corrected (Holm) for all pairs of runs, since the best was found on these very rows. " if many else "")
        + "“Shown” takes a corrected p and an interval that leave no difference out, as on a run's leaderboard."
    )
    head = ["run", name, "behind the best by", "p", "corrected", "shown to be behind?"]
    return note(said) + table(head, lines, f"runs by {name}", classes=["", "n", "n", "n", "n"])


def _told(apart: bool, *, first: bool) -> str:
    return "" if first else "yes" if apart else "no, may be chance"


def metrics_section(entries: Mapping[str, Entry], drawn: Draws, order: Sequence[str], primary: str) -> str:
    """Every metric of each run side by side; of two, their paired differences, corrected for the number of metrics."""
    first = entries[order[0]].evaluation
    names = [primary, *(name for name in first.metrics if name != primary)]
    confidence = first.params.confidence
    head = ["metric", *runs_key(order)]
    said = f"In brackets the {confidence:.0%} interval of a patient-level bootstrap. Bold: the best value."
    lines = [_metric_line(name, [entries[run].evaluation.metrics[name] for run in order]) for name in names]
    if len(order) == 2:
        head += [f"{text(order[0])} better by", "p", "corrected"]
        said += (
            " Differences are paired, on the same resamples; p by DeLong (AUROC of two classes), McNemar (accuracy), "
            "else the bootstrap; corrected (Holm) for the number of metrics that are not the primary one. The sentence "
            "at the top says “better” where both p and interval leave no difference out, as a run's leaderboard does."
        )
        for line, cells in zip(lines, _differences(entries, drawn, order, names), strict=True):
            line.extend(cells)
    return note(said) + table(head, lines, "metrics", classes=["", *["n"] * (len(head) - 1)])


def _metric_line(name: str, values: Sequence[Interval]) -> list[str]:
    metric = METRICS[name]
    known = [value.value for value in values if value.value is not None]
    best = (max if metric.higher_is_better else min)(known, default=np.nan)
    aim = "" if metric.higher_is_better else " <small>lower is better</small>"
    cells = [f"<b>{interval(v)}</b>" if v.value == best and len(known) > 1 else interval(v) for v in values]
    return [f"{text(metric.label)}{aim}", *cells]


def _differences(entries: Mapping[str, Entry], drawn: Draws, order: Sequence[str], names: Sequence[str]) -> Any:
    """How much better the first is than the second: the interval, p, and p corrected."""
    best, other = order
    known = set(drawn[best])
    found = {one.metric: one for one in paired_of(entries[other], entries[best], [n for n in names if n in known])}
    rest = [one for name, one in found.items() if name != names[0] and one.p is not None]
    adjusted = dict(zip([one.metric for one in rest], holm([one.p or 0.0 for one in rest]), strict=True))
    for name in names:
        if name not in found:
            yield ["", "", ""]
            continue
        one = found[name]
        corrected = "primary" if name == names[0] else p_text(adjusted.get(name)) if name in adjusted else ""
        p = f"{p_text(one.p)} <small>{one.test}</small>" if one.p is not None else ""
        yield [interval(one.gain), p, corrected]


def curves_section(evaluations: Mapping[str, Evaluation], decided: Mapping[str, Decisions], others: int) -> str:
    """The slider, what it comes to, and the figures that it moves."""
    first = next(iter(decided.values()))
    said = (
        f"Flagged is who has the threshold's probability or more. Predictive values and alerts hold where "
        f"{first.prevalence:.1%} have the outcome, as here. In brackets the intervals: Wilson’s where each patient has "
        f"one row, else of a patient-level bootstrap. What fewer than {SMALL} patients lie behind is left out."
    )
    said += f" Drawn are {len(decided)} of {len(decided) + others} runs." if others else ""
    slider = (
        '<div class="threshold"><label for="threshold">Threshold</label>'
        f'<input id="threshold" type="range" min="1" max="99" step="1" value="{_place(first.prevalence)}">'
        '<output id="threshold-now" for="threshold">each its own</output>'
        '<button type="button" id="threshold-own" aria-pressed="true">Each run at its own</button></div>'
    )
    figures = [
        ("roc", "ROC", "how many of the positive are found, at what false alarms; bands are pointwise"),
        ("pr", "Precision–recall", "how many of the flagged are positive; dotted: the prevalence"),
        ("calibration", "Calibration", "observed by predicted share; below, the share of rows predicted so"),
        ("benefit", "Net benefit", "true alarms less false ones, these weighed by the threshold's odds, a row"),
        ("scores", "Score distributions", "share of the positive (up) and of the negative rows (down) by score"),
    ]
    drawn = "".join(figure(*one) for one in figures)
    return note(said) + slider + _decision_table(decided) + f'<div class="figures">{drawn}</div>' + _matrices(decided)


def _place(threshold: float) -> int:
    """Where a threshold stands on the slider."""
    return min(99, max(1, round(100 * threshold)))


def _decision_table(decided: Mapping[str, Decisions]) -> str:
    names, first = runs_key(list(decided)), next(iter(decided.values()))
    whom = "patients" if first.patients == first.rows else "rows"
    head = ["run", "threshold", "sensitivity", "specificity", "positive predictive value", "negative predictive value",
            f"alerts per 100 {whom}", "net benefit"]  # fmt: skip
    rows = "".join(
        f'<tr id="decision-{at}"><th scope="row">{name}</th>{"<td class=n></td>" * (len(head) - 1)}</tr>'
        for at, name in enumerate(names)
    )
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    return (
        '<div class="scroll" role="region" tabindex="0" aria-label="at the threshold"><table>'
        f"<thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _matrices(decided: Mapping[str, Decisions]) -> str:
    def one(at: int, name: str) -> str:
        lines = "".join(
            f'<tr><th scope="row">{label}</th><td id="{a}-{at}"></td><td id="{b}-{at}"></td></tr>'
            for label, a, b in (
                ("positive", "true_positives", "false_negatives"),
                ("negative", "false_positives", "true_negatives"),
            )
        )
        return (
            f'<table><caption>{name}</caption><thead><tr><th scope="col">truly</th><th scope="col">flagged</th>'
            f'<th scope="col">not flagged</th></tr></thead><tbody>{lines}</tbody></table>'
        )

    tables = "".join(one(at, name) for at, name in enumerate(runs_key(list(decided))))
    return f'<h3>Confusion matrices at the threshold</h3>{note("Rows")}<div class="matrices">{tables}</div>'


def curves_data(evaluations: Mapping[str, Evaluation], decided: Mapping[str, Decisions]) -> list[dict[str, Any]]:
    """What the script draws of each run."""
    return [
        {
            "name": name,
            "threshold": _place(0.5 if of.threshold is None else of.threshold),
            "curve": of.curves[0].model_dump(mode="json", exclude={"label", "prevalence"}),
            "bins": [
                {
                    "predicted": one.predicted,
                    "observed": one.observed.value,
                    "low": one.observed.low,
                    "high": one.observed.high,
                    "share": round(one.rows / of.counts.rows, 4) if one.rows >= SMALL or not one.rows else None,
                }
                for one in of.calibration.bins
            ],
            "decisions": decided[name].model_dump(mode="json"),
        }
        for name, of in evaluations.items()
    ]


def subgroups_section(of: Groups, min_patients: int) -> str:
    """Each run in each group, and how far the others are from the best there."""
    what = label(of)
    said = f"{what} by group, of at least {min_patients} patients"
    said += f"; {of.few} smaller ones are left out." if of.few else "."
    said += (
        " Then by how much each is better than the best (left of 0: worse), paired. Intervals are not corrected for "
        "the number of groups."
    )
    figures = figure("groups", f"{what} of each run", "by group, with intervals") + figure(
        "gains", f"Better than {of.reference} by", "by group, with intervals; left of 0 is worse"
    )
    lines = [
        [
            f"{text(group.column)} {text(group.name)}",
            f"{group.rows:,} <small>of {group.patients:,} patients</small>",
            *(interval(value) for value in group.values.values()),
            *(interval(value) for value in group.gains.values()),
        ]
        for group in of.groups
    ]
    names = list(of.groups[0].values)
    head = ["group", "rows", *runs_key(names), *(f"{text(name)} better by" for name in of.groups[0].gains)]
    told = table(head, lines, "subgroups", classes=["", *["n"] * (len(head) - 1)])
    return note(said) + f'<div class="figures">{figures}</div><details><summary>As a table</summary>{told}</details>'


def forests_data(of: Groups) -> dict[str, Any]:
    """What the script draws of groups."""
    rows = [f"{group.column} {group.name} ({group.rows:,})" for group in of.groups]
    names = list(of.groups[0].values)

    def series(kind: str, name: str) -> dict[str, Any]:
        told = [getattr(group, kind)[name] for group in of.groups]
        ends = {end: [getattr(one, end) for one in told] for end in ("value", "low", "high")}
        return {"name": name, "run": names.index(name), **ends}

    return {
        "groups": {"title": label(of), "rows": rows, "series": [series("values", name) for name in names]},
        "gains": {
            "title": f"{label(of)}, better by",
            "rows": rows,
            "zero": True,
            "series": [series("gains", name) for name in of.groups[0].gains],
        },
    }


def of_two_classes(evaluations: Mapping[str, Result]) -> dict[str, Evaluation]:
    """The evaluations where there is a threshold to choose; none where there is not."""
    found = {name: of for name, of in evaluations.items() if isinstance(of, Evaluation) and of.threshold is not None}
    drawable = [of for of in found.values() if of.curves and of.curves[0].sensitivity]
    return found if len(drawable) == len(evaluations) else {}

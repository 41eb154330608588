"""Pages of results: one self-contained HTML file each, that opens without a network and is the same byte for byte."""

from collections.abc import Mapping, Sequence
from html import escape
from math import nan

from pipelines import charts
from pipelines.bootstrap import Interval
from pipelines.compare import JudgedPart, Leaderboard, behind_text
from pipelines.evaluate import Evaluation
from pipelines.metrics import METRICS
from pipelines.page import page, section
from pipelines.reliability import CALIBRATED

STYLE = """
.pair{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(430px,100%),1fr));column-gap:18px}
.pair section{min-width:0}th,td{overflow-wrap:normal}
th:first-child,td:first-child{white-space:nowrap;position:sticky;left:0;background:#fff}
small{color:#52606d;font-size:14px;font-weight:400}.best{font-weight:700}
"""

# What the metrics of more than two classes say, where it is not what they say of two.
MACRO = {
    "auroc": "how often a row of a class is scored above one of another; each class against the rest, averaged",
    "average_precision": "area under the precision–recall curve; each class against the rest, averaged",
    "precision": "share of the rows given a class that are of it, averaged over the classes",
    "recall": "share of a class’s rows that are given it, averaged over the classes",
    "specificity": "share of the other classes’ rows that are not given a class, averaged over the classes",
    "f1": "harmonic mean of precision and recall, averaged over the classes",
    "brier": "mean squared error of the probabilities, summed over the classes (0 to 2)",
    "ece": "mean gap between the likeliest class’s probability and how often it is right",
}
# How far probabilities lie from what comes true: what each measure is called, and what it says.
DEVIATIONS = {
    "in_the_large": ("Predicted less observed", "mean probability less the share that came true; above 0: too high"),
    "slope": ("Calibration slope", "1 where calibrated; below 1: too extreme, above 1: too cautious"),
    "intercept": ("Calibration intercept", "0 where calibrated, in log-odds, beside the slope"),
    "ece": ("Calibration error", "mean gap between predicted and observed share, bin by bin"),
    "brier": ("Brier score", "mean squared error of the probabilities"),
}
MEND = (
    "Class weights, resampling and losses for rare classes may do this; "
    "train.calibration mends it (prior, platt, temperature, isotonic)."
)
# The notes under the headings for two classes, and for more.
NOTES = {
    "roc": (
        "How many of the positive are found, at what false alarms",
        "Each class against the rest: how many of its rows are found, at what false alarms",
    ),
    "precision_recall": (
        "How many of the flagged are positive",
        "Each class against the rest: how many of the rows given it are of it",
    ),
    "calibration": (
        "Does a predicted 30% come true in 30 of 100?",
        "Is the likeliest class, given 70%, right in 70 of 100?",
    ),
}


def report(evaluation: Evaluation, title: str) -> str:
    """A model's page: the answer in a sentence, the metrics, then ROC, precision–recall, calibration, confusion."""
    drawn = len(charts.PALETTE)
    most = f"; the first {drawn} of {len(evaluation.curves)} classes" if len(evaluation.curves) > drawn else ""
    roc, precision_recall, calibration = (note[_many(evaluation)] for note in NOTES.values())
    sections = [
        section("Metrics", _span(evaluation.params.confidence), _metric_table(evaluation)),
        section("Are the probabilities right?", _calibrated(evaluation), _calibration_table(evaluation)),
        '<div class="pair">',
        section("ROC curve", roc + most, charts.roc(evaluation)),
        section("Precision–recall curve", precision_recall + most, charts.precision_recall(evaluation)),
        section("Calibration", calibration, charts.calibration(evaluation)),
        section("Confusion matrix", _threshold(evaluation), charts.confusion(evaluation)),
        "</div>",
    ]
    return page(title, _answer(evaluation), _counts(evaluation), sections, style=STYLE)


def leaderboard_page(
    leaderboard: Leaderboard, evaluations: Mapping[str, Evaluation], title: str, more: Sequence[str] = ()
) -> str:
    """The comparison's page: the verdict, a forest plot, every metric of every model, the ROC curves on one another.

    `more`: sections that follow.
    """
    label = METRICS[leaderboard.metric].label
    span = _span(leaderboard.confidence)
    key = f"{span} Filled: networks; hollow: simple models; dotted: the best."
    legend = f"{span} Bold: the best value. Differences are paired, on the same resamples."
    shown = [row.model for row in leaderboard.rows][: len(charts.PALETTE)]
    sections = [
        '<div class="pair">',
        section(label, key, charts.forest(leaderboard)),
        section(
            "ROC curves",
            f"The best {len(shown)}; averaged over the classes if more than two",
            charts.roc_overlay(shown, evaluations),
        ),
        "</div>",
        section("All metrics", legend, _board_table(leaderboard)),
        *more,
    ]
    note = _counts(next(iter(evaluations.values())), leaderboard.part)
    if len(leaderboard.rows) > 1:
        note += f" The choice was made on this {leaderboard.part} part, so the best value is a little flattered."
    return page(title, leaderboard.verdict, note, sections, style=STYLE)


def _many(evaluation: Evaluation) -> bool:
    return len(evaluation.classes) > 2


def _span(confidence: float) -> str:
    return f"In brackets the {confidence:.0%} interval of a patient-level bootstrap."


def _counts(evaluation: Evaluation, part: JudgedPart = "test") -> str:
    counts = evaluation.counts
    shown = counts.by_class if _many(evaluation) else {evaluation.positive: counts.positives}
    told = ", ".join(f"{count:,} ({count / counts.rows:.1%}) of class “{label}”" for label, count in shown.items())
    return f"{part.capitalize()} part: {counts.rows:,} rows of {counts.patients:,} patients; {told}."


def _threshold(evaluation: Evaluation) -> str:
    if evaluation.threshold is None:
        return "Rows by true class; the likeliest class is predicted"
    return f"At the threshold {evaluation.threshold:.3g}; shares of each true class"


def _answer(evaluation: Evaluation) -> str:
    auroc = evaluation.metrics["auroc"]
    if auroc.value is None:
        return f"AUROC is undefined: {auroc.reason}."
    if evaluation.threshold is None:
        accuracy = evaluation.metrics["accuracy"]
        return f"AUROC {auroc}, each class against the rest, averaged over the classes; accuracy {accuracy}."
    told = [
        f"AUROC {auroc}: of a positive and a negative row, the positive is scored higher {auroc.value:.0%} of the time"
    ]
    recall, precision = evaluation.metrics["recall"].value, evaluation.metrics["precision"].value
    if recall is not None and precision is not None:
        told.append(
            f"at the threshold {recall:.0%} of the positive are found, {precision:.0%} of the flagged are positive"
        )
    return "; ".join(told) + "."


def _metric_table(evaluation: Evaluation) -> str:
    meaning = {name: metric.meaning for name, metric in METRICS.items()} | (MACRO if _many(evaluation) else {})
    lines = "".join(
        f'<tr><td>{metric.label}</td><td class="number">{_cell(evaluation.metrics[name])}</td>'
        f"<td>{meaning[name]}{'' if metric.higher_is_better else ' (lower is better)'}</td></tr>"
        for name, metric in METRICS.items()
    )
    return f"<table><tr><th>metric</th><th>value</th><th>what it says</th></tr>{lines}</table>"


def _calibrated(evaluation: Evaluation) -> str:
    """Whether a probability can be taken at its word, and what to do where it cannot."""
    now, before = evaluation.calibration.verdict, evaluation.uncalibrated
    whose = "Probabilities of the likeliest class" if _many(evaluation) else "Probabilities"
    if before:
        return f"{whose} are {now}; before recalibration: {before.verdict}."
    if now == CALIBRATED:
        return f"{whose} are {now}."
    return f"{whose} are {now}. {MEND}"


def _calibration_table(evaluation: Evaluation) -> str:
    """Each measure, before recalibration too where there was one."""
    before = evaluation.uncalibrated
    told = (
        {"before": before, "after recalibration": evaluation.calibration}
        if before
        else {"value": evaluation.calibration}
    )
    head = "".join(f"<th>{name}</th>" for name in told)
    lines = [
        "".join(f'<td class="number">{_cell(getattr(found, name))}</td>' for found in told.values())
        for name in DEVIATIONS
    ]
    rows = "".join(
        f"<tr><td>{label}</td>{line}<td>{meaning}</td></tr>"
        for line, (label, meaning) in zip(lines, DEVIATIONS.values(), strict=True)
    )
    return f"<table><tr><th>measure</th>{head}<th>what it says</th></tr>{rows}</table>"


def _board_table(leaderboard: Leaderboard) -> str:
    head = "".join(
        f"<th>{escape(row.model)} <small>{'simple model' if row.baseline else 'network'}</small></th>"
        for row in leaderboard.rows
    )
    behind = "".join(f"<td>{escape(behind_text(row))}</td>" for row in leaderboard.rows)
    names = [leaderboard.metric, *(name for name in METRICS if name != leaderboard.metric)]
    lines = [_board_line(name, [row.metrics[name] for row in leaderboard.rows]) for name in names]
    label = METRICS[leaderboard.metric].label
    lines.insert(1, f"<tr><td>{label} behind the best</td>{behind}</tr>")
    return f"<table><tr><th>metric</th>{head}</tr>{''.join(lines)}</table>"


def _board_line(name: str, values: list[Interval]) -> str:
    metric = METRICS[name]
    told = [value.value for value in values if value.value is not None]
    best = (max if metric.higher_is_better else min)(told, default=nan)
    cells = "".join(
        f'<td class="number{" best" if value.value == best else ""}">{_cell(value)}</td>' for value in values
    )
    aim = "" if metric.higher_is_better else " <small>lower is better</small>"
    return f"<tr><td>{metric.label}{aim}</td>{cells}</tr>"


def _cell(value: Interval) -> str:
    number, _, ends = str(value).partition(" ")
    return f"{number} <small>{escape(ends or value.reason)}</small>"

"""What the pages of results say and show of models of classes."""

from collections.abc import Mapping

from pipelines import charts
from pipelines.compare import JudgedPart
from pipelines.evaluate import Evaluation
from pipelines.page import section
from pipelines.reliability import CALIBRATED
from pipelines.result_tables import cell, in_brackets, metric_table

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
LEFT = "What is left can be learnt from validation rows (train.calibration: platt or isotonic), if that was not done."
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


def answer(evaluation: Evaluation) -> str:
    """What the model is worth, in a sentence."""
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


def counts(evaluation: Evaluation, part: JudgedPart) -> str:
    """Whose rows were judged."""
    rows, shown = evaluation.counts.rows, evaluation.counts.by_class
    if not _many(evaluation):
        shown = {evaluation.positive: evaluation.counts.positives}
    told = ", ".join(f"{count:,} ({count / rows:.1%}) of class “{label}”" for label, count in shown.items())
    return f"{part.capitalize()} part: {rows:,} rows of {evaluation.counts.patients:,} patients; {told}."


def sections(evaluation: Evaluation) -> list[str]:
    """The metrics, then ROC, precision–recall, calibration, confusion."""
    drawn = len(charts.PALETTE)
    most = f"; the first {drawn} of {len(evaluation.curves)} classes" if len(evaluation.curves) > drawn else ""
    roc, precision_recall, calibration = (note[_many(evaluation)] for note in NOTES.values())
    table = metric_table(evaluation, MACRO if _many(evaluation) else {})
    return [
        section("Metrics", in_brackets(evaluation.params.confidence), table),
        section("Are the probabilities right?", _calibrated(evaluation), _calibration_table(evaluation)),
        '<div class="pair">',
        section("ROC curve", roc + most, charts.roc(evaluation)),
        section("Precision–recall curve", precision_recall + most, charts.precision_recall(evaluation)),
        section("Calibration", calibration, charts.calibration(evaluation)),
        section("Confusion matrix", _threshold(evaluation), charts.confusion(evaluation.confusion, evaluation.classes)),
        "</div>",
    ]


def overlay(shown: list[str], evaluations: Mapping[str, Evaluation]) -> str:
    """The ROC curves of the first models on one another."""
    note = f"The best {len(shown)}; averaged over the classes if more than two"
    return section("ROC curves", note, charts.roc_overlay(shown, evaluations))


def _many(evaluation: Evaluation) -> bool:
    return len(evaluation.classes) > 2


def _threshold(evaluation: Evaluation) -> str:
    if evaluation.threshold is None:
        return "Rows by true class; the likeliest class is predicted"
    return f"At the threshold {evaluation.threshold:.3g}; shares of each true class"


def _calibrated(evaluation: Evaluation) -> str:
    """Whether a probability can be taken at its word, and what to do where it cannot."""
    now, before = evaluation.calibration.verdict, evaluation.uncalibrated
    whose = "Probabilities of the likeliest class" if _many(evaluation) else "Probabilities"
    told = f"{whose} are {now}; before recalibration: {before.verdict}." if before else f"{whose} are {now}."
    if now == CALIBRATED:
        return told
    return f"{told} {LEFT if before else MEND}"


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
        "".join(f'<td class="number">{cell(getattr(found, name))}</td>' for found in told.values())
        for name in DEVIATIONS
    ]
    rows = "".join(
        f"<tr><td>{label}</td>{line}<td>{meaning}</td></tr>"
        for line, (label, meaning) in zip(lines, DEVIATIONS.values(), strict=True)
    )
    return f"<table><tr><th>measure</th>{head}<th>what it says</th></tr>{rows}</table>"

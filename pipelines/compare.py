"""Compare: which model is better, by how much, and whether the difference is more than chance."""

from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np
from pydantic import field_validator

from contracts.errors import MedloopError, listed
from contracts.names import nearest
from contracts.study import Frozen
from contracts.tables import Part
from pipelines.bootstrap import SAME, Interval, bootstrap
from pipelines.paired import Beside, beside_best
from pipelines.results import Counts, Entry, Floats, Result
from pipelines.tasks import METRICS

# Below these, one row more or less moves the result.
FEW_ROWS, FEW_OF_CLASS = 50, 10
JudgedPart = Part | Literal["development"]
CHANCE = {"auroc": 0.5, "r2": 0.0, "qwk": 0.0, "cut_auroc": 0.5, "concordance": 0.5, "horizon_auroc": 0.5}


class CompareParams(Frozen):
    """Settings of the comparison.

    `metric`: the one that ranks the models, known by its key in an evaluation; whether high or low is better is known.
    """

    metric: str = "auroc"

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        if metric not in METRICS:
            raise ValueError(f"no metric {metric}{nearest(metric, METRICS)}; there are {', '.join(METRICS)}")
        return metric


class Row(Frozen):
    """A model on the leaderboard.

    `behind`: how much worse than the best, positive when worse whichever way the metric runs, with the interval of
    the paired difference; None for the best itself. `tied`: the best is not shown to be better, by that interval and by
    a p corrected for all pairs of models (`pipelines.paired.Beside`).
    """

    model: str
    baseline: bool
    metrics: dict[str, Interval]
    behind: Interval | None
    tied: bool

    @property
    def level(self) -> bool:
        """Whether no difference from the best is seen, to the decimals shown."""
        return self.behind is not None and self.tied and f"{abs(self.behind.value or 0):.3f}" == "0.000"


class Leaderboard(Frozen):
    """Models on the same rows, best first, and what follows from it in plain words.

    `part`: whose rows: the test part's, the validation part's where settings are chosen, or those of development, all
    but the test part's, where they are judged fold by fold.
    `choice`: the model that the verdict advises: the best, or the best simple model where a larger one's lead over it
    may be chance.
    """

    metric: str
    part: JudgedPart = "test"
    confidence: float
    counts: Counts
    rows: tuple[Row, ...]
    choice: str
    verdict: str


def compare(
    entries: Mapping[str, Entry], params: CompareParams, baselines: Collection[str], part: JudgedPart = "test"
) -> Leaderboard:
    """Rank models and test each against the best on the same patient-level resamples.

    The intervals of the differences are each of the evaluations' confidence: with many models, some will leave
    0 out by chance, and the best of many is a little flattered. So what is told apart takes a corrected p, too.

    Args:
        entries: by the model's name
        params: the metric that ranks
        baselines: names of the simple models, preferred when a larger one is no better
        part: the part that the rows are of

    Raises:
        MedloopError: no entries; models judged on different rows or with different settings; no model for which
            the metric is defined
    """
    _check(entries)
    metric = METRICS[params.metric]
    sign = 1.0 if metric.higher_is_better else -1.0

    def rank(name: str) -> tuple[float, bool, int]:
        value = entries[name].evaluation.metrics[params.metric].value
        return (np.inf if value is None else -sign * value, name not in baselines, list(entries).index(name))

    order = sorted(entries, key=rank)
    top = entries[order[0]].evaluation
    if top.metrics[params.metric].value is None:
        raise MedloopError(
            f"{metric.label} cannot rank the models: {top.metrics[params.metric].reason}",
            mend="give the test part rows of every class, or rank by another metric (compare.metric)",
        )
    drawn = {name: {params.metric: _estimates(entry, params.metric)} for name, entry in entries.items()}
    beside = beside_best(entries, drawn, params.metric, order)
    rows = [_row(name, entries[name].evaluation, params.metric, name in baselines, beside.get(name)) for name in order]
    choice = _choice(rows)
    return Leaderboard(
        metric=params.metric,
        part=part,
        confidence=top.params.confidence,
        counts=top.counts,
        rows=tuple(rows),
        choice=choice.model,
        verdict=_chance(rows, choice, params.metric)
        + _advice(rows, choice, params.metric)
        + small_part(top.counts, part),
    )


def _check(entries: Mapping[str, Entry]) -> None:
    if not entries:
        raise MedloopError("there is no model to compare", mend="train at least one model of the study")
    names = sorted(entries)
    first = entries[names[0]]

    def alike(entry: Entry) -> bool:
        return np.array_equal(entry.target, first.target) and np.array_equal(entry.group, first.group)

    def setting(entry: Entry) -> tuple[object, ...]:
        return entry.evaluation.params, *entry.evaluation.question

    strangers = [name for name in names if not alike(entries[name])]
    if strangers:
        raise MedloopError(
            f"{names[0]} and {listed(strangers)} were not judged on the same test rows in the same order",
            mend="evaluate all models of the study on its present split",
        )
    odd = [name for name in names if setting(entries[name]) != setting(first)]
    if odd:
        raise MedloopError(
            f"{names[0]} was evaluated with other settings, or of another label, than {listed(odd)}",
            mend="evaluate all models with the same `evaluate` section",
        )


def _estimates(entry: Entry, metric: str) -> Floats:
    """The metric on the test rows, then on each resample: (1 + B,)."""
    params = entry.evaluation.params
    statistic = entry.evaluation.statistic(entry.target, entry.predicted, metric)
    drawn = bootstrap(statistic, entry.group, resamples=params.resamples, seed=params.seed)
    return np.concatenate([statistic(np.ones((1, len(entry.target))))[metric], drawn[metric]])


def _row(name: str, evaluation: Result, metric: str, baseline: bool, beside: Beside | None) -> Row:
    behind = beside and beside.lead
    if behind and behind.value is None:
        behind = behind.model_copy(update={"reason": evaluation.metrics[metric].reason})
    return Row(
        model=name,
        baseline=baseline,
        metrics=evaluation.metrics,
        behind=behind,
        tied=bool(beside and beside.lead.value is not None and not beside.told_apart),
    )


def _choice(rows: list[Row]) -> Row:
    """A larger model has to earn its keep against the best simple model."""
    simple = next((row for row in rows if row.baseline), rows[0])
    return simple if simple.tied else rows[0]


def _advice(rows: list[Row], choice: Row, metric: str) -> str:
    best, *others = [row for row in rows if row.metrics[metric].value is not None]
    told = f"{METRICS[metric].label} {best.metrics[metric]}"
    if not others:
        return f"{best.model} stands alone: {told}. Nothing to compare it with."
    *level, last = [best.model, *(row.model for row in others if row.level)]
    if level:
        lead = f"{listed(level)} and {last} are level, no difference seen: {told}."
    else:
        lead = f"{best.model} is best: {told}."
    rival = next((row for row in others if row.baseline != best.baseline), others[0])
    return f"{lead} {_against(best, rival, choice, metric)}".rstrip()


def _against(best: Row, rival: Row, choice: Row, metric: str) -> str:
    """What the best model's lead over its rival, a model of the other kind if there is one, comes to."""
    gap = f"{rival.behind} behind" + (", which may be chance" if rival.tied else "")
    if rival.baseline == best.baseline:
        return "" if rival.level else f"{rival.model} is {gap}."
    prefer = f"prefer the simpler model, {choice.model}."
    if rival.level:
        return f"P{prefer[1:]}"
    if best.baseline:
        advice = prefer if rival.tied else f"use the simpler model, {choice.model}."
        return f"The larger model {rival.model} is {gap}; {advice}"
    if rival.tied:
        return f"The simpler {rival.model} is {gap}; {prefer}"
    earned = "" if _guesses(best, metric) else "; the larger model earns its place"
    return f"The best simple model, {rival.model}, is {gap}{earned}."


def _guesses(row: Row, metric: str) -> bool:
    """Whether the model may be no better than chance, for a metric whose value by chance is known.

    Where all resamples give the same, that is asked of the value itself; how few the rows are is told beside it.
    """
    of = row.metrics[metric]
    least = of.value if of.reason == SAME else of.low
    return metric in CHANCE and (least is None or least <= CHANCE[metric])


def _chance(rows: list[Row], choice: Row, metric: str) -> str:
    if not _guesses(choice, metric):
        return ""
    who = "No model is" if all(_guesses(row, metric) for row in rows) else f"{choice.model} is not"
    return f"{who} shown to be better than chance: "


def small_part(counts: Counts, part: JudgedPart) -> str:
    """A caution where the rows judged are few; nothing where they are not."""
    few = [f"{count} of class {label}" for label, count in counts.by_class.items() if count < FEW_OF_CLASS]
    if counts.rows >= FEW_ROWS and not few:
        return ""
    told = [f"{counts.rows} rows"] if counts.rows < FEW_ROWS else [f"{counts.rows} rows", listed(few)]
    return f" The {part} part is small ({', '.join(told)}): do not rely on this."


def table(leaderboard: Leaderboard) -> list[list[str]]:
    """Rows of text for a terminal, the header first: rank, model, the ranking metric, what it is behind, the rest."""
    rest = [name for name in leaderboard.rows[0].metrics if name != leaderboard.metric]
    header = [
        "",
        "model",
        METRICS[leaderboard.metric].label,
        "behind the best",
        *(METRICS[name].label for name in rest),
    ]
    lines = [
        [
            str(place),
            row.model,
            str(row.metrics[leaderboard.metric]),
            behind_text(row),
            *("–" if (value := row.metrics[name].value) is None else f"{value:.3f}" for name in rest),
        ]
        for place, row in enumerate(leaderboard.rows, start=1)
    ]
    return [header, *lines]


def behind_text(row: Row) -> str:
    """What a row is behind the best, in words."""
    if row.behind is None:
        return "best"
    if row.level:
        return f"{row.behind}, no difference seen"
    return f"{row.behind}, may be chance" if row.tied else str(row.behind)

"""Which of several models is best by one metric, and which of the others cannot be told apart from it.

All are judged on the same rows and the same patient-level resamples. Since the best is chosen on these very rows, its
lead is tested as one of all pairs, not of those with the best alone.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from contracts.errors import listed
from contracts.study import Frozen
from pipelines.bootstrap import Interval, bootstrap, interval
from pipelines.compare import FEW_ROWS
from pipelines.evaluate import Evaluation
from pipelines.metrics import auroc, rank
from pipelines.paired import Draws, beside_best, sign
from pipelines.results import Entry, Floats, Statistic
from pipelines.tasks import METRICS

FEW_PATIENTS = 20


class Place(Frozen):
    """A model beside the best.

    value: the metric. lead: how much better the best is, positive when better whichever way the metric runs, with the
    interval of the paired difference; None of the best itself. p: of no difference, two-sided, by `test`; `adjusted`
    for all pairs (Holm). told_apart: the best is shown to be better, by the adjusted p and by the interval.
    """

    model: str
    value: Interval
    lead: Interval | None = None
    p: float | None = None
    adjusted: float | None = None
    test: str = ""
    told_apart: bool = False


class Standing(Frozen):
    """Models by one metric, best first."""

    metric: str
    confidence: float
    rows: int
    patients: int
    places: tuple[Place, ...]

    @property
    def best(self) -> str:
        """The name of the first."""
        return self.places[0].model

    @property
    def level(self) -> list[str]:
        """Those that cannot be told apart from the best."""
        return [place.model for place in self.places[1:] if not place.told_apart]


def draws(entries: Mapping[str, Entry], metrics: Sequence[str]) -> Draws:
    """By model and metric its value on the rows, then on each resample: (1 + B,)."""
    return {name: _drawn(entry, metrics) for name, entry in entries.items()}


def _drawn(entry: Entry, metrics: Sequence[str]) -> dict[str, Floats]:
    params = entry.evaluation.params
    values = statistic(entry, metrics)
    here = values(np.ones((1, len(entry.target))))
    drawn = bootstrap(values, entry.group, resamples=params.resamples, seed=params.seed)
    return {metric: np.concatenate([here[metric], drawn[metric]]) for metric in metrics}


def statistic(entry: Entry, metrics: Sequence[str]) -> Statistic:
    """Metrics by row weights; the area under the ROC curve alone takes a tenth of the time of all metrics."""
    of = entry.evaluation
    if not isinstance(of, Evaluation) or list(metrics) != ["auroc"]:
        return of.statistics(entry.target, entry.predicted, metrics)
    at = [of.classes.index(of.positive)] if len(of.classes) == 2 else range(len(of.classes))
    rankings = [rank(entry.target == c, entry.predicted[:, c].astype(np.float64)) for c in at]

    def areas(weight: Floats) -> dict[str, Floats]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return {"auroc": np.mean([auroc(*ranking.counts(weight)) for ranking in rankings], axis=0)}

    return areas


def standing(entries: Mapping[str, Entry], drawn: Draws, metric: str) -> Standing:
    """Ranks the models and tests all pairs; those whose metric is undefined come last."""
    any_entry = next(iter(entries.values()))
    confidence = any_entry.evaluation.params.confidence
    order = sorted(entries, key=lambda name: -_or_least(sign(metric) * float(drawn[name][metric][0])))
    places = [Place(model=order[0], value=_value(entries[order[0]], drawn[order[0]], metric))]
    for name, one in beside_best(entries, drawn, metric, order).items():
        value = _value(entries[name], drawn[name], metric)
        places.append(Place(model=name, value=value, **one.model_dump()))
    patients = len(np.unique(any_entry.group))
    return Standing(
        metric=metric, confidence=confidence, rows=len(any_entry.target), patients=patients, places=tuple(places)
    )


def _or_least(value: float) -> float:
    return -np.inf if np.isnan(value) else value


def _value(entry: Entry, drawn: Mapping[str, Floats], metric: str) -> Interval:
    """As it was evaluated; of a measure that is none of the evaluation's, from the resamples."""
    if metric in entry.evaluation.measured:
        return entry.evaluation.measured[metric]
    return interval(float(drawn[metric][0]), drawn[metric][1:], entry.evaluation.params.confidence)


def sentence(of: Standing, harm: str = "") -> str:
    """The answer: which is better, by how much, and whether that can be told.

    harm: what is said of subgroups, where two models were looked at in these.
    """
    label, best = METRICS[of.metric].label, of.places[0]
    if best.value.value is None:
        return f"Cannot tell: {label} is undefined on the shared rows ({best.value.reason or 'too few'})."
    few = ""
    if of.rows < FEW_ROWS or of.patients < FEW_PATIENTS:
        few = f" Only {of.rows:,} rows of {of.patients:,} patients: do not rely on this."
    if len(of.places) == 2:
        return f"{_of_two(of, label)}{f'; {harm}' * bool(harm)}.{few}"
    level = of.level
    if len(level) == len(of.places) - 1:
        told = f"Cannot tell: on {label} none of {len(of.places)} can be told apart from the first"
        return f"{told}, {best.model}, {best.value}.{few}"
    apart = next(place for place in of.places[1:] if place.told_apart)
    told = f"{best.model} is best on {label}, {best.value}"
    lead = _lead(apart, of.confidence, len(of.places))
    if not level:
        return f"{told}; all others are shown to be behind, the next, {apart.model}, by {lead}.{few}"
    return f"{told}; {listed(level)} cannot be told apart from it; {apart.model} is behind by {lead}.{few}"


def _of_two(of: Standing, label: str) -> str:
    best, other = of.places
    if other.lead is None or other.lead.value is None:
        return f"Cannot tell: {label} of {other.model} is undefined on the shared rows"
    if other.told_apart:
        return f"{best.model} is better on {label} by {_lead(other, of.confidence, 2)}"
    if other.lead.value == 0:
        return f"Cannot tell: {best.model} and {other.model} are level on {label}, {best.value}"
    return (
        f"Cannot tell: {best.model} is ahead of {other.model} on {label} by {_lead(other, of.confidence, 2)}, "
        f"which may be chance{_torn(other, of.confidence)}"
    )


def _torn(place: Place, confidence: float) -> str:
    """Why it may be chance, where the interval alone would say that it is none."""
    if place.adjusted is None or place.lead is None or place.lead.low is None or place.lead.low <= 0:
        return ""
    return f": the interval leaves 0 out, but p is not below {1 - confidence:.2g}"


def _lead(place: Place, confidence: float, models: int) -> str:
    """`0.021 (95 % interval 0.008 to 0.034, p = 0.002 after correction)`."""
    lead = place.lead
    if lead is None or lead.value is None:
        return "an amount that is undefined"
    within = [] if lead.low is None else [f"{confidence:.0%} interval {lead.low:.3f} to {lead.high:.3f}"]
    if place.adjusted is not None:
        within.append(p_text(place.adjusted) + (" after correction" if models > 2 else ""))
    return f"{lead.value:.3f} ({', '.join(within)})".replace("-", "−") if within else f"{lead.value:.3f}"


def p_text(p: float | None) -> str:
    """`p = 0.002`, or below what is worth telling."""
    return "p unknown" if p is None else "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"

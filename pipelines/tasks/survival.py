"""Evaluate times to an event: who has it earlier, how large the risk is by the horizon, and whether that comes true.

Rows that were censored count through those that were followed longer: inverse probability of censoring weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from contracts.follow_up import times
from contracts.study import Frozen
from contracts.tasks import Task
from pipelines.bootstrap import Interval, bootstrap, interval, rounded
from pipelines.follow_up import Course, Part, course, parts, spared, watched
from pipelines.metrics import Metric, Ranking, auroc, rank
from pipelines.results import Counts, EvaluateParams, Floats, Result, Statistic, check_rows

METRICS: dict[str, Metric] = {
    "concordance": Metric("Concordance", True, "how often, of two patients, the first to have the event had more risk"),
    "ibs": Metric("Integrated Brier score", False, "mean squared error of the predicted survival, up to the horizon"),
    "horizon_auroc": Metric("AUROC at the horizon", True, "how often one with the event by then had more risk"),
    "horizon_brier": Metric("Brier score at the horizon", False, "mean squared error of the risk by then"),
    "horizon_gap": Metric("Calibration error at the horizon", False, "mean gap between predicted and observed risk"),
}
RANKING = ("concordance", "ibs", "horizon_auroc", "horizon_brier")
THIRDS = ("lowest third of risk", "middle third of risk", "highest third of risk")
MOMENTS = 41  # from 0 to the horizon, at which observed survival is shown
PAIRS = 1 << 24  # of an event and a row that concordance compares; of more, every second, third … event


class RiskBin(Frozen):
    """Rows alike by their predicted risk by the horizon: how many, its mean, and the risk observed (Kaplan–Meier);
    None where the patients are too few."""

    rows: int
    predicted: float | None
    observed: Interval


class Third(Frozen):
    """Survival of the rows of a third of the predicted risks, at MOMENTS equally far apart from 0 to the horizon:
    observed (Kaplan–Meier) with its pointwise interval; `predicted` on average at `contracts.follow_up.times`.
    Empty where the patients are too few, or nobody was followed so long."""

    label: str
    rows: int
    events: int
    observed: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    predicted: tuple[float, ...] = ()


class SurvivalEvaluation(Result):
    """The result of a model of times to an event, told in `unit`.

    By the horizon, `observed_risk` (Kaplan–Meier), and `excess`, the mean predicted risk less that.
    """

    task: ClassVar[Task] = "survival"
    unit: str
    horizon: float
    observed_risk: Interval
    excess: Interval
    bins: tuple[RiskBin, ...]
    thirds: tuple[Third, ...]

    @property
    def measured(self) -> dict[str, Interval]:
        """Metrics, and the excess of the predicted risk."""
        return {**self.metrics, "excess": self.excess}

    @property
    def question(self) -> tuple[object, ...]:
        """The horizon and its unit."""
        return self.horizon, self.unit

    def asked_of(
        self, target: NDArray[Any], predicted: Floats, group: NDArray[Any], params: EvaluateParams, peers: Sequence[Any]
    ) -> "SurvivalEvaluation":
        """The same question asked of other rows."""
        horizon, unit = self.horizon, self.unit
        return evaluate(target=target, predicted=predicted, group=group, horizon=horizon, unit=unit, params=params)

    def statistic(self, target: NDArray[Any], predicted: Floats, metric: str) -> Statistic:
        """The metric from row weights (B, N) to (B,), by its name. Shape: target (N,), predicted (N, 2 + T)."""
        return self.statistics(target, predicted, [metric])

    def statistics(self, target: NDArray[Any], predicted: Floats, metrics: Sequence[str]) -> Statistic:
        """Several metrics, which are worked out together."""
        judged = judge(target, predicted, self.horizon, self.params.bins)

        def statistic(weight: Floats) -> dict[str, Floats]:
            found = scores(judged, weight[:, judged.course.order])
            return {metric: found[metric] for metric in metrics}

        return statistic


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Predictions set beside what happened, all that does not depend on weights worked out, rows by rising time.

    Shape: `survival` (N, T) predicted, `risk` (N,) by the horizon, at `times` (T,); `first` (E,) rows with an event by
    then, `above` (E, N) 1 where such a row's risk is above that of a row known to have had none so early, of equal ones
    one half; `ranking` of the risks, those with the event by then against the rest; `bins` and `thirds` of the risks.
    """

    course: Course
    times: Floats
    survival: Floats
    risk: Floats
    first: NDArray[np.intp]
    above: Floats
    ranking: Ranking
    bins: tuple[Part, ...]
    thirds: tuple[Part, ...]


def evaluate(
    *,
    target: NDArray[np.float64],
    predicted: Floats,
    group: NDArray[Any],
    horizon: float,
    unit: str,
    params: EvaluateParams,
) -> SurvivalEvaluation:
    """Judge predicted times.

    Args:
        target: (N,) as `contracts.follow_up` has it
        predicted: (N, 2 + T) the risk by the horizon, the median time, and survival up to the T `times`
        group: (N,) the patient of each row
        horizon: the time by which the risk is judged, in `unit`

    Raises:
        MedloopError: arrays that do not fit together
    """
    moments = times(horizon)
    check_rows(target, predicted, group, 2 + len(moments))
    judged = judge(target, predicted, horizon, params.bins)
    group = group[judged.course.order]
    here = _statistic(judged, np.ones((1, len(target))))
    drawn = bootstrap(lambda w: _statistic(judged, w), group, resamples=params.resamples, seed=params.seed)
    reason = _reason(judged, horizon, unit)

    def told(name: str) -> Interval:
        return interval(
            float(here[name][0]), drawn[name], params.confidence, reason=reason, reflect=name == "horizon_gap"
        )

    events = int(judged.course.happened.sum())
    return SurvivalEvaluation(
        metrics={name: told(name) for name in METRICS},
        counts=Counts(
            rows=len(target),
            patients=len(np.unique(group)),
            positives=events,
            by_class={"event": events, "censored": len(target) - events},
        ),
        unit=unit,
        horizon=horizon,
        observed_risk=told("observed"),
        excess=told("excess"),
        bins=_bins(judged, here, drawn, group, params),
        thirds=_thirds(judged, here, drawn, group, params),
        params=params,
    )


def judge(target: NDArray[np.float64], predicted: Floats, horizon: float, bins: int) -> Judged:
    """Set predictions beside what happened. Shape: target (N,), predicted (N, 2 + T)."""
    of, moments = course(target), times(horizon)
    risk, survival = predicted[of.order, 0], predicted[of.order, 2:]
    event = np.flatnonzero(of.happened & (of.time <= horizon))
    first = event[:: max(1, -(-len(event) * len(risk) // PAIRS))]
    later = (of.time > of.time[first, None]) | ((of.time == of.time[first, None]) & ~of.happened)
    above = ((risk[first, None] > risk) + 0.5 * (risk[first, None] == risk)) * later
    return Judged(
        course=of,
        times=moments,
        survival=survival,
        risk=risk,
        first=first,
        above=above,
        ranking=rank(of.happened & (of.time <= horizon), risk),
        bins=parts(risk, target[of.order], bins),
        thirds=parts(risk, target[of.order], 3),
    )


def scores(judged: Judged, weight: Floats) -> dict[str, Floats]:
    """Every metric (B,), `observed`, the risk by the horizon, `excess` of the predicted one, and `in_bins` (B, K), the
    observed risk of each bin, for each row of weights (B, N) by rising time; NaN where undefined.

    Concordance is Uno et al.'s (Statistics in Medicine 30, 2011), of events by the horizon; the Brier score Graf et
    al.'s (Statistics in Medicine 18, 1999), integrated from 0; the AUROC of those with the event by the horizon against
    those without one until then is Uno et al.'s (JASA 102, 2007).
    """
    of, horizon = judged.course, judged.times[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        total, followed = weight.sum(axis=1), watched(of, weight)
        beyond = (weight @ (of.time > horizon).astype(np.float64)) > 0
        case = np.where(of.happened & (of.time <= horizon), weight / followed[:, of.place], 0)
        brier = _brier(judged, weight, case, followed)
        ibs = (brier[:, :-1].sum(axis=1) + brier[:, -1] / 2) / len(judged.times)
        hits, alarms = judged.ranking.counts(case + weight * (of.time > horizon))
        observed = 1 - spared(of, weight)[:, of.last(judged.times[-1:])[0]]
        size, expected = (_by_bin(judged, values) for values in (weight, weight * judged.risk))
        in_bins = np.column_stack([1 - part.spared(weight, judged.times[-1:]) for part in judged.bins])
        in_bins[size == 0] = np.nan
        found = {
            "concordance": _concordance(judged, weight, followed),
            "ibs": ibs,
            "horizon_auroc": auroc(hits, alarms),
            "horizon_brier": brier[:, -1],
            "horizon_gap": np.nansum(np.abs(in_bins * size - expected), axis=1) / total,
            "excess": weight @ judged.risk / total - observed,
            "observed": observed,
        }
    return {name: np.where(beyond, value, np.nan) for name, value in found.items()} | {"in_bins": in_bins}


def _brier(judged: Judged, weight: Floats, case: Floats, followed: Floats) -> Floats:
    """At each of the times. Shape: (B, T)."""
    of = judged.course
    over = of.time[:, None] <= judged.times
    of_cases = case @ (over * judged.survival**2)
    of_others = weight @ (~over * (1 - judged.survival) ** 2) / followed[:, of.last(judged.times)]
    return np.asarray((of_cases + of_others) / weight.sum(axis=1, keepdims=True), dtype=np.float64)


def _concordance(judged: Judged, weight: Floats, followed: Floats) -> Floats:
    of, place = judged.course, judged.course.place[judged.first]
    at_risk, events = of.fates(weight)
    stands_for = weight[:, judged.first] / followed[:, place] ** 2
    right = (weight @ judged.above.T * stands_for).sum(axis=1)
    return np.asarray(right / ((at_risk - events)[:, place] * stands_for).sum(axis=1), dtype=np.float64)


def _by_bin(judged: Judged, values: Floats) -> Floats:
    """Sums. Shape: (B, N) -> (B, K)."""
    return np.stack([values[:, part.rows].sum(axis=1) for part in judged.bins], axis=1)


def _statistic(judged: Judged, weight: Floats) -> dict[str, Floats]:
    moments = np.linspace(0, judged.times[-1], MOMENTS)
    return {
        **scores(judged, weight),
        "thirds": np.stack([part.spared(weight, moments) for part in judged.thirds], axis=1),
    }


def _reason(judged: Judged, horizon: float, unit: str) -> str:
    if judged.course.time[-1] <= horizon:
        return f"no row was followed beyond {horizon:g} {unit}".rstrip()
    return "" if len(judged.first) else f"the event happened to none by {horizon:g} {unit}".rstrip()


def _few(rows: NDArray[np.intp], group: NDArray[Any], params: EvaluateParams) -> bool:
    return len(np.unique(group[rows])) < params.min_patients


def _bins(
    judged: Judged, here: dict[str, Floats], drawn: dict[str, Floats], group: NDArray[Any], params: EvaluateParams
) -> tuple[RiskBin, ...]:
    found = []
    for at, (rows, _) in enumerate(judged.bins):
        hidden = Interval(value=None, reason=f"fewer than {params.min_patients} patients")
        observed = interval(float(here["in_bins"][0, at]), drawn["in_bins"][:, at], params.confidence)
        few = _few(rows, group, params)
        mean = None if few else rounded(judged.risk[rows].mean())
        found.append(RiskBin(rows=len(rows), predicted=mean, observed=hidden if few else observed))
    return tuple(found)


def _thirds(
    judged: Judged, here: dict[str, Floats], drawn: dict[str, Floats], group: NDArray[Any], params: EvaluateParams
) -> tuple[Third, ...]:
    ends, found = [(1 - params.confidence) / 2, (1 + params.confidence) / 2], []
    for at, ((rows, own), label) in enumerate(zip(judged.thirds, THIRDS, strict=False)):
        counts = {"rows": len(rows), "events": int(own.happened.sum())}
        curves: dict[str, Floats] = {}
        if not _few(rows, group, params) and own.time[-1] > judged.times[-1]:
            low, high = np.quantile(drawn["thirds"][:, at], ends, axis=0)
            mean = judged.survival[rows].mean(axis=0)
            curves = {"observed": here["thirds"][0, at], "low": low, "high": high, "predicted": mean}
        told = {name: tuple(rounded(value) for value in values) for name, values in curves.items()}
        found.append(Third.model_validate({"label": label, **counts, **told}))
    return tuple(found)

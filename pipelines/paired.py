"""Two models on the same rows: how much better one is, and whether that is more than chance.

Differences are of the same patient-level resamples as on the leaderboard. Beside the bootstrap stand the tests that
the field expects: DeLong's for the AUROC of two classes, McNemar's for accuracy, both in the form that allows several
rows a patient.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError
from contracts.study import Frozen
from pipelines.bootstrap import DEFINED, SAME, Interval, bootstrap, interval
from pipelines.evaluate import Evaluation
from pipelines.metrics import judge
from pipelines.results import Entry, Floats, Statistic
from pipelines.tasks import METRICS

Draws = Mapping[str, Mapping[str, Floats]]
MOST = 12  # models of which every pair is tested
ORDERED = ("auroc", "average_precision")  # what a recalibration of two classes leaves as it was
SHIFTED = 1e-6  # log-odds that differ by less differ by what rounding leaves
DISCORDANT = 25  # from so many discordant rows on the chi-squared of McNemar's test is close


class Paired(Frozen):
    """What a second model is beyond a first by one metric.

    `first`, `second`: the metric of each. `gain`: how much better the second is, positive when better whichever way the
    metric runs, with its interval. `p`: of no difference, two-sided, by `test`; `adjusted` for the other metrics that
    were looked at (Holm). None where undefined.
    """

    metric: str
    first: float | None
    second: float | None
    gain: Interval
    p: float | None
    test: str
    adjusted: float | None = None


def paired(first: Entry, second: Entry, metrics: Sequence[str]) -> list[Paired]:
    """Each metric of two models judged on the same rows, p-values adjusted for their number.

    Raises MedloopError when the rows are not the same, in the same order.
    """
    if not (np.array_equal(first.target, second.target) and np.array_equal(first.group, second.group)):
        raise MedloopError(
            "the two models were not judged on the same rows in the same order", mend="evaluate both on the same rows"
        )
    params, both = second.evaluation.params, _both(first, second, metrics)
    here = both(np.ones((1, len(second.target))))
    drawn = bootstrap(both, second.group, resamples=params.resamples, seed=params.seed)
    found = [_paired(first, second, metric, here[metric][0], drawn[metric]) for metric in metrics]
    known = {one.metric: one.p for one in found if one.p is not None}
    adjusted = dict(zip(known, holm(list(known.values())), strict=True))
    return [one.model_copy(update={"adjusted": adjusted.get(one.metric)}) for one in found]


def of_rows(entry: Entry, at: NDArray[np.bool_]) -> Entry:
    """The entry of these rows (N,) alone; its evaluation stays, for how decisions are made."""
    return replace(entry, target=entry.target[at], predicted=entry.predicted[at], group=entry.group[at])


def _both(first: Entry, second: Entry, metrics: Sequence[str]) -> Statistic:
    """Each metric of both from row weights (B, N): (B, 2)."""
    of = [one.evaluation.statistics(one.target, one.predicted, metrics) for one in (first, second)]

    def both(weight: Floats) -> dict[str, Floats]:
        one, other = (statistic(weight) for statistic in of)
        return {metric: np.column_stack([one[metric], other[metric]]) for metric in metrics}

    return both


def _paired(first: Entry, second: Entry, metric: str, here: Floats, drawn: Floats) -> Paired:
    one_by_one, params = np.vstack([here, drawn]), second.evaluation.params
    better = gain(metric, one_by_one[:, 0], one_by_one[:, 1], params.confidence)
    if better.reason == SAME and not better.value and _one_model(first, second, metric):
        better = Interval(value=0.0, low=0.0, high=0.0)  # no other row would tell them apart
    p, test = _tested(first, second, metric, sign(metric) * (one_by_one[:, 1] - one_by_one[:, 0]))
    one, other = (_number(float(of)) for of in here)
    return Paired(metric=metric, first=one, second=other, gain=better, p=p, test=test)


def _one_model(first: Entry, second: Entry, metric: str) -> bool:
    """Whether both say the same of every row; of what goes by the order alone, but for one shift of all log-odds."""
    said = first.predicted, second.predicted
    if np.array_equal(said[0], said[1]):
        return True
    if metric not in ORDERED or second.evaluation.task != "classes" or {of.shape[1:] for of in said} != {(2,)}:
        return False
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = (np.log(of[:, 1]) - np.log(of[:, 0]) for of in said)
        return bool(np.ptp(other - one) < SHIFTED)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 6)


def sign(metric: str) -> float:
    """1 where more of the metric is better, else -1."""
    return 1.0 if METRICS[metric].higher_is_better else -1.0


def gain(metric: str, first: Floats, second: Floats, confidence: float) -> Interval:
    """How much better the second is, positive when better whichever way the metric runs. Shape: (1 + B,) each."""
    gains = sign(metric) * (second - first)
    return interval(float(gains[0]), gains[1:], confidence, reason="undefined on these rows")


class Beside(Frozen):
    """A model beside the best of several.

    lead: how much better the best is, with the interval of the paired difference. p: of no difference, two-sided, by
    `test`; `adjusted` for all pairs of models, since the best was found on these very rows. told_apart: the best is
    shown to be better, by the adjusted p and by the interval.
    """

    lead: Interval
    p: float | None
    adjusted: float | None
    test: str
    told_apart: bool


def beside_best(entries: Mapping[str, Entry], drawn: Draws, metric: str, order: Sequence[str]) -> dict[str, Beside]:
    """By name each model but the best, which is the first of `order`. Shape: drawn[name][metric] (1 + B,).

    Up to MOST models p is corrected by Holm's method, for which every pair is tested; of more by Bonferroni's.
    """
    best, *others = order
    confidence = entries[best].evaluation.params.confidence
    pairs = list(combinations(order, 2)) if len(order) <= MOST else [(best, name) for name in others]
    found = {
        (one, two): _tested(entries[two], entries[one], metric, drawn[one][metric] - drawn[two][metric])
        for one, two in pairs
    }
    known = {pair: p for pair, (p, _) in found.items() if p is not None}
    count = len(order) * (len(order) - 1) // 2
    corrected = holm(list(known.values())) if len(order) <= MOST else [min(1.0, p * count) for p in known.values()]
    adjusted = dict(zip(known, corrected, strict=True))
    return {
        name: _beside(gain(metric, drawn[name][metric], drawn[best][metric], confidence), adjusted.get((best, name)),
                      *found[best, name], confidence)
        for name in others
    }  # fmt: skip


def _beside(lead: Interval, adjusted: float | None, p: float | None, test: str, confidence: float) -> Beside:
    apart = adjusted is not None and adjusted < 1 - confidence and lead.low is not None and lead.low > 0
    return Beside(lead=lead, p=p, adjusted=adjusted, test=test, told_apart=apart)


def _tested(first: Entry, second: Entry, metric: str, gains: Floats) -> tuple[float | None, str]:
    """The p of no difference, and of which test. Shape: gains (1 + B,), those of the resamples after the rows' own."""
    if np.isnan(gains[0]) or np.isnan(gains[1:]).mean() > 1 - DEFINED:
        return None, "none"
    one, two = first.evaluation, second.evaluation
    if isinstance(one, Evaluation) and isinstance(two, Evaluation):
        if metric == "auroc" and len(two.classes) == 2:
            at = two.classes.index(two.positive)
            p = delong(second.target == at, first.predicted[:, at], second.predicted[:, at], second.group)
            return (None, "none") if np.isnan(p) else (p, "DeLong")
        if metric == "accuracy":
            return mcnemar(_right(first, one), _right(second, two), second.group), "McNemar"
    return bootstrap_p(gains[1:]), "bootstrap"


def _right(entry: Entry, of: Evaluation) -> NDArray[np.bool_]:
    positive = of.classes.index(of.positive)
    judged = judge(entry.target, entry.predicted, threshold=of.threshold, positive=positive, bins=of.params.bins)
    return np.asarray(judged.hit.sum(axis=1) > 0)


def bootstrap_p(drawn: Floats) -> float:
    """The two-sided p of no difference: the least confidence at which the percentile interval holds 0, from 1.

    Shape: (B,) differences on resamples, NaN left out. Never below 2/(B + 1), for more no B resamples can tell
    (Davison & Hinkley, "Bootstrap Methods and their Application", 1997, chapter 4).
    """
    defined = drawn[~np.isnan(drawn)]
    least = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (least + 1) / (len(defined) + 1))


def delong(truth: NDArray[np.bool_], first: Floats, second: Floats, group: NDArray[Any]) -> float:
    """The two-sided p of two AUROCs being equal, on the same rows.

    DeLong, DeLong & Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
    characteristic curves", Biometrics 44, 1988; rows of one patient go together as in Obuchowski, "Nonparametric
    analysis of clustered ROC curve data", Biometrics 53, 1997, which is DeLong's where each patient has one row.
    NaN without two patients who have positive rows and two who have negative ones. Shape: all (N,).
    """
    from scipy.stats import norm

    hits, misses = (np.stack(of) for of in zip(_components(truth, first), _components(truth, second), strict=True))
    of_positive, of_negative = hits[1] - hits[0], misses[1] - misses[0]
    gap = of_positive.mean()
    patient = np.unique(group, return_inverse=True)[1]
    positives, above = _by_patient(patient, truth, of_positive - gap)
    negatives, below = _by_patient(patient, ~truth, of_negative - gap)
    if min(positives, negatives) < 2:
        return float("nan")
    m, n, patients = int(truth.sum()), int((~truth).sum()), len(above)
    variance = (
        positives / (positives - 1) * (above**2).sum() / m**2
        + negatives / (negatives - 1) * (below**2).sum() / n**2
        + 2 * patients / (patients - 1) * (above * below).sum() / (m * n)
    )
    if variance <= 1e-18:
        return 1.0 if abs(gap) < 1e-12 else 0.0
    return float(2 * norm.sf(abs(gap) / np.sqrt(variance)))


def _components(truth: NDArray[np.bool_], score: Floats) -> tuple[Floats, Floats]:
    """By positive row the share of negative rows below it, by negative row that of positive ones above; ties half."""
    from scipy.stats import rankdata

    ranks = rankdata(score)
    m, n = int(truth.sum()), int((~truth).sum())
    above = (ranks[truth] - rankdata(score[truth])) / max(n, 1)
    below = 1 - (ranks[~truth] - rankdata(score[~truth])) / max(m, 1)
    return above, below


def _by_patient(patient: NDArray[np.intp], chosen: NDArray[np.bool_], values: Floats) -> tuple[int, Floats]:
    """How many patients have chosen rows, and the sum of each patient's values of these; 0 for others."""
    sums = np.bincount(patient[chosen], weights=values, minlength=patient.max() + 1)
    return len(np.unique(patient[chosen])), np.asarray(sums, dtype=np.float64)


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_], group: NDArray[Any]) -> float:
    """The two-sided p of two models being right equally often on the same rows.

    McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12, 1947: exact where patients have one row each and few are discordant, else chi-squared, in which
    the rows of a patient go together (Yang, Sun & Hardin, "A note on the tests for clustered matched-pair binary
    data", Biometrical Journal 52, 2010). Shape: all (N,), true where the model is right.
    """
    from scipy.stats import binomtest, chi2

    patient = np.unique(group, return_inverse=True)[1]
    gained, lost = second & ~first, first & ~second
    count, better = int((gained | lost).sum()), int(gained.sum())
    if not count:
        return 1.0
    if len(patient) == patient.max() + 1 and count < DISCORDANT:
        return float(binomtest(better, count).pvalue)
    net = np.bincount(patient, weights=gained.astype(np.float64) - lost)
    squares = float((net**2).sum())
    return float(chi2.sf(net.sum() ** 2 / squares, 1)) if squares else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """P-values adjusted so that the chance of any false alarm among them keeps its level.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    values = np.asarray(p, dtype=np.float64)
    adjusted, worst = values.copy(), 0.0
    for place, at in enumerate(np.argsort(values, kind="stable")):
        worst = max(worst, min(1.0, (len(values) - place) * values[at]))
        adjusted[at] = worst
    return [float(one) for one in adjusted]

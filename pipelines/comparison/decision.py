"""What a model of two classes comes to at each threshold: who is found, at what false alarms and net benefit.

Everything lies on a fixed grid of thresholds, so that no row's own score can be read off; what is of few
patients is blank.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.study import Frozen
from pipelines.bootstrap import bootstrap
from pipelines.results import Floats

GRID: Floats = np.linspace(0, 1, 101)
SMALL = 5  # patients; of fewer, but some, no figure is shown
BINS = 20
RATES = ("sensitivity", "specificity", "ppv", "npv", "alerts")

Numbers = tuple[float | None, ...]


class Band(Frozen):
    """A figure at each threshold of GRID with its interval's ends; None where too few rows lie behind it."""

    value: Numbers
    low: Numbers
    high: Numbers


class Decisions(Frozen):
    """A model at each threshold of GRID.

    true_positives … : rows, None where those or their counterpart are of 1 to SMALL - 1 patients.
    sensitivity, specificity, ppv, npv (predictive values): shares; alerts: share of all rows that are flagged.
    net_benefit: true positives less false ones, these weighed by the odds of the threshold, a row (Vickers & Elkin,
    "Decision curve analysis: a novel method for evaluating prediction models", Medical Decision Making 26, 2006).
    positive, negative: share of the class's rows by score, in BINS equal bins; None where a few patients lie there.
    """

    prevalence: float
    rows: int
    patients: int
    true_positives: tuple[int | None, ...]
    false_positives: tuple[int | None, ...]
    false_negatives: tuple[int | None, ...]
    true_negatives: tuple[int | None, ...]
    sensitivity: Band
    specificity: Band
    ppv: Band
    npv: Band
    alerts: Band
    net_benefit: Band
    positive: Numbers
    negative: Numbers


def decisions(
    truth: NDArray[np.bool_],
    score: Floats,
    group: NDArray[Any],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Decisions:
    """Works it all out on the grid. Intervals: Wilson's where each patient has one row, else by patient bootstrap.

    Shape: all (N,); `truth` where the row is of the positive class, `score` its probability, `group` the patient.
    """
    statistic, hidden = _flagged(truth, score), _hidden(truth, score, group)
    counts = statistic(np.ones((1, len(truth))))
    drawn = bootstrap(statistic, group, resamples=resamples, seed=seed)
    tp, fp = counts["tp"][0], counts["fp"][0]
    positives, negatives = float(truth.sum()), float((~truth).sum())
    fn, tn = positives - tp, negatives - fp
    single = len(np.unique(group)) == len(group)
    bands = {}
    for name, (part, whole) in _rates(tp, fp, positives, negatives).items():
        again = _rates(drawn["tp"], drawn["fp"], drawn["positives"], drawn["negatives"])[name]
        ends = wilson(part, whole, confidence) if single else _quantiles(*again, confidence)
        bands[name] = _band(_share(part, whole), *ends, hidden[name])
    return Decisions(
        prevalence=round(positives / len(truth), 6),
        rows=len(truth),
        patients=len(np.unique(group)),
        true_positives=_cells(tp, hidden["sensitivity"]),
        false_negatives=_cells(fn, hidden["sensitivity"]),
        false_positives=_cells(fp, hidden["specificity"]),
        true_negatives=_cells(tn, hidden["specificity"]),
        **bands,
        net_benefit=_benefit(tp, fp, drawn, len(truth), confidence, hidden["ppv"]),
        positive=_histogram(score[truth], group[truth]),
        negative=_histogram(score[~truth], group[~truth]),
    )


def _flagged(truth: NDArray[np.bool_], score: Floats) -> Any:
    """From row weights (B, N) the true and false positives at each threshold (B, 101), and both classes' weight (B, 1).

    A row is flagged whose score is the threshold or more.
    """
    order = np.argsort(score, kind="stable")
    start = np.searchsorted(score[order], GRID, side="left")
    sorted_truth = truth[order].astype(np.float64)

    def above(weight: Floats) -> Floats:
        below = np.concatenate([np.zeros((len(weight), 1)), np.cumsum(weight, axis=1)], axis=1)
        return np.asarray(below[:, -1:] - below[:, start])

    def statistic(weight: Floats) -> dict[str, Floats]:
        ranked = weight[:, order]
        hits, all_flagged = above(ranked * sorted_truth), above(ranked)
        positives = (ranked @ sorted_truth)[:, None]
        total = ranked.sum(axis=1, keepdims=True)
        return {"tp": hits, "fp": all_flagged - hits, "positives": positives, "negatives": total - positives}

    return statistic


def _rates(tp: Floats, fp: Floats, positives: Any, negatives: Any) -> dict[str, tuple[Floats, Floats]]:
    """By name the counts above and below the line of each share."""
    full = np.zeros_like(tp)
    fn, tn = positives - tp, negatives - fp
    return {
        "sensitivity": (tp, full + positives),
        "specificity": (tn, full + negatives),
        "ppv": (tp, tp + fp),
        "npv": (tn, tn + fn),
        "alerts": (tp + fp, full + positives + negatives),
    }


def wilson(part: Floats, whole: Floats, confidence: float) -> tuple[Floats, Floats]:
    """The score interval of a share of independent rows; NaN of none.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    """
    from scipy.stats import norm

    z = float(norm.ppf((1 + confidence) / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        share, grown = part / whole, 1 + z**2 / whole
        middle = (share + z**2 / (2 * whole)) / grown
        reach = z * np.sqrt(share * (1 - share) / whole + z**2 / (4 * whole**2)) / grown
    return np.clip(middle - reach, 0, 1), np.clip(middle + reach, 0, 1)


def net_benefit(tp: Floats, fp: Floats, rows: Any, threshold: Floats = GRID) -> Floats:
    """Vickers & Elkin (2006): (TP - FP · t / (1 - t)) / N; NaN at 1, where a false alarm would weigh infinitely."""
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = np.where(threshold < 1, threshold / (1 - threshold), np.nan)
    return np.asarray((tp - fp * odds) / rows)


def _benefit(
    tp: Floats, fp: Floats, drawn: dict[str, Floats], rows: int, confidence: float, hidden: NDArray[np.bool_]
) -> Band:
    again = net_benefit(drawn["tp"], drawn["fp"], drawn["positives"] + drawn["negatives"])
    low, high = np.quantile(again, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return _band(net_benefit(tp, fp, rows), low, high, hidden)


def _quantiles(part: Floats, whole: Floats, confidence: float) -> tuple[Floats, Floats]:
    import warnings

    with warnings.catch_warnings():  # a threshold that flags nobody in any resample
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanquantile(_share(part, whole), [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return low, high


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def few(count: Floats) -> NDArray[np.bool_]:
    """Where there are some rows, and fewer than may be shown."""
    return np.asarray((count > 0) & (count < SMALL))


def _cells(count: Floats, hidden: NDArray[np.bool_]) -> tuple[int | None, ...]:
    """Counts; where one of two whose sum is known is small, both are hidden, for it would be read off the other."""
    return tuple(None if h else round(v) for v, h in zip(count, hidden, strict=True))


def _hidden(truth: NDArray[np.bool_], score: Floats, group: NDArray[Any]) -> dict[str, NDArray[np.bool_]]:
    """By rate, at which thresholds a few patients, but some, lie behind one of the two counts that it is made of."""
    everyone = np.ones(len(truth), dtype=bool)
    found = {
        name: _patients(score[rows], group[rows])
        for name, rows in (("positive", truth), ("negative", ~truth), ("all", everyone))
    }
    (tp, fn), (fp, tn), (flagged, rest) = found["positive"], found["negative"], found["all"]
    pairs = {
        "sensitivity": (tp, fn),
        "specificity": (tn, fp),
        "ppv": (tp, fp),
        "npv": (tn, fn),
        "alerts": (flagged, rest),
    }
    return {name: few(one) | few(other) for name, (one, other) in pairs.items()}


def _patients(score: Floats, group: NDArray[Any]) -> tuple[Floats, Floats]:
    """How many patients have a row at each threshold or above, and below."""
    names, patient = np.unique(group, return_inverse=True)
    highest, lowest = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    np.maximum.at(highest, patient, score)
    np.minimum.at(lowest, patient, score)
    return (
        (highest[:, None] >= GRID).sum(axis=0).astype(np.float64),
        (lowest[:, None] < GRID).sum(axis=0).astype(np.float64),
    )


def _band(value: Floats, low: Floats, high: Floats, hidden: NDArray[np.bool_]) -> Band:
    told = [np.where(hidden | np.isnan(value), np.nan, of) for of in (value, low, high)]
    return Band(value=numbers(told[0]), low=numbers(told[1]), high=numbers(told[2]))


def numbers(values: Floats) -> Numbers:
    """Plain numbers of four decimals, None for NaN."""
    return tuple(None if np.isnan(v) else round(float(v), 4) + 0.0 for v in values)


def _histogram(score: Floats, group: NDArray[Any]) -> Numbers:
    """The share of rows in each bin; none where they are of a few patients."""
    place = np.minimum((score * BINS).astype(int), BINS - 1)
    rows = np.bincount(place, minlength=BINS).astype(np.float64)
    patients = np.array([len(np.unique(group[place == b])) for b in range(BINS)], dtype=np.float64)
    return numbers(np.where(few(patients), np.nan, rows / max(len(score), 1)))

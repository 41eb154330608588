"""Are gaps completely at random? Little's test, and the normal distribution with gaps that it rests on.

Little, "A test of missing completely at random for multivariate data with missing values", J. Am. Stat. Assoc. 83,
1988. Each pattern of gaps has its own means of what is known; if gaps are completely at random, they scatter about
the common means as the common covariance says.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.study import Frozen
from pipelines.regression import Array

COLUMNS = 12
MOST_GAPS = 0.5
ALIKE = 0.99
FEWEST_ROWS, MOST_ROWS = 30, 5000
AT_ONCE = 100_000  # ids that are Python texts at a time
ROUNDS, CLOSE = 100, 1e-4
RIDGE = 1e-6


class Little(Frozen):
    """The test's chi-squared statistic, degrees of freedom and p; or the reason why there is none.

    columns: the numeric columns tested.
    """

    columns: tuple[str, ...] = ()
    statistic: float | None = None
    freedom: int | None = None
    p: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Pattern:
    """The rows that have a value in the same columns: those columns, how many rows, their sums (O,) and (O, O)."""

    known: NDArray[np.intp]
    rows: int
    sums: Array
    products: Array


def little(samples: pd.DataFrame, numeric: list[str]) -> Little:
    """Little's test on at most 12 of the `numeric` columns: half with the most gaps, half with the fewest.

    Columns missing in more than half of the rows, and near copies of another, are left out; at most 5000 rows enter,
    chosen by their `@id`. Values enter as normal scores of their ranks: completely random gaps stay so, and skewed
    values keep the level of the test. Rows are taken as independent.
    """
    samples = some_rows(samples)
    chosen = _chosen(samples[numeric])
    if len(chosen) < 2 or not samples[chosen].isna().any().any():
        return Little(reason="it takes two numeric columns, one with gaps in up to half of the rows")
    table = _normal_scores(samples[chosen].dropna(how="all"))
    if len(table) < FEWEST_ROWS:
        return Little(reason=f"fewer than {FEWEST_ROWS} rows")
    patterns = _patterns(table)
    statistic, freedom = _statistic(patterns, *_fit(patterns, table.shape[1]))
    if not freedom:
        return Little(reason="all rows have the same gaps")
    from scipy.special import chdtrc

    p = float(chdtrc(freedom, statistic))
    return Little(columns=tuple(chosen), statistic=round(statistic, 3), freedom=freedom, p=float(f"{p:.3g}"))


def some_rows(samples: pd.DataFrame) -> pd.DataFrame:
    """At most 5000 rows, chosen by their `@id`: more would take time and find what is too little to matter."""
    if len(samples) <= MOST_ROWS:
        return samples
    ids = samples["@id"].astype(str)
    parts = (ids.iloc[start : start + AT_ONCE].to_numpy(dtype=object) for start in range(0, len(ids), AT_ONCE))
    order = np.concatenate([pd.util.hash_array(part, categorize=False) for part in parts])
    return samples.iloc[np.sort(np.argsort(order, kind="stable")[:MOST_ROWS])]


def _chosen(values: pd.DataFrame) -> list[str]:
    share = values.isna().mean()
    fit = [n for n in values.columns if share[n] <= MOST_GAPS and values[n].max() > values[n].min()]
    by_gaps = sorted(fit, key=lambda name: (-share[name], name))
    alternating = [name for pair in zip(by_gaps, reversed(by_gaps), strict=True) for name in pair]
    chosen, ranks = list[str](), values[fit].rank()
    for name in dict.fromkeys(alternating):
        if len(chosen) < COLUMNS and not (ranks[chosen].corrwith(ranks[name]).abs() > ALIKE).any():
            chosen.append(name)
    return sorted(chosen)


def _normal_scores(values: pd.DataFrame) -> Array:
    """(N, K) of mean 0 and deviation 1."""
    from scipy.special import ndtri

    scores = ndtri(((values.rank() - 0.5) / values.count()).to_numpy(dtype=np.float64))
    return np.asarray((scores - np.nanmean(scores, axis=0)) / np.nanstd(scores, axis=0))


def _patterns(table: Array) -> list[Pattern]:
    known = ~np.isnan(table)
    kinds, kind = np.unique(known, axis=0, return_inverse=True)
    order = np.argsort(kind, kind="stable")
    starts = np.searchsorted(kind[order], np.arange(len(kinds) + 1))
    patterns = []
    for place, columns in enumerate(kinds):
        rows = table[order[starts[place] : starts[place + 1]]][:, columns]
        patterns.append(Pattern(np.flatnonzero(columns), len(rows), rows.sum(axis=0), rows.T @ rows))
    return patterns


def _fit(patterns: list[Pattern], width: int) -> tuple[Array, Array]:
    """Mean (K,) and covariance (K, K) of greatest likelihood, by EM (Dempster, Laird and Rubin, 1977)."""
    mean, covariance = np.zeros(width), np.eye(width)
    total = sum(pattern.rows for pattern in patterns)
    for _ in range(ROUNDS):
        sums, products = np.zeros(width), np.zeros((width, width))
        for pattern in patterns:
            _expect(pattern, mean, covariance, sums, products)
        before = mean, covariance
        mean = sums / total
        covariance = products / total - np.outer(mean, mean) + RIDGE * np.eye(width)
        if max(np.abs(mean - before[0]).max(), np.abs(covariance - before[1]).max()) < CLOSE:
            break
    return mean, covariance


def _expect(pattern: Pattern, mean: Array, covariance: Array, sums: Array, products: Array) -> None:
    """Adds what the pattern's rows are expected to sum to, (K,) and (K, K): their gaps given what they have."""
    known = pattern.known
    # Rows of x become `complete` @ x + `shift`; both are 1 and 0 for what is known.
    complete = np.linalg.solve(covariance[np.ix_(known, known)], covariance[known]).T
    complete[known] = np.eye(len(known))
    shift = mean - complete @ mean[known]
    whole = complete @ pattern.sums
    sums += whole + pattern.rows * shift
    products += complete @ pattern.products @ complete.T + np.outer(whole, shift) + np.outer(shift, whole)
    products += pattern.rows * (np.outer(shift, shift) + covariance - complete @ covariance[known])


def _statistic(patterns: list[Pattern], mean: Array, covariance: Array) -> tuple[float, int]:
    statistic = 0.0
    for pattern in patterns:
        away = pattern.sums / pattern.rows - mean[pattern.known]
        within = covariance[np.ix_(pattern.known, pattern.known)]
        statistic += pattern.rows * float(away @ np.linalg.solve(within, away))
    return statistic, sum(len(pattern.known) for pattern in patterns) - len(mean)

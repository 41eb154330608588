"""Patient-level bootstrap: whole patients are drawn with replacement, as weights instead of copies.

Rows of one patient resemble each other, so drawing rows would make intervals too narrow (Field & Welsh 2007,
bootstrapping clustered data). The draws depend on the seed and the patients alone: models judged
on the same patients meet the same resamples, and their differences are paired.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.study import Frozen

Floats = NDArray[np.float64]

# A block of weights fits a processor's cache; with very many rows it still holds a few resamples, which share
# one pass over the rows.
CELLS, FEWEST = 1 << 17, 8
# Below this share of defined resamples an interval would describe the lucky ones only.
DEFINED = 0.9
# Where no row is told wrong, or every row alike, resamples do not differ: no proof that others' rows would not either.
SAME = "the same in every resample, no interval can be told"


class Interval(Frozen):
    """A value with its bootstrap interval; None, with the reason, where there is none to be had."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    def __str__(self) -> str:
        """`0.858 (0.831 to 0.884)`, `1.000 (no interval)`, or a dash."""
        if self.value is None:
            return "–"
        if self.low is None:
            return f"{self.value:.3f} (no interval)".replace("-", "−")
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})".replace("-", "−")

    @property
    def around(self) -> str:
        """The interval in brackets, or why there is none."""
        return self.reason if self.low is None else str(self).partition(" ")[2]


def multiplicities(patients: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each patient is drawn, in blocks (B, patients); the blocks add up to `resamples` rows."""
    random = np.random.default_rng(seed)
    most = max(FEWEST, CELLS // patients)
    for start in range(0, resamples, most):
        rows = min(most, resamples - start)
        drawn = random.integers(patients, size=(rows, patients))
        drawn += np.arange(rows)[:, None] * patients
        yield np.bincount(drawn.ravel(), minlength=rows * patients).reshape(rows, patients).astype(np.float64)


def bootstrap(
    statistic: Callable[[Floats], dict[str, Floats]], group: NDArray[Any], *, resamples: int, seed: int
) -> dict[str, Floats]:
    """Work out `statistic` on every resample.

    Args:
        statistic: from row weights (B, N) to named arrays whose first axis is B
        group: (N,) the patient of each row
        resamples: how many; the results' first axis
        seed: of the draws
    """
    names, patient = np.unique(group, return_inverse=True)
    most = max(FEWEST, CELLS // len(group))
    blocks = [
        statistic(block[start : start + most][:, patient])
        for block in multiplicities(len(names), resamples, seed)
        for start in range(0, len(block), most)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def interval(
    value: float, estimates: Floats, confidence: float, *, reason: str = "undefined", reflect: bool = False
) -> Interval:
    """The percentile interval of Efron & Tibshirani (1993, chapter 13); resamples where it is undefined are left out.

    None where all resamples give the same, since an interval of no width would claim certainty.

    Args:
        value: the metric on the rows themselves; NaN where it is undefined
        estimates: (B,) the metric on each resample, NaN where undefined
        confidence: such as 0.95
        reason: why the value is undefined, if it is
        reflect: the basic interval instead (Davison & Hinkley 1997, section 5.2), cut at 0 and widened to the
            value: for errors whose estimate is biased upwards, and the resamples' doubly so
    """
    if np.isnan(value):
        return Interval(value=None, reason=reason)
    defined = estimates[~np.isnan(estimates)]
    if len(defined) < DEFINED * len(estimates):
        share = 1 - len(defined) / len(estimates)
        return Interval(value=rounded(value), reason=f"undefined in {share:.0%} of the resamples: too few patients")
    if np.ptp(defined) < 1e-12:
        return Interval(value=rounded(value), reason=SAME)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    if reflect:
        low, high = max(0.0, min(value, 2 * value - high)), max(value, 2 * value - low)
    return Interval(value=rounded(value), low=rounded(low), high=rounded(high))


def rounded(number: float) -> float:
    """Six decimals: what differs between processors in the last bits must not differ in a file."""
    return round(float(number), 6) + 0.0

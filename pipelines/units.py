"""A column written in two units: told by its two groups, one a known unit factor above the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Groups of fewer cells, of a smaller share or of fewer different values are stray cells, codes or rounded answers.
FEWEST, LEAST, DISTINCT, BINS = 5, 0.005, 8, 1024
# A valley at most a fifth as high as the lower peak beside it, and Ashman's limit of a clean separation.
VALLEY, SEPARATION = 0.2, 2.0
# On the log scale, how far the converted medians may lie apart, and how many times one spread may exceed the other.
NEAR, ALIKE = 0.2, 2.5


class Conversion(NamedTuple):
    """How one quantity is written in two units: `high = factor * low + offset`."""

    quantity: str
    low: str
    high: str
    factor: float
    offset: float = 0.0


CONVERSIONS = (
    Conversion("glucose", "mmol/L", "mg/dL", 18.016),
    Conversion("cholesterol", "mmol/L", "mg/dL", 38.67),
    Conversion("triglycerides", "mmol/L", "mg/dL", 88.57),
    Conversion("creatinine", "mg/dL", "µmol/L", 88.4),
    Conversion("weight", "kg", "lb", 2.2046),
    Conversion("length", "in", "cm", 2.54),
    Conversion("length", "ft", "cm", 30.48),
    Conversion("temperature", "°C", "°F", 1.8, 32.0),
    Conversion("a decimal prefix", "g/dL, cm", "g/L, mm", 10.0),
    Conversion("a decimal prefix", "m", "cm", 100.0),
    Conversion("a decimal prefix", "g, kg", "mg, g", 1000.0),
)


@dataclass(frozen=True, kw_only=True)
class TwoUnits:
    """A suspicion: which cells are in the unit of fewer cells, and the conversions that would explain it.

    Shape: fewer (N,), in the order of the values.
    """

    fewer: NDArray[np.bool_]
    conversions: tuple[Conversion, ...]

    def told(self) -> str:
        """The factors and what they would mean, no value."""
        return " or ".join(
            f"{c.low} beside {c.high} ({c.quantity}, × {c.factor:g}{f' + {c.offset:g}' if c.offset else ''})"
            for c in self.conversions
        )


def two_units(values: Array) -> TwoUnits | None:
    """Whether the positive among `values`, (N,) with NaN where missing, are perhaps in two units.

    They are when a valley of their density on the log scale (Silverman 1986, with his bandwidth) parts two
    groups whose separation is clean (D > 2; Ashman, Bird & Zepf 1994), and when a known conversion of
    the lower group gives the upper one: medians near each other, spreads alike. Units whose groups overlap, as
    adults' weights in kg and a few in lb, cannot be told from one column alone.
    """
    if (values < 0).any() or (values > 0).sum() < (values == 0).sum():
        return None
    logs = np.log(values, where=values > 0, out=np.full(len(values), np.nan))
    for cut in _valleys(logs[~np.isnan(logs)]):
        below, above = logs < cut, logs >= cut
        found = tuple(c for c in CONVERSIONS if _explains(c, logs[below], logs[above]))
        if found:
            return TwoUnits(fewer=below if below.sum() <= above.sum() else above, conversions=found)
    return None


def _valleys(logs: Array) -> Iterator[float]:
    """Where the density of `logs` has a deep valley between two peaks of enough cells, the deepest first."""
    # No conversion is by less than two; a narrow column is done.
    if len(logs) < 2 * FEWEST or np.ptp(logs) < np.log(2):
        return
    low, high = np.percentile(logs, [25, 75])
    width = 0.9 * (min(logs.std(), (high - low) / 1.349) or logs.std()) * len(logs) ** -0.2
    counts, edges = np.histogram(logs, bins=BINS, range=(logs.min() - 3 * width, logs.max() + 3 * width))
    step = edges[1] - edges[0]
    reach = min(int(4 * width / step) + 1, BINS // 2 - 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
    density = np.convolve(counts, kernel, mode="same")
    lower = np.minimum(np.maximum.accumulate(density), np.maximum.accumulate(density[::-1])[::-1])
    depth = np.divide(density, lower, out=np.ones(BINS), where=lower > 0)
    bottom = np.r_[False, (density[1:-1] <= density[:-2]) & (density[1:-1] < density[2:]), False]
    below = np.cumsum(counts)
    fewest = max(FEWEST, LEAST * len(logs))
    enough = (below >= fewest) & (below <= len(logs) - fewest)
    at = np.flatnonzero(bottom & enough & (depth <= VALLEY))
    yield from edges[at[np.argsort(depth[at], kind="stable")] + 1]


def _explains(conversion: Conversion, below: Array, above: Array) -> bool:
    """Whether the lower group, converted, is like the upper one: medians within NEAR, or nearer if both are narrow."""
    converted = np.log(conversion.factor * np.exp(below) + conversion.offset)
    before, spread, other = _spread(below), _spread(converted), _spread(above)
    if min(spread, other) <= 0 or not (_is_measured(below) and _is_measured(above)):
        return False
    apart = np.sqrt(2) * (np.median(above) - np.median(below)) / np.hypot(before, other)
    nearest = min(NEAR, max(spread, other))
    near = abs(np.median(above) - np.median(converted)) <= nearest
    return bool(apart > SEPARATION and near and max(spread, other) <= ALIKE * min(spread, other))


def _is_measured(logs: Array) -> bool:
    """Whether values differ as measurements do, not as codes and rounded answers."""
    return len(np.unique(logs)) >= min(DISTINCT, len(logs) / 2)


def _spread(logs: Array) -> float:
    """A standard deviation that outliers do not move: the interquartile range over 1.349."""
    low, high = np.percentile(logs, [25, 75])
    return float(high - low) / 1.349

"""A few figures of each sequence, so that a model for tables can take it.

Of each channel those that are usual for movement (Bao and Intille 2004; Anguita et al. 2013) and for the laboratory
values of a patient's visits (Harutyunyan et al. 2019): level, spread, quantiles, ends, trend, number of values,
roughness; where steps are equally far apart also the spectrum.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from contracts.payloads import Payloads
from pipelines.order_statistics import sorted_within
from pipelines.signal.fill import fill_gaps, gap_mask

_SMALL = ("count", "mean", "last", "slope")
_FULL = (*_SMALL, "deviation", "low", "median", "high", "first", "step", "crossings")
_SPECTRAL = ("frequency", "entropy", "slow", "middling", "fast")
_BANDS = (0.02, 0.1)  # cycles a step
_MANY = 30  # channels, beyond which a few figures of each are enough
_FEW = 8  # channels, up to which correlations are computed
_BATCH = 1 << 22  # cells looked at at a time

Array = NDArray[np.float64]


def signal_feature_names(payloads: Payloads) -> list[str]:
    """The names of the figures: channel by channel, then correlations, then lengths.

    count, mean, last, slope (a unit of time, or a step), deviation, low and high (5 % and 95 %), median, first, step
    (mean absolute difference of neighbours), crossings (of the mean, a step). Of regular steps: frequency (the
    strongest, in cycles a step), entropy (of the spectrum, 0 one tone to 1 noise), slow, middling, fast (shares of the
    power below, between and above 0.02 and 0.1 cycles a step). More than 30 channels have the first four alone.
    """
    channels = payloads.channels
    figures = _figures_of(payloads)
    names = [f"{channel} {figure}" for channel in channels for figure in figures]
    if len(channels) <= _FEW:
        names += [f"{one} with {other}" for one, other in combinations(channels, 2)]
    return [*names, "steps", *([] if payloads.times is None else ["span"])]


def signal_features(payloads: Payloads, positions: NDArray[np.int64]) -> NDArray[np.float32]:
    """The figures of the sequences at these positions. Shape: (N, F) as `signal_feature_names` names them.

    NaN where a figure cannot be computed, and everywhere at -1.
    """
    features = np.full((len(positions), len(signal_feature_names(payloads))), np.nan, dtype=np.float32)
    wanted, row = np.unique(positions[positions >= 0], return_inverse=True)
    parts = [_of_batch(payloads.take(batch)) for batch in _batches(payloads, wanted)]
    if parts:
        features[positions >= 0] = np.concatenate(parts)[row]
    return features


def _figures_of(payloads: Payloads) -> tuple[str, ...]:
    if len(payloads.channels) > _MANY:
        return _SMALL
    return _FULL if payloads.times is not None else (*_FULL, *_SPECTRAL)


def _batches(payloads: Payloads, wanted: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    assert payloads.offsets is not None
    cells = np.cumsum(np.diff(payloads.offsets)[wanted] * max(len(payloads.channels), 1))
    cuts = np.flatnonzero(np.diff(cells // _BATCH)) + 1
    yield from (batch for batch in np.split(wanted, cuts) if len(batch))


def _of_batch(payloads: Payloads) -> Array:
    """(N, F) the figures of all N sequences."""
    figures = _by_channel(payloads)
    if "frequency" in _figures_of(payloads):
        figures = np.concatenate([figures, _spectra(payloads)], axis=2)
    blocks = [figures.reshape(len(payloads), -1)]
    if len(payloads.channels) <= _FEW:
        blocks.append(_correlations(payloads))
    return np.concatenate([*blocks, _lengths(payloads)], axis=1)


def _owners(payloads: Payloads) -> NDArray[np.int64]:
    """(S,) the sequence that each step belongs to."""
    assert payloads.offsets is not None
    return np.repeat(np.arange(len(payloads)), np.diff(payloads.offsets))


@dataclass(frozen=True, kw_only=True)
class _Runs:
    """The known values (V,) at their times, one channel of one sequence after another.

    starts, counts: where each of the G runs begins, and how many values it has.
    """

    values: Array
    times: Array
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]

    def sums(self, values: Array) -> Array:
        return np.asarray(np.add.reduceat(values, self.starts))

    def means(self, values: Array) -> Array:
        return np.asarray(self.sums(values) / self.counts)

    def less(self, values: Array, of_runs: Array) -> Array:
        return np.asarray(values - np.repeat(of_runs, self.counts))

    def neighbours(self, of_pairs: Array) -> Array:
        """The mean over each run's pairs of neighbours; (V - 1,) what is of all pairs, those across runs too."""
        inside = np.concatenate([of_pairs, [0.0]])
        inside[self.starts[1:] - 1] = 0
        pairs = self.counts - 1
        means: Array = np.divide(self.sums(inside), pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
        return means


def _by_channel(payloads: Payloads) -> Array:
    """(N, C, K) the figures of all channels but the spectral ones; those of a channel without values are NaN."""
    names = _SMALL if _figures_of(payloads) == _SMALL else _FULL
    figures = np.full((len(names), len(payloads.channels), len(payloads)), np.nan)
    figures[0] = 0
    channels, steps = np.nonzero(~gap_mask(payloads.values).T)
    if len(steps):
        assert payloads.offsets is not None
        owners = _owners(payloads)[steps]
        keys = channels * len(payloads) + owners
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        times = (
            (steps - payloads.offsets[owners]).astype(np.float64) if payloads.times is None else payloads.times[steps]
        )
        runs = _Runs(
            values=payloads.values[steps, channels].astype(np.float64),
            times=times.astype(np.float64),
            starts=starts,
            counts=np.diff(starts, append=len(steps)),
        )
        known = _small(runs) if names == _SMALL else [*_small(runs), *_more(runs)]
        figures[:, channels[starts], owners[starts]] = known
    return figures.transpose(2, 1, 0)


def _small(runs: _Runs) -> list[Array]:
    mean = runs.means(runs.values)
    around = runs.less(runs.times, runs.means(runs.times))
    width = runs.sums(around**2)
    covered = runs.sums(around * runs.less(runs.values, mean))
    slope = np.divide(covered, width, out=np.full(len(width), np.nan), where=width > 0)
    return [runs.counts.astype(np.float64), mean, runs.values[runs.starts + runs.counts - 1], slope]


def _more(runs: _Runs) -> list[Array]:
    centred = runs.less(runs.values, runs.means(runs.values))
    low, median, high = _quantiles(runs, (0.05, 0.5, 0.95))
    crossings = (centred[1:] >= 0) != (centred[:-1] >= 0)
    return [
        np.sqrt(runs.means(centred**2)),
        low,
        median,
        high,
        runs.values[runs.starts],
        runs.neighbours(np.abs(np.diff(runs.values))),
        runs.neighbours(crossings.astype(np.float64)),
    ]


def _quantiles(runs: _Runs, shares: tuple[float, ...]) -> list[Array]:
    owners = np.repeat(np.arange(len(runs.starts)), runs.counts)
    ordered = sorted_within(runs.values.astype(np.float32), owners).astype(np.float64)
    found = []
    for share in shares:
        place = share * (runs.counts - 1)
        below = np.floor(place).astype(np.int64)
        low, high = ordered[runs.starts + below], ordered[runs.starts + np.ceil(place).astype(np.int64)]
        found.append(low + (high - low) * (place - below))
    return found


def _spectra(payloads: Payloads) -> Array:
    """(N, C, 5) the spectral figures; NaN of channels without values, of one value, and of fewer than 8 steps."""
    spectra = np.full((len(payloads), len(payloads.channels), len(_SPECTRAL)), np.nan)
    for at in range(len(payloads)):
        steps = payloads[at]
        if len(steps) >= 8:
            spectra[at] = _spectrum(fill_gaps(steps, None, "interpolate").astype(np.float64))
    return spectra


def _spectrum(steps: Array) -> Array:
    """(C, 5) of steps (T, C) without gaps, tapered by Hann's window so that the ends do not count as frequencies."""
    centred = (steps - steps.mean(axis=0)) * np.hanning(len(steps))[:, None]
    power = np.abs(np.fft.rfft(centred, axis=0)[1:]) ** 2
    total = power.sum(axis=0)
    constant = total <= 1e-12 * np.maximum((steps**2).sum(axis=0), 1e-30) * len(steps)
    share = np.divide(power, total, out=np.full(power.shape, np.nan), where=~constant)
    frequencies = np.fft.rfftfreq(len(steps))[1:]
    entropy = -(share * np.log(np.maximum(share, 1e-30))).sum(axis=0) / np.log(len(power))
    band = np.digitize(frequencies, _BANDS)
    strongest = np.where(constant, np.nan, frequencies[power.argmax(axis=0)])
    return np.stack([strongest, entropy, *(share[band == place].sum(axis=0) for place in range(3))], axis=1)


def _correlations(payloads: Payloads) -> Array:
    """(N, pairs) Pearson's, over the steps at which both channels have values."""
    owners, count = _owners(payloads), len(payloads)
    columns = []
    for one, other in combinations(range(len(payloads.channels)), 2):
        pair = payloads.values[:, [one, other]].astype(np.float64)
        both = ~np.isnan(pair).any(axis=1)
        columns.append(_correlation(pair[both], owners[both], count))
    return np.stack(columns, axis=1) if columns else np.empty((count, 0))


def _correlation(pair: Array, owners: NDArray[np.int64], count: int) -> Array:
    number = np.maximum(np.bincount(owners, minlength=count), 1)
    means = np.stack([np.bincount(owners, side, count) / number for side in pair.T], axis=1)
    one, other = (pair - means[owners]).T
    spread = np.sqrt(np.bincount(owners, one**2, count) * np.bincount(owners, other**2, count))
    floor = 1e-9 * number * np.abs(means).prod(axis=1)  # rounding, where a channel has one value
    together = np.bincount(owners, one * other, count)
    correlation: Array = np.divide(together, spread, out=np.full(count, np.nan), where=spread > floor)
    return correlation


def _lengths(payloads: Payloads) -> Array:
    assert payloads.offsets is not None
    lengths = np.diff(payloads.offsets)
    if payloads.times is None:
        return lengths[:, None].astype(np.float64)
    span = np.full(len(lengths), np.nan)
    known = lengths > 0
    ends = payloads.offsets[1:][known] - 1
    span[known] = payloads.times[ends] - payloads.times[payloads.offsets[:-1][known]]
    return np.stack([lengths, span], axis=1)

"""Sequences cleaned: implausible values, flat lines and spikes become gaps; a band of frequencies is kept."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from contracts.errors import MedloopError
from contracts.names import nearest
from contracts.payloads import Payloads, ragged
from contracts.study import Bound, Column, Frozen
from pipelines.signal.fill import fill_gaps, gap_mask
from pipelines.signal.spikes import spike_mask

_LONG = 10  # steps: a shorter recording may hold one value by chance
_ORDER = 4  # of the filter; run forth and back it acts as one of twice that


class SignalParams(Frozen):
    """What is done to a column of sequences, all of it only where asked for, in this order.

    plausible: by channel the lowest and highest value, either may be null; others become gaps.
    flat: a run of one value that lasts longer becomes a gap: seconds where the column declares its `rate`, units of its
        times where steps have moments, else steps.
    spikes: a value further than so many robust deviations from the median of the `window` values of its channel around
        it becomes a gap (the filter of Hampel; 3 to 5 are usual).
    band: the lowest and highest frequency in Hz that is kept, either may be null; not for steps at uneven moments.
    longest: steps beyond so many are cut off.
    shortest: sequences of fewer steps are set aside.
    """

    plausible: dict[str, tuple[Bound, Bound]] = Field(default={})
    flat: Annotated[float, Field(gt=0)] | None = None
    spikes: Annotated[float, Field(gt=0)] | None = None
    window: Annotated[int, Field(ge=3, le=1001)] = 11
    band: tuple[Bound, Bound] | None = None
    longest: Annotated[int, Field(ge=1)] | None = None
    shortest: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _coherent(self) -> "SignalParams":
        for low, high in (*self.plausible.values(), *([self.band] if self.band else [])):
            if low is not None and high is not None and low >= high:
                raise ValueError(f"[{low:g}, {high:g}] is upside down")
        if self.band and not any(self.band):
            raise ValueError("band names its lowest or its highest frequency in Hz, above 0")
        if self.window % 2 == 0:
            raise ValueError("window is odd, as many values before as after")
        if self.shortest and self.longest and self.shortest > self.longest:
            raise ValueError("shortest is above longest")
        return self


@dataclass(frozen=True)
class Counted:
    """What one rule did: how many sequences it touched, and how many of their cells."""

    rule: str
    sequences: int
    cells: int


def clean_signals(
    payloads: Payloads, column: Column, params: SignalParams, *, name: str
) -> tuple[Payloads, list[Counted], dict[int, str]]:
    """The sequences of column `name` cleaned, what was done, and by position why some cannot be used.

    The very same where no rule is asked for. Channels that never change are counted where `flat` is not asked for.

    Raises MedloopError for channels that there are not, and for a band without a rate or beyond half of it.
    """
    _check(payloads, column, params, name)
    assert payloads.offsets is not None
    counted: list[Counted] = []
    owners = np.repeat(np.arange(len(payloads)), np.diff(payloads.offsets))
    cleaned = payloads
    for rule in ("plausible", "flat", "spikes"):
        if getattr(params, rule):
            mask = _mask(rule, cleaned, owners, column, params)
            cleaned = replace(payloads, values=np.where(mask, np.float32(np.nan), cleaned.values))
            counted += _count(rule, mask, owners)
    if not params.flat:
        counted += _count("never changes, left", _unchanging(payloads), owners)
    if params.band and column.rate:
        counted += _count("band", ~gap_mask(cleaned.values), owners)
        cleaned = replace(cleaned, values=_filtered(cleaned, params.band, column.rate))
    if params.longest:
        cleaned, cut = _cut(cleaned, params.longest)
        counted += cut
    return cleaned, counted, _unusable(cleaned, params.shortest)


def _check(payloads: Payloads, column: Column, params: SignalParams, name: str) -> None:
    where = f"column {name}, clean.sequences"
    for channel in params.plausible:
        if channel not in payloads.channels:
            raise MedloopError(
                f"plausible names channel {channel}, which is none{nearest(channel, payloads.channels)}; "
                f"the channels are {', '.join(payloads.channels)}",
                where=where,
                mend="correct the name, or take it out",
            )
    if params.band is None:
        return
    if payloads.times is not None:
        raise MedloopError(
            "a band is kept of steps that are equally far apart, these have moments of their own",
            where=where,
            mend=f"declare the `rate` of {name}, to which it is resampled, or take `band` out",
        )
    if column.rate is None:
        raise MedloopError("a band needs a sampling rate", where=where, mend=f"declare the `rate` of {name} in Hz")
    if max(end or 0 for end in params.band) >= column.rate / 2:
        raise MedloopError(
            f"a band ends below half the sampling rate, {column.rate / 2:g} Hz", where=where, mend="lower `band`"
        )


def _mask(
    rule: str, payloads: Payloads, owners: NDArray[np.int64], column: Column, params: SignalParams
) -> NDArray[np.bool_]:
    """(S, C) the cells that become gaps."""
    if rule == "plausible":
        return _implausible(payloads, params.plausible)
    if rule == "flat":
        assert params.flat is not None
        return _flat(payloads, owners, params.flat, column.rate)
    assert params.spikes is not None
    return spike_mask(payloads.values, owners, params.spikes, params.window)


def _implausible(payloads: Payloads, plausible: dict[str, tuple[Bound, Bound]]) -> NDArray[np.bool_]:
    mask = np.zeros(payloads.values.shape, dtype=np.bool_)
    for channel, (low, high) in plausible.items():
        place = payloads.channels.index(channel)
        steps = payloads.values[:, place]
        mask[:, place] = (steps < (-np.inf if low is None else low)) | (steps > (np.inf if high is None else high))
    return mask


def _flat(payloads: Payloads, owners: NDArray[np.int64], longest: float, rate: float | None) -> NDArray[np.bool_]:
    """Cells in runs of one value of one sequence that last longer than `longest`."""
    mask = np.zeros(payloads.values.shape, dtype=np.bool_)
    if not len(owners):
        return mask
    breaks = np.diff(owners) != 0
    for place in range(len(payloads.channels)):
        steps = payloads.values[:, place]
        starts = np.concatenate([[0], np.flatnonzero((steps[1:] != steps[:-1]) | breaks) + 1])
        ends = np.concatenate([starts[1:], [len(steps)]])
        if payloads.times is None:
            lasting = (ends - starts) / (rate or 1)
        else:
            lasting = payloads.times[ends - 1] - payloads.times[starts]
        mask[:, place] = np.repeat(lasting > longest, ends - starts)
    return mask


def _unchanging(payloads: Payloads) -> NDArray[np.bool_]:
    """Cells of channels that hold one value throughout a recording; of visits at uneven moments none are told."""
    assert payloads.offsets is not None
    mask = np.zeros(payloads.values.shape, dtype=np.bool_)
    lengths = np.diff(payloads.offsets)
    starts = payloads.offsets[:-1][lengths > 0]
    if payloads.times is None and len(starts):
        low, high = (end.reduceat(payloads.values, starts, axis=0) for end in (np.fmin, np.fmax))
        dead = (low == high) & (lengths[lengths > 0] >= _LONG)[:, None]
        mask = np.repeat(dead, lengths[lengths > 0], axis=0)
    return mask


def _filtered(payloads: Payloads, band: tuple[Bound, Bound], rate: float) -> NDArray[np.float32]:
    """Butterworth's filter, forth and back so that nothing is delayed; gaps are bridged for it and stay gaps."""
    from scipy.signal import butter, sosfiltfilt

    low, high = band
    kind, edges = ("bandpass", [low, high]) if low and high else ("highpass", low) if low else ("lowpass", high)
    sections = butter(_ORDER, edges, kind, fs=rate, output="sos")
    padding = 3 * (2 * len(sections) + 1)  # sosfiltfilt's own, which short sequences cannot give
    values = payloads.values.copy()
    assert payloads.offsets is not None
    for start, end in zip(payloads.offsets[:-1], payloads.offsets[1:], strict=True):
        if end > start:
            steps = values[start:end]
            bridged = fill_gaps(steps, None, "interpolate").astype(np.float64)
            smooth = sosfiltfilt(sections, bridged, axis=0, padlen=min(padding, len(steps) - 1))
            values[start:end] = np.where(gap_mask(steps), np.nan, smooth)
    return values


def _cut(payloads: Payloads, longest: int) -> tuple[Payloads, list[Counted]]:
    assert payloads.offsets is not None
    lengths = np.diff(payloads.offsets)
    over = lengths[lengths > longest]
    if not len(over):
        return payloads, []
    pieces = [payloads[at][:longest] for at in range(len(payloads))]
    times = None
    if payloads.times is not None:
        spans = zip(payloads.offsets[:-1], payloads.offsets[1:], strict=True)
        times = [payloads.times[start : min(end, start + longest)] for start, end in spans]
    cells = int((over - longest).sum()) * payloads.values.shape[1]
    return ragged(pieces, times, payloads.channels, like=payloads.values), [Counted("longest", len(over), cells)]


def _count(rule: str, mask: NDArray[np.bool_], owners: NDArray[np.int64]) -> list[Counted]:
    cells = int(mask.sum())
    return [Counted(rule, len(np.unique(owners[mask.any(axis=1)])), cells)] if cells else []


def _unusable(payloads: Payloads, shortest: int | None) -> dict[int, str]:
    assert payloads.offsets is not None
    lengths = np.diff(payloads.offsets)
    known = np.concatenate([[0], np.cumsum((~gap_mask(payloads.values)).any(axis=1))])[payloads.offsets]
    problems = {int(at): "no channel has any value" for at in np.flatnonzero(np.diff(known) == 0)}
    if shortest:
        short = np.flatnonzero(lengths < shortest)
        problems |= {int(at): f"{lengths[at]} steps, {shortest} are the fewest" for at in short}
    return dict(sorted(problems.items()))

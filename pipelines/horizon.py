"""Sequences parted at the horizon: what is known by then, and the values of a channel that are to be forecast.

The horizon begins with the first of the channel's last `horizon` values, whenever they were taken. Nothing of that step
or of a later one stays in any sequence of the row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import MedloopError, listed
from contracts.names import nearest
from contracts.payloads import Payloads, ragged
from contracts.study import Study
from contracts.target import Target
from pipelines.faults import faults_in
from pipelines.near_duplicates import positions
from pipelines.signal.fill import gap_mask
from pipelines.table import Table, as_table

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Parted:
    """The sequences of a column before the horizon, and what is to be told of each.

    Shape, for P sequences: `end` (P,) how many of its steps are before the horizon, 0 where the channel has too few
    values; `moment` (P,) float64 when the horizon begins, NaN there and where steps have no moments; `ahead` (P, H) by
    how much each value differs from the last known one, NaN there.
    """

    history: Payloads
    end: NDArray[np.int64]
    moment: Floats
    ahead: Floats


def with_horizon(raw: Table, study: Study, payloads: Mapping[str, Payloads]) -> tuple[Table, dict[str, Payloads]]:
    """The rows with their labels, `@target`, `@target_2` …, NaN where there is none; and the sequences cut off.

    Of a label that is no forecast, the same rows, and nothing cut off. Raises MedloopError where the channel is none,
    where no sequence is long enough, and for other columns of sequences that cannot be cut off at the same moment.
    """
    if study.target.task != "forecasting":
        return raw, {}
    rows = raw.read()
    name, others = study.target.column, _others(study)
    if others and any(payloads[column].times is None for column in (name, *others)):
        raise MedloopError(
            "all sequences end where the forecast begins, and of steps without moments nobody knows where that is",
            where=f"columns {listed([name, *others])}",
            mend=f"give their steps moments (a column `time`), or leave out all sequences but {name}",
        )
    found = parted(payloads[name], study.target)
    at = _places(rows[name])
    ahead = np.where((at >= 0)[:, None], found.ahead[at], np.nan)
    labels = {f"@target_{step}" if step > 1 else "@target": of for step, of in enumerate(ahead.T, start=1)}
    cut = {column: _before(payloads[column], rows[column], found.moment[at]) for column in others}
    return as_table(rows.assign(**labels)), {name: found.history, **cut}


def parted(payloads: Payloads, target: Target) -> Parted:
    """Each sequence before and after the horizon. Raises MedloopError as `with_horizon` does."""
    assert payloads.offsets is not None
    channel, ahead = _channel(payloads, target), int(target.horizon or 0)
    values, known = payloads.values[:, channel].astype(np.float64), ~gap_mask(payloads.values)[:, channel]
    end, moment = np.zeros(len(payloads), dtype=np.int64), np.full(len(payloads), np.nan)
    label = np.full((len(payloads), ahead), np.nan)
    for place, start in enumerate(payloads.offsets[:-1]):
        at = start + np.flatnonzero(known[start : payloads.offsets[place + 1]])
        if len(at) <= ahead:
            continue
        begins, times = int(at[-ahead]), payloads.moments(place)
        if times is not None:  # what was taken at the same moment is no earlier
            moment[place] = times[begins - start]
            begins = int(start + np.searchsorted(times, moment[place], side="left"))
        before = at[at < begins]
        if len(before):
            end[place], label[place] = begins - start, values[at[-ahead:]] - values[before[-1]]
    if not end.any():
        raise MedloopError(
            f"no sequence has {ahead + 1} values of {target.channel}, the last known one and {ahead} to forecast",
            where=f"target.horizon, column {target.column}",
            mend="forecast fewer values, or a channel that is measured more often",
        )
    return Parted(history=_cut(payloads, end), end=end, moment=moment, ahead=label)


def with_last(
    rows: pd.DataFrame, study: Study, payloads: Mapping[str, Payloads]
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """New rows with the channel's last known value, `@last`, and as faults those without any.

    Of a label that is no forecast, the same rows, and no fault.
    """
    if study.target.task != "forecasting":
        return rows, []
    name, of = study.target.column, payloads[study.target.column]
    assert of.offsets is not None
    values = np.append(of.values[:, _channel(of, study.target)].astype(np.float64), np.nan)
    latest = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
    last = latest[of.offsets[1:] - 1]
    none = (last < of.offsets[:-1]) | (np.diff(of.offsets) == 0)
    known = np.append(np.where(none, np.nan, values[last]), np.nan)
    told = known[_places(rows[name])]
    lost = faults_in(name, **{f"no value of {study.target.channel} is known": np.isnan(told)})
    return rows.assign(**{"@last": told}), [fault.assign(verdict="quarantine") for fault in lost]


def steps_beyond(
    samples: pd.DataFrame, target: Target, whole: Mapping[str, Payloads], now: Mapping[str, Payloads]
) -> int:
    """How many steps of the samples' sequences, as they are `now`, are not before the horizon.

    Where it begins is looked up anew, row by row, in the sequences as they were read, `whole`.
    """
    of, channel, beyond = whole[target.column], _channel(whole[target.column], target), 0
    columns = {name: positions(samples[name]) for name in now if name in samples and now[name].offsets is not None}
    for row, place in enumerate(columns[target.column]):
        begins = np.flatnonzero(np.isfinite(of[place][:, channel]))[-int(target.horizon or 0)]
        times = of.moments(place)
        if times is None:
            beyond += max(0, len(now[target.column][place]) - int(begins))
            continue
        for name, at in columns.items():
            left = now[name].moments(at[row])
            beyond += 0 if left is None else int((left >= times[begins]).sum())
    return beyond


def _places(cells: "pd.Series[str]") -> NDArray[np.int64]:
    return positions(pd.to_numeric(cells.astype("str")).astype("Int64"))


def _channel(payloads: Payloads, target: Target) -> int:
    if target.channel not in payloads.channels:
        raise MedloopError(
            f"the sequences of {target.column} have no channel {target.channel}"
            f"{nearest(str(target.channel), payloads.channels)}",
            where="target.channel",
            mend=f"one of: {listed(payloads.channels, 20)}",
        )
    return payloads.channels.index(str(target.channel))


def _others(study: Study) -> list[str]:
    features = study.features().items()
    return [name for name, column in features if column.type == "sequence" and name != study.target.column]


def _before(payloads: Payloads, cells: "pd.Series[str]", moment: Floats) -> Payloads:
    """The sequences before the moment at which the horizon of their row begins, of several rows the earliest."""
    at = _places(cells)
    begins = np.full(len(payloads), np.inf)
    np.minimum.at(begins, at[at >= 0], np.where(np.isnan(moment), -np.inf, moment)[at >= 0])
    times = [payloads.moments(place) for place in range(len(payloads))]
    end = [0 if of is None else np.searchsorted(of, first) for of, first in zip(times, begins, strict=True)]
    return _cut(payloads, np.array(end, dtype=np.int64))


def _cut(payloads: Payloads, end: NDArray[np.int64]) -> Payloads:
    """The first steps of each sequence, so many of them. Shape: end (P,)."""
    assert payloads.offsets is not None
    pieces = [payloads[place][:count] for place, count in enumerate(end)]
    moments = [payloads.moments(place) for place in range(len(payloads))]
    times = [of[:count] for of, count in zip(moments, end, strict=True) if of is not None]
    return replace(
        ragged(pieces, times if payloads.times is not None else None, payloads.channels, like=payloads.values),
        centre=payloads.centre,
        spread=payloads.spread,
    )

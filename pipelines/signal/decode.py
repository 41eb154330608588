"""Recordings in files to one column of sequences: the same channels at the same rate."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError, listed
from contracts.payloads import Payloads, ragged
from contracts.study import Column
from pipelines.decoded import Decoded
from pipelines.signal.files import Recording, UnreadableError, chosen, read_recording
from pipelines.signal.resample import even_rate, resample
from pipelines.sources.raw import Opened


def ignored(count: int) -> None:
    """Nobody is told how many files were read."""


@dataclass(frozen=True, kw_only=True)
class _Read:
    """The recordings by position, and why others could not be read."""

    recordings: dict[int, Recording]
    faults: dict[int, str]


def decode_signals(
    names: Sequence[str], opened: Opened, column: Column, *, tell: Callable[[int], None] = ignored
) -> Decoded[Payloads]:
    """The recordings of these files, in their order, as sequences (S, C) float32.

    Files are WFDB records in physical units, delimited text or numpy arrays (`read_recording`). Taken are the channels
    that the column declares, else all; an array's unnamed channels take the declared names in order when they are as
    many. Where the column declares a `rate`, recordings of another rate are resampled; those whose file tells none are
    taken to have it. Facts: `channels`, `rate`, `units` by channel, `resampled`, the number of such recordings.
    Raises MedloopError where files differ in channels, units or sampling rates and the study does not say what to do,
    and where some tell the moments of their steps and others do not.
    """
    read = _read_all(names, opened, column, tell)
    channels = column.channels or _common_channels(read.recordings, names)
    units = _common_units(read.recordings, channels, names)
    pieces: dict[int, Recording] = {}
    for position, recording in read.recordings.items():
        try:
            taken = replace(recording, steps=chosen(recording, channels), channels=channels)
            pieces[position] = _at_rate(taken, column.rate)
        except UnreadableError as error:
            read.faults[position] = str(error)
    _check_alike(pieces, names)
    facts: dict[str, object] = {
        "channels": list(channels),
        "rate": column.rate or next((piece.rate for piece in pieces.values() if piece.rate), None),
        "units": units,
        "resampled": sum(len(piece.steps) != len(read.recordings[at].steps) for at, piece in pieces.items()),
    }
    payloads = _packed(pieces, len(names), channels)
    return Decoded(payloads=payloads, faults=dict(sorted(read.faults.items())), facts=facts)


def conform_signals(payloads: Payloads, column: Column, *, name: str) -> Payloads:
    """The sequences that a source already holds, as float32 steps (S, C) of the declared channels.

    Unnamed channels ("0", "1", …) take the declared names in order when they are as many; else names select.
    Raises MedloopError for declared channels that are absent.
    """
    values = payloads.values.astype(np.float32, copy=False)
    offsets = payloads.offsets
    if offsets is None:
        offsets = np.arange(len(values) + 1, dtype=np.int64) * values.shape[1]
        values = values.reshape(-1, values.shape[-1])
    channels = payloads.channels or _unnamed(values.shape[1])
    whole = replace(payloads, values=values, offsets=offsets, channels=_named(channels, column.channels))
    absent = [channel for channel in column.channels if channel not in whole.channels]
    if absent:
        raise MedloopError(
            f"channels {listed(absent)} are declared, the source has {listed(whole.channels)}",
            where=f"column {name}",
            mend=f"name those that it has: channels: [{', '.join(whole.channels)}]",
        )
    if not column.channels or column.channels == whole.channels:
        return whole
    places = [whole.channels.index(channel) for channel in column.channels]
    return replace(whole, values=np.ascontiguousarray(values[:, places]), channels=column.channels)


def _unnamed(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


def _named(channels: tuple[str, ...], declared: tuple[str, ...]) -> tuple[str, ...]:
    return declared if len(declared) == len(channels) and channels == _unnamed(len(channels)) else channels


def _read_all(names: Sequence[str], opened: Opened, column: Column, tell: Callable[[int], None]) -> _Read:
    read = _Read(recordings={}, faults={})
    for position, name in enumerate(names):
        try:
            recording = read_recording(name, opened, column.missing)
            channels = _named(recording.channels, column.channels)
            read.recordings[position] = replace(recording, channels=channels)
        except UnreadableError as error:
            read.faults[position] = str(error)
        tell(position + 1)
    return read


def _examples(kinds: Mapping[int, str], names: Sequence[str]) -> str:
    """Each kind, in how many files it is, and the first of them."""
    first = {kind: names[at] for at, kind in reversed(list(kinds.items()))}
    counts = sorted(Counter(kinds.values()).items(), key=lambda kind: (-kind[1], kind[0]))
    return listed([f"{kind} in {count:,} (as {first[kind]})" for kind, count in counts], 4)


def _common_channels(recordings: Mapping[int, Recording], names: Sequence[str]) -> tuple[str, ...]:
    """Those of all files, in the order of most of them. Raises MedloopError where files have others."""
    orders = Counter(recording.channels for recording in recordings.values())
    sets = {frozenset(order) for order in orders}
    if len(sets) > 1:
        shared = sorted(frozenset.intersection(*sets))
        kinds = {at: f"[{', '.join(recording.channels)}]" for at, recording in recordings.items()}
        raise MedloopError(
            f"recordings have the same channels, but these have not: {_examples(kinds, names)}",
            mend=f"declare those to take: channels: [{', '.join(shared)}]"
            if shared
            else "no channel is in all files: make a column of each kind of recording",
        )
    return min(orders, key=lambda order: (-orders[order], order), default=())


def _common_units(
    recordings: Mapping[int, Recording], channels: tuple[str, ...], names: Sequence[str]
) -> dict[str, str]:
    """By channel, its unit where files tell it. Raises MedloopError where they differ."""
    told: dict[str, dict[int, str]] = {}
    for at, recording in recordings.items():
        for channel, unit in zip(recording.channels, recording.units, strict=False):
            told.setdefault(channel, {})[at] = unit
    units = {channel: told[channel] for channel in channels if channel in told}
    for channel, of in units.items():
        if len(set(of.values())) > 1:
            raise MedloopError(
                f"channel {channel} is in one unit, but the files say {_examples(of, names)}",
                mend="write the recordings in one unit, or leave the channel out of `channels`",
            )
    return {channel: next(iter(of.values())) for channel, of in units.items()}


def _at_rate(recording: Recording, rate: float | None) -> Recording:
    """The recording at `rate`, without moments. Raises UnreadableError where its steps are unevenly far apart."""
    if rate is None:
        return recording
    was = recording.rate or rate
    if recording.times is not None:
        was = even_rate(recording.times) or 0
        if not was:
            raise UnreadableError("its steps are not equally far apart, so it cannot be brought to the declared rate")
    try:
        return replace(recording, steps=resample(recording.steps, was, rate), times=None, rate=rate)
    except ValueError as error:
        raise UnreadableError(str(error)) from error


def _check_alike(pieces: Mapping[int, Recording], names: Sequence[str]) -> None:
    rates = Counter(piece.rate for piece in pieces.values() if piece.rate)
    if len(rates) > 1:
        kinds = {at: f"{piece.rate:g} Hz" for at, piece in pieces.items() if piece.rate}
        raise MedloopError(
            f"recordings have one sampling rate, but these are unequal sampling rates: {_examples(kinds, names)}",
            mend=f"declare the one to resample to: rate: {max(rates, key=lambda rate: (rates[rate], rate)):g}",
        )
    timed = {at: "none" if piece.times is None else "one" for at, piece in pieces.items()}
    if len(set(timed.values())) > 1:
        raise MedloopError(
            f"some recordings have a column `time`, others have none: {_examples(timed, names)}",
            mend="write it into all, or declare the `rate` at which all are to be",
        )


def _packed(pieces: dict[int, Recording], count: int, channels: tuple[str, ...]) -> Payloads:
    nothing: NDArray[np.float32] = np.empty((0, len(channels)), dtype=np.float32)
    steps = [pieces[at].steps.astype(np.float32) if at in pieces else nothing for at in range(count)]
    times = None
    if any(piece.times is not None for piece in pieces.values()):
        moments = {at: piece.times for at, piece in pieces.items() if piece.times is not None}
        times = [moments.get(at, np.empty(0)) for at in range(count)]
    return ragged(steps, times, channels, like=nothing)

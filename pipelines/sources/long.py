"""Long tables as sequences: the rows of one id become one payload, in the order of time."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import model_validator

from contracts.errors import MedloopError, listed
from contracts.names import nearest
from contracts.payloads import Payloads
from contracts.study import Frozen, Text
from pipelines.sources.raw import text_column

MOST_CHANNELS = 256


class LongNames(Frozen):
    """Which columns of a long table hold what; see `query.Sequences`."""

    id: str
    time: str
    channel: str | None = None
    value: str | None = None
    values: tuple[str, ...] = ()
    channels: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        long = self.channel is not None and self.value is not None
        if long == bool(self.values) or (self.channel is None) != (self.value is None):
            raise ValueError(
                "a sequence has `channel` and `value`, one row a measurement, or `values`, one row a moment"
            )
        if self.values and self.channels:
            raise ValueError("`values` names the channels already, in their order: take `channels` away")
        return self


@dataclass(frozen=True, kw_only=True)
class Long:
    """A payload column: its cells (positions as text, "" where a row has none), payloads, counts, and rows left out.

    faults: `@row` (the row of the sequence's query, from 1) and `reason`
    """

    cells: "pd.Series"
    payloads: Payloads
    facts: dict[str, object]
    faults: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """Measurements as numbers, all of one length: whose, when, which channel, how much (NaN where blank)."""

    owner: NDArray[np.int64]
    time: NDArray[np.float64]
    channel: NDArray[np.int64]
    value: NDArray[np.float64]

    def where(self, chosen: NDArray[Any]) -> "_Measured":
        """Those chosen by a mask, or in this order."""
        return _Measured(
            owner=self.owner[chosen], time=self.time[chosen], channel=self.channel[chosen], value=self.value[chosen]
        )


def sequences_of(rows: pd.DataFrame, keys: "pd.Series", names: LongNames, *, where: str) -> Long:
    """The rows whose id equals a key, sorted by time; those of equal time are one step.

    A channel measured twice at one time counts as the mean, one not measured is NaN. Does not depend on the order of
    `rows`. Facts: rows, steps, sequences, `no_number` (time or value; set aside), `other_channels` (not declared),
    `without_row` (no such key), `merged` (measured twice at one time). Raises MedloopError for an absent column.
    """
    needed = [names.id, names.time, *(n for n in (names.channel, names.value) if n is not None), *names.values]
    absent = next((name for name in needed if name not in rows), None)
    if absent is not None:
        raise MedloopError(
            f"the query has no column {absent}{nearest(absent, rows.columns.astype(str))}",
            where=where,
            mend="correct the names",
        )
    labels = names.values or names.channels or _sorted_labels(rows, names)
    owners = pd.Index(sorted({*keys} - {""}), dtype="str")
    measured, row_of, is_number = _measured(rows, names, labels, owners, where)
    known = (measured.channel >= 0) & is_number
    owned = known & (measured.owner >= 0)
    steps = _Steps.of(measured.where(owned), len(labels))
    facts: dict[str, object] = {
        "rows": len(rows),
        "no_number": len(np.unique(row_of[~is_number])),
        "other_channels": int(((measured.channel < 0) & is_number).sum()),
        "without_row": len(np.unique(row_of[known & (measured.owner < 0)])),
        "merged": steps.merged,
        "steps": len(steps.times),
        "sequences": len(np.unique(steps.owner)),
        "channels": list(labels),
    }
    faulty = np.unique(row_of[~is_number])
    reasons = pd.Series(["a time or value is no number"] * len(faulty), dtype="str")
    cells, payloads = _joined(steps, keys, owners, tuple(labels))
    return Long(
        cells=cells, payloads=payloads, facts=facts, faults=pd.DataFrame({"@row": faulty + 1, "reason": reasons})
    )


def _sorted_labels(rows: pd.DataFrame, names: LongNames) -> tuple[str, ...]:
    found = _texts(rows[str(names.channel)])
    labels = tuple(sorted({*found.unique()} - {""}))
    if len(labels) > MOST_CHANNELS:
        raise MedloopError(
            f"a sequence has some channels, but the column {names.channel} names {len(labels)}",
            where="source, sequences",
            mend=f"declare `channels`, such as {listed(labels[:1])}, or correct `channel`",
        )
    return labels


def _measured(
    rows: pd.DataFrame, names: LongNames, labels: tuple[str, ...], owners: "pd.Index", where: str
) -> tuple[_Measured, NDArray[np.int64], NDArray[np.bool_]]:
    """One entry a measurement; beside it its row, and whether time and value are numbers (a blank value is)."""
    times, values = _numbers(rows[names.time]), [names.value] if names.value else list(names.values)
    found = [_numbers(rows[value]) for value in values]
    blank = [rows[value].isna().to_numpy() for value in values]
    count, width = len(rows), len(values)
    owner = owners.get_indexer(pd.Index(_texts(rows[names.id]), dtype="str"))
    if names.channel:
        channel = pd.Index(labels, dtype="str").get_indexer(pd.Index(_texts(rows[names.channel]), dtype="str"))
    else:
        channel = np.repeat(np.arange(width), count)
    value = np.concatenate(found)
    is_number = np.tile(np.isfinite(times), width) & (np.isfinite(value) | np.concatenate(blank))
    measured = _Measured(
        owner=np.tile(owner, width), time=np.tile(times, width), channel=channel.astype(np.int64), value=value
    )
    return measured, np.tile(np.arange(count), width), is_number


def _texts(column: "pd.Series") -> "pd.Series":
    """The cells as text, every different one turned once."""
    codes, uniques = pd.factorize(column, use_na_sentinel=False)
    return text_column(list(uniques), str(column.name), where="source, sequences").take(codes).reset_index(drop=True)


def _numbers(column: "pd.Series") -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    return numbers


@dataclass(frozen=True, kw_only=True)
class _Steps:
    """The steps of all sequences, one owner's after another's. Shape: owner (S,), times (S,), values (S, C)."""

    owner: NDArray[np.int64]
    times: NDArray[np.float64]
    values: NDArray[np.float32]
    merged: int

    @classmethod
    def of(cls, measured: _Measured, width: int) -> "_Steps":
        # By value last, so that a mean is added up in one order, whatever that of the rows.
        ordered = measured.where(np.lexsort((measured.value, measured.channel, measured.time, measured.owner)))
        owner, time = ordered.owner, ordered.time
        begins = np.r_[True, (owner[1:] != owner[:-1]) | (time[1:] != time[:-1])][: len(owner)]
        cell = (np.cumsum(begins) - 1) * width + ordered.channel
        filled = ~np.isnan(ordered.value)
        size = int(begins.sum()) * width
        counts = np.bincount(cell[filled], minlength=size)
        sums = np.bincount(cell[filled], weights=ordered.value[filled], minlength=size)
        means = np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0)
        return cls(
            owner=owner[begins],
            times=time[begins],
            values=means.reshape(-1, width).astype(np.float32),
            merged=int((counts - 1).clip(0).sum()),
        )


def _joined(
    steps: _Steps, keys: "pd.Series", owners: "pd.Index", channels: tuple[str, ...]
) -> tuple["pd.Series", Payloads]:
    """The cells of the main table, and one payload a key that has rows."""
    present, lengths = np.unique(steps.owner, return_counts=True)
    position = pd.Series(np.arange(len(present)).astype("str"), index=owners[present], dtype="str")
    payloads = Payloads(
        values=steps.values,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        times=steps.times,
        channels=channels,
    )
    return keys.map(position).fillna("").astype("str"), payloads

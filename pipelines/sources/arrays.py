"""Arrays of one length as a table: plain values become text, sequences and images payloads."""

import io
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import MedloopError, listed
from contracts.payloads import Payloads, ragged
from pipelines.sources.raw import Raw, tidy_header
from pipelines.sources.typed import plain_column


def read_npz(data: bytes, *, where: str) -> Raw:
    """The table of a .npz archive; see `from_arrays`. Raises MedloopError for pickled (object) arrays and damage."""
    entries = dict[str, object]()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            try:
                with archive.open(name) as member:
                    entries[name.removesuffix(".npy")] = np.lib.format.read_array(member, allow_pickle=False)
            except (ValueError, OSError, EOFError, MemoryError, zipfile.BadZipFile, RuntimeError) as error:
                raise MedloopError(
                    "an array is damaged, or holds objects, which are a pickle and can run code",
                    where=f"{where}, array {name}",
                    mend="save arrays of plain numbers or text with numpy.savez",
                ) from error
    return from_arrays(entries, where=where)


def from_arrays(entries: Mapping[str, object], *, where: str) -> Raw:
    """One row an item of the arrays and lists that are N long; `@row` counts from 1.

    N is the length of the payloads, or of most entries where there are none. Entries of N plain values become text
    columns. N arrays (T, C) or (T,), or an array (N, T, C), become a sequence column, float32; unsigned (N, H, W),
    (N, C, H, W) and (N, H, W, 3) an image column. Provenance: what was `left_out`, with its length.
    Raises MedloopError when nothing is left.
    """
    found = _Sorted.of(entries)
    lengths = Counter(len(p) for p in found.payloads.values()) or Counter(len(v) for v in found.plain.values())
    if not lengths or not (rows := max(lengths, key=lambda length: (lengths[length], length))):
        raise MedloopError(
            "arrays of one length were expected, one row an item; there are none",
            where=where,
            mend=f"save arrays of plain values, sequences or images; there is {listed(sorted(entries)) or 'nothing'}",
        )
    payloads = {name: value for name, value in found.payloads.items() if len(value) == rows}
    plain = {name: value for name, value in found.plain.items() if len(value) == rows}
    names = [name for name in entries if name in payloads or name in plain]
    positions = pd.Series(np.arange(rows)).astype("str")
    cells = [positions if name in payloads else plain_column(plain[name], name, where=where) for name in names]
    header = tidy_header(names, where=where)
    return Raw(
        table=pd.DataFrame({"@row": np.arange(1, rows + 1), **dict(zip(header, cells, strict=True))}),
        provenance={"left_out": {n: _size(value) for n, value in sorted(entries.items()) if n not in names}},
        payloads={header[names.index(name)]: value for name, value in payloads.items()},
    )


@dataclass(frozen=True, kw_only=True)
class _Sorted:
    """Entries by what they hold."""

    plain: dict[str, "NDArray[Any] | list[Any]"] = field(default_factory=dict)
    payloads: dict[str, Payloads] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Mapping[str, object]) -> "_Sorted":
        found = cls()
        for name, value in entries.items():
            payloads = _payloads(value)
            if payloads is not None:
                found.payloads[name] = payloads
            elif isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim == 1):
                found.plain[name] = value
        return found


def _payloads(value: object) -> Payloads | None:
    """Sequences or images; None for plain values and all else."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return _of_array(value)
    pieces = list(value) if isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim) else []
    if not pieces or not all(_is_sequence(piece) for piece in pieces):
        return None
    shaped = [(piece if piece.ndim == 2 else piece[:, None]).astype(np.float32) for piece in pieces]
    channels = {piece.shape[1] for piece in shaped if len(piece)}
    if len(channels) > 1:
        return None
    width = max(channels, default=1)
    filled = [piece if len(piece) else np.empty((0, width), np.float32) for piece in shaped]
    return ragged(filled, channels=_names(width), like=np.empty((0, width), np.float32))


def _is_sequence(piece: object) -> bool:
    return isinstance(piece, np.ndarray) and piece.ndim in (1, 2) and piece.dtype.kind in "iufb"


def _of_array(value: NDArray[Any]) -> Payloads | None:
    if value.dtype.kind == "u" and value.ndim == 3:
        return Payloads(values=value[:, None])
    if value.dtype.kind == "u" and value.ndim == 4:
        last = value.shape[1] not in (1, 3) and value.shape[3] in (1, 3)
        return Payloads(values=np.ascontiguousarray(np.moveaxis(value, 3, 1)) if last else value)
    if value.dtype.kind in "iufb" and value.ndim == 3:
        count, steps, width = value.shape
        return Payloads(
            values=value.reshape(count * steps, width).astype(np.float32),
            offsets=np.arange(count + 1, dtype=np.int64) * steps,
            channels=_names(width),
        )
    return None


def _names(width: int) -> tuple[str, ...]:
    return tuple(str(channel) for channel in range(width))


def _size(value: object) -> list[int]:
    if isinstance(value, np.ndarray):
        return list(value.shape)
    return [len(value)] if isinstance(value, list | tuple | dict | str) else []

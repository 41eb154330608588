"""One recording out of the bytes of its file: a WFDB record, delimited text, or a numpy array."""

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import MedloopError, listed
from pipelines.sources.decimals import settle_decimal
from pipelines.sources.delimited import SEPARATORS, read_delimited
from pipelines.sources.encodings import to_utf8
from pipelines.sources.formats import ZIP, refused
from pipelines.sources.raw import Layout, Opened, UnreachableError

TIME = "time"
_NUMPY = b"\x93NUMPY"
_NOTHING = ("", "nan", "na")
_SEGMENTS = 10_000  # of one record


class UnreadableError(Exception):
    """Why a recording cannot be read, without its name or any of its values."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One file's steps (T, C), NaN a gap, with the moments (T,) and the rate in Hz where the file tells them."""

    steps: NDArray[np.float64]
    channels: tuple[str, ...]
    times: NDArray[np.float64] | None = None
    rate: float | None = None
    units: tuple[str, ...] = ()


def read_recording(name: str, opened: Opened, missing: tuple[str, ...]) -> Recording:
    """The recording in the file `name`; its channels are "0", "1", … where the file does not name them.

    A record of WFDB is named by its header (.hea), by a signal file (.dat) or without an ending; text begins with the
    channels' names, and its column `time` holds the moments. `missing` are the codes that mean "no value".
    Raises UnreadableError for what cannot be read, UnreachableError of `opened`.
    """
    try:
        recording = _read(name, opened, missing)
    except UnreachableError:
        raise
    except MedloopError as error:
        raise UnreadableError(error.problem) from error
    if not recording.steps.size:
        raise UnreadableError("it holds no steps")
    if len(set(recording.channels)) < len(recording.channels):
        raise UnreadableError("two of its channels have the same name")
    gaps = np.isin(recording.steps, [float(code) for code in missing if _is_number(code)])
    recording.steps[gaps] = np.nan
    if (np.abs(recording.steps) > np.finfo(np.float32).max).any():
        raise UnreadableError("it holds infinite values")
    return recording


def _read(name: str, opened: Opened, missing: tuple[str, ...]) -> Recording:
    path = PurePosixPath(name)
    if not path.name:
        raise UnreadableError("that is a folder, not a file")
    if path.suffix.lower() in ("", ".dat", ".hea"):
        return _wfdb(path if path.suffix.lower() == ".hea" else path.with_suffix(".hea"), opened)
    data = opened(name)
    if data.startswith(_NUMPY):
        return _array(data)
    kind = "a ZIP archive" if data.startswith(ZIP) else refused(data)
    if kind:
        raise UnreadableError(f"no recording: it is {kind}")
    return _text(data, missing)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _array(data: bytes) -> Recording:
    try:
        steps: NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError) as error:
        raise UnreadableError("it is no whole array of numbers (.npy)") from error
    if steps.dtype.kind not in "fiub" or steps.ndim not in (1, 2):
        raise UnreadableError("an array of steps × channels of numbers was expected")
    steps = (steps[:, None] if steps.ndim == 1 else steps).astype(np.float64)
    return Recording(steps=steps, channels=tuple(map(str, range(steps.shape[1]))))


def _text(data: bytes, missing: tuple[str, ...]) -> Recording:
    cells = _cells(data)
    names = tuple(str(name) for name in cells.columns)
    if all(map(_is_number, names)) and names != tuple(map(str, range(len(names)))):
        raise UnreadableError("its first line holds no names of channels")
    numbers = cells.apply(lambda column: _numbers(column, missing))
    if TIME not in cells:
        return Recording(steps=numbers.to_numpy(np.float64, copy=True), channels=names)
    if not np.isfinite(numbers[TIME]).all():
        raise UnreadableError(f"its column {TIME} holds a step without a moment")
    numbers = numbers.sort_values(TIME, kind="stable")
    times, channels = numbers.pop(TIME).to_numpy(np.float64), tuple(name for name in names if name != TIME)
    return Recording(steps=numbers.to_numpy(np.float64, copy=True), channels=channels, times=times)


def _cells(data: bytes) -> pd.DataFrame:
    """Columns of text. One channel alone has no separator, and its blank lines are gaps."""
    where = "the file"
    lines = to_utf8(data, None, where=where)[0].decode().splitlines()
    if lines and lines[0].strip() and not any(separator in lines[0] for separator in SEPARATORS):
        return pd.DataFrame({lines[0].strip(' "'): pd.Series(lines[1:], dtype="str")})
    table = read_delimited(data, Layout(), where=where).table
    return settle_decimal(table, None, where=where).drop(columns="@row")


def _numbers(column: "pd.Series", missing: tuple[str, ...]) -> "pd.Series":
    cells = column.str.strip()
    blank = cells.str.lower().isin(_NOTHING) | cells.isin(missing)
    numbers = pd.to_numeric(cells.mask(blank), errors="coerce").astype(np.float64)
    wrong = np.flatnonzero(numbers.isna() & ~blank)
    if len(wrong):
        raise UnreadableError(f"channel {column.name} holds text at step {wrong[0] + 1} ({len(wrong)} in all)")
    return numbers


def _wfdb(header: PurePosixPath, opened: Opened) -> Recording:
    """wfdb reads files alone, so a record's are laid into a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            _lay_out(header, opened, Path(folder))
            return _physical(Path(folder) / header.stem)
        except (MedloopError, UnreadableError):
            raise
        except Exception as error:  # wfdb raises whatever a malformed header leads to
            raise UnreadableError("it is no whole record of WFDB") from error


def _lay_out(header: PurePosixPath, opened: Opened, folder: Path) -> None:
    """Writes the header, those of its segments, and their signal files, all of which lie beside it."""
    import wfdb

    (folder / header.name).write_bytes(opened(str(header)))
    record = wfdb.rdheader(str(folder / header.stem))
    segments = [name for name in getattr(record, "seg_name", None) or [] if name != "~"]
    if len(segments) > _SEGMENTS:
        raise UnreadableError(f"it has {len(segments)} segments, {_SEGMENTS} are the most")
    for name in segments:
        if not (folder / f"{name}.hea").exists():
            _lay_out(header.with_name(f"{name}.hea"), opened, folder)
    for name in set(getattr(record, "file_name", None) or []) - {"~"}:
        (folder / header.with_name(name).name).write_bytes(opened(str(header.with_name(name))))


def _physical(record_path: Path) -> Recording:
    import wfdb

    header = wfdb.rdheader(str(record_path))
    skew = [abs(steps) for steps in getattr(header, "skew", None) or [] if steps]
    if max(skew, default=0) > (header.sig_len or 0):
        raise UnreadableError("its header delays a signal beyond its end")
    record = wfdb.rdrecord(str(record_path))
    if not record.n_sig:
        raise UnreadableError("it holds no signals")
    if not record.fs or record.fs <= 0:
        raise UnreadableError("its header tells no sampling rate")
    names = tuple(name or str(place) for place, name in enumerate(record.sig_name))
    return Recording(
        steps=np.array(record.p_signal, dtype=np.float64),
        channels=names,
        rate=float(record.fs),
        units=tuple(unit or "" for unit in record.units),
    )


def chosen(recording: Recording, channels: tuple[str, ...]) -> NDArray[np.float64]:
    """The steps of these channels, in this order. Raises UnreadableError naming those that are absent."""
    absent = [name for name in channels if name not in recording.channels]
    if absent:
        raise UnreadableError(f"it has no channel {listed(absent)}; its channels are {listed(recording.channels)}")
    return recording.steps[:, [recording.channels.index(name) for name in channels]]

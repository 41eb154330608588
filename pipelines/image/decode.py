"""Image files to one array in the declared form."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError
from contracts.payloads import Allocate, Payloads
from contracts.study import Column
from pipelines.decoded import Decoded
from pipelines.image.dicom import is_dicom, read_dicom, unquoted
from pipelines.image.picture import CHANNELS, Picture, UnreadableError, conformed, from_array
from pipelines.image.raster import read_raster
from pipelines.sources.raw import Opened, UnreachableError

THREADS = min(4, os.cpu_count() or 1)
MENDS = {"colour": "grey", "depth": "8", "monochrome1": "invert"}
ENDINGS = {
    "jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "gif": "GIF", "tif": "TIFF", "tiff": "TIFF", "bmp": "BMP",
    "webp": "WEBP", "npy": "NPY", "dcm": "DICOM",
}  # fmt: skip


def ignored(count: int) -> None:
    """Progress that nobody asked for."""


@dataclass
class _Forms:
    """How often each form of what is not declared occurs, and a file of each."""

    undeclared: tuple[str, ...]
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    examples: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, form: dict[str, str], file: str) -> None:
        for name in self.undeclared:
            self.counts.setdefault(name, Counter())[form[name]] += 1
            self.examples.setdefault((name, form[name]), file)

    def check(self) -> None:
        """Raises MedloopError when the images are not alike in something that is not declared."""
        mixed = {
            name: sorted(of.items(), key=lambda i: (-i[1], i[0])) for name, of in self.counts.items() if len(of) > 1
        }
        if mixed:
            lines = [f"`{name}: {MENDS.get(name, forms[0][0])}`" for name, forms in mixed.items()]
            raise MedloopError(
                f"the images are not alike: {'; '.join(self._told(name, forms) for name, forms in mixed.items())}",
                mend=f"say to which form they are brought: add {', '.join(lines)} to the column",
            )

    def _told(self, name: str, forms: list[tuple[str, int]]) -> str:
        told = [f"{form} in {count:,} (as {self.examples[name, form]})" for form, count in forms[:4]]
        rest = f", and {len(forms) - 4:,} more" if len(forms) > 4 else ""
        return f"{name} is {', '.join(told)}{rest}"


def decode_images(
    names: Sequence[str],
    opened: Opened,
    column: Column,
    *,
    allocate: Allocate = np.zeros,
    tell: Callable[[int], None] = ignored,
) -> Decoded[Payloads]:
    """The pictures of these files in the declared form: JPEG, PNG, TIFF, BMP, GIF, WebP, DICOM and .npy.

    One pass, so that a file that comes over a network is fetched once: the first readable picture settles what is not
    declared, all others are compared with it. Memory: the array that `allocate` gives and a few pictures.

    Raises MedloopError when the files differ in what is not declared, UnreachableError when they cannot be reached.

    Shape:
        payloads.values: (N, C, H, W), uint8 or uint16; zeros for a file that cannot be read
    """
    forms = _Forms(tuple(name for name in ("size", "colour", "depth", "monochrome1") if not getattr(column, name)))
    faults, formats, misnamed = dict[int, str](), Counter[str](), 0
    values: NDArray[Any] | None = None
    for at, read in enumerate(_read(names, opened, column, tell)):
        if isinstance(read, str):
            faults[at] = read
            continue
        form, picture = read
        forms.add(form, names[at])
        formats[picture.format] += 1
        misnamed += ENDINGS.get(names[at].rpartition(".")[2].lower(), picture.format) != picture.format
        if values is None:
            values = allocate((len(names), *picture.values.shape), picture.values.dtype)
        if picture.values.shape == values.shape[1:] and picture.values.dtype == values.dtype:
            values[at] = picture.values
    forms.check()
    if values is None:
        values = _blank(len(names), column, allocate)
    facts = {"formats": dict(sorted(formats.items())), "misnamed": misnamed, "shape": list(values.shape[1:])}
    return Decoded(payloads=_payloads(values), faults=faults, facts={**facts, "depth": 8 * values.dtype.itemsize})


def _read(
    names: Sequence[str], opened: Opened, column: Column, tell: Callable[[int], None]
) -> Iterator["tuple[dict[str, str], Picture] | str"]:
    """In order, each picture's form as stored and the picture as declared, or why there is none."""
    with ThreadPoolExecutor(THREADS) as pool, unquoted():
        for start in range(0, len(names), 2 * THREADS):
            batch = [_opened(name, opened) for name in names[start : start + 2 * THREADS]]
            yield from pool.map(lambda data: data if isinstance(data, str) else _decoded(data, column), batch)
            tell(start + len(batch))


def _opened(name: str, opened: Opened) -> bytes | str:
    try:
        return opened(name)
    except UnreachableError:
        raise
    except MedloopError as error:
        return error.problem


def _decoded(data: bytes, column: Column) -> "tuple[dict[str, str], Picture] | str":
    try:
        picture = read_dicom(data, windowed=column.depth == 8) if is_dicom(data) else read_raster(data)
    except UnreadableError as error:
        return str(error)
    return _form(picture), conformed(picture, column)


def _form(picture: Picture) -> dict[str, str]:
    """What a study may declare, as it would be written."""
    _, height, width = picture.values.shape
    low = "white is low (MONOCHROME1)" if picture.monochrome1 else "white is high"
    return {
        "size": f"[{height}, {width}]",
        "colour": picture.colour,
        "depth": str(picture.depth),
        "monochrome1": low,
    }


def _blank(count: int, column: Column, allocate: Allocate) -> NDArray[Any]:
    """Zeros in the declared form, for when there is no readable picture."""
    channels = len(CHANNELS[column.colour or "grey"])
    return allocate((count, channels, *(column.size or (1, 1))), np.uint16 if column.depth == 16 else np.uint8)


def conform_images(payloads: Payloads, column: Column, *, allocate: Allocate = np.zeros) -> Payloads:
    """Pictures that a source holds as arrays, in the declared form; the very same where nothing changes.

    Raises MedloopError for numbers or shapes that are no pictures, and for channels that have no such colour.

    Shape:
        payloads.values: (N, C, H, W)
    """
    values = payloads.values
    if values.ndim != 4 or 0 in values.shape[1:]:
        raise _no_pictures(f"an array of shape {values.shape}, (count, channels, height, width) was expected")
    if column.colour and values.shape[1] not in (1, 3):
        raise _no_pictures(f"{values.shape[1]} channels are neither grey nor rgb; leave `colour` out")
    result: NDArray[Any] | None = None
    for at in range(len(values)):
        try:
            picture = conformed(_as_picture(values[at]), column).values
        except UnreadableError as error:
            raise _no_pictures(str(error)) from None
        if result is None:
            if picture.shape == values.shape[1:] and picture.dtype == values.dtype:
                return payloads if payloads.channels else _payloads(values)
            result = allocate((len(values), *picture.shape), picture.dtype)
        result[at] = picture
    return payloads if result is None else _payloads(result)


def _as_picture(values: NDArray[Any]) -> Picture:
    planes = [from_array(plane, "array").values for plane in values]
    return Picture(values=np.concatenate(planes), format="array")


def _no_pictures(problem: str) -> MedloopError:
    return MedloopError(
        f"these arrays are no pictures: {problem}", mend="give them as whole numbers of 8 or 16 bits, or as 0 to 1"
    )


def _payloads(values: NDArray[Any]) -> Payloads:
    named = {len(names): names for names in CHANNELS.values()}
    return Payloads(values=values, channels=named.get(values.shape[1], tuple(f"c{c}" for c in range(values.shape[1]))))

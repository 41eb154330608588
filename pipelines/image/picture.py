"""One decoded picture, and how it is brought to the declared form."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.study import Column

MOST_PIXELS = 2**26  # 8192 x 8192; a header that claims more is refused before anything is unpacked
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
CHANNELS = {"grey": ("grey",), "rgb": ("red", "green", "blue")}


class UnreadableError(Exception):
    """Why a file gives no picture; holds neither its name nor any of its content."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A picture as it was stored.

    Shape:
        values: (C, H, W), uint8 or uint16
    `format` is the file's; `monochrome1` says that white is low, as DICOM's MONOCHROME1 has it.
    """

    values: NDArray[Any]
    format: str
    monochrome1: bool = False

    @property
    def depth(self) -> int:
        """Bits a value: 8 or 16."""
        return 8 * self.values.dtype.itemsize

    @property
    def colour(self) -> str:
        """grey, or rgb for three channels."""
        return "rgb" if len(self.values) == 3 else "grey"


def check_pixels(count: int) -> None:
    """Raises UnreadableError for a picture of more than MOST_PIXELS (a decompression bomb)."""
    if count > MOST_PIXELS:
        raise UnreadableError(f"{count:,} pixels claimed, at most {MOST_PIXELS:,} are unpacked")


def from_array(array: NDArray[Any], format_: str) -> Picture:
    """A picture of plain numbers: (H, W), (C, H, W) or (H, W, C) with 1 or 3 channels.

    Whole numbers of 8 bits stay, others must lie in 0 to 65,535 and become 16 bits; fractions must lie in 0 to 1 and
    become 16 bits over their whole range. Raises UnreadableError for anything else, NaN included.
    """
    check_pixels(array.size // (3 if array.ndim == 3 else 1))
    return Picture(values=_channels_first(_unsigned(array)), format=format_)


def _unsigned(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "uif":
        raise UnreadableError(f"an array of {array.dtype}, numbers were expected")
    if array.dtype.kind == "u" and array.itemsize <= 2:
        return array.astype(array.dtype.newbyteorder("="))
    most = 1 if array.dtype.kind == "f" else 65535
    if not ((array >= 0) & (array <= most)).all():
        raise UnreadableError(f"{array.dtype} values beyond 0 to {most:,}: save them as whole numbers of 8 or 16 bits")
    return np.rint(array * (65535 / most)).astype(np.uint16)


def _channels_first(array: NDArray[Any]) -> NDArray[Any]:
    if 0 not in array.shape:
        if array.ndim == 2:
            return array[None]
        if array.ndim == 3 and array.shape[0] in (1, 3):
            return array
        if array.ndim == 3 and array.shape[2] in (1, 3):
            return np.moveaxis(array, 2, 0)
    raise UnreadableError(f"an array of shape {array.shape}, one picture (height, width[, channels]) was expected")


def conformed(picture: Picture, column: Column) -> Picture:
    """The picture in the form that the column declares; what it does not declare stays. Resampled at its own depth."""
    values = picture.values
    if picture.monochrome1 and column.monochrome1 == "invert":
        values = np.iinfo(values.dtype).max - values
    if column.colour and column.colour != picture.colour:
        values = _grey(values) if column.colour == "grey" else np.repeat(values, 3, axis=0)
    if column.size and column.size != values.shape[1:]:
        values = _fitted(values, column.size, column.fit)
    return replace(picture, values=_at_depth(values, column.depth))


def _grey(values: NDArray[Any]) -> NDArray[Any]:
    luma: NDArray[np.float32] = np.einsum("chw,c->hw", values, LUMA, dtype=np.float32, casting="unsafe")
    return np.rint(luma).astype(values.dtype)[None]


def _at_depth(values: NDArray[Any], depth: int | None) -> NDArray[Any]:
    if depth == 16 and values.dtype == np.uint8:
        return values.astype(np.uint16) * np.uint16(257)
    if depth == 8 and values.dtype == np.uint16:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return values


def _fitted(values: NDArray[Any], size: tuple[int, int], fit: str) -> NDArray[Any]:
    """Resampled to `size` (H, W): stretched, cropped to the middle, or whole with black beside it."""
    height, width = values.shape[1:]
    down, across = size[0] / height, size[1] / width
    if fit == "stretch":
        return _resampled(values, size, (0, 0, width, height))
    if fit == "crop":
        scale = max(down, across)
        left, top = (width - size[1] / scale) / 2, (height - size[0] / scale) / 2
        return _resampled(
            values, size, (max(left, 0), max(top, 0), min(width - left, width), min(height - top, height))
        )
    scale = min(down, across)
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    top_row, left_column = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    padded = np.zeros((len(values), *size), dtype=values.dtype)
    small = _resampled(values, inner, (0, 0, width, height))
    padded[:, top_row : top_row + inner[0], left_column : left_column + inner[1]] = small
    return padded


def _resampled(values: NDArray[Any], size: tuple[int, int], box: tuple[float, float, float, float]) -> NDArray[Any]:
    """Lanczos with antialiasing, each channel apart; 16 bits go through floating point, and are clipped."""
    from PIL import Image

    channels = []
    for channel in values:
        plain = channel if values.dtype == np.uint8 else channel.astype(np.float32)
        resized = Image.fromarray(plain).resize(size[::-1], Image.Resampling.LANCZOS, box=box)
        channels.append(np.asarray(resized))
    stacked = np.stack(channels)
    return stacked if values.dtype == np.uint8 else np.rint(stacked.clip(0, 65535)).astype(np.uint16)

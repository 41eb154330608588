"""Picture files: their format told by the first bytes, read by Pillow; .npy arrays without objects."""

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.image.picture import MOST_PIXELS, Picture, UnreadableError, check_pixels, from_array

if TYPE_CHECKING:
    from PIL.Image import Image

READ = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"BM": "BMP",
    b"\x93NUMPY": "NPY",
}
OTHERS = {
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip file",
    b"<": "an HTML, XML or SVG page",
    b"{": "a JSON text",
    b"\x80": "a Python pickle",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 picture",
    b"\x5c\x01\0\0": "a NIfTI volume",
    b"\x89HDF": "an HDF5 file",
}


def format_of(data: bytes) -> str:
    """The format, told by the first bytes. Raises UnreadableError when it is none that is read."""
    if not data:
        raise UnreadableError("the file is empty")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    found = next((format_ for magic, format_ in READ.items() if data.startswith(magic)), None)
    if found:
        return found
    other = next((name for magic, name in OTHERS.items() if data.startswith(magic)), None)
    raise UnreadableError(f"no image: the first bytes are of {other or 'no known format'}")


def read_raster(data: bytes) -> Picture:
    """One picture: EXIF orientation applied, palette resolved, transparency flattened on black.

    Of an animation the first frame; a TIFF of several pages is refused. Pillow reads colours of 16 bits a channel as
    8. Raises UnreadableError, also for what Pillow would fill up with grey (`LOAD_TRUNCATED_IMAGES` stays off).
    """
    format_ = format_of(data)
    try:
        return _array(data) if format_ == "NPY" else _picture(data, format_)
    except UnreadableError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # decoders raise anything on damaged bytes, and quote them
        cut = "truncated" in str(error).lower() or isinstance(error, EOFError)
        raise UnreadableError(f"{'truncated' if cut else 'damaged'} {format_}") from None


def _picture(data: bytes, format_: str) -> Picture:
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data), formats=[format_]) as image:
            check_pixels(image.width * image.height)
            pages = getattr(image, "n_frames", 1) if format_ == "TIFF" else 1
            if pages > 1:
                raise UnreadableError(f"a TIFF of {pages} pages, one was expected")
            image.load()
            return from_array(_flat(ImageOps.exif_transpose(image)), format_)
    except Image.DecompressionBombError:
        raise UnreadableError(f"too many pixels claimed, at most {MOST_PIXELS:,} are unpacked") from None


def _flat(image: "Image") -> NDArray[Any]:
    """Grey or RGB numbers, whatever the mode."""
    from PIL import Image

    if image.mode == "F" or image.mode.startswith("I"):
        return np.asarray(image)
    kind = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return np.asarray(Image.alpha_composite(black, image.convert("RGBA")).convert(kind))
    return np.asarray(image.convert(kind))


def _array(data: bytes) -> Picture:
    """Read off the bytes in place, so that a header cannot claim more than there is, and objects cannot be read."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns_first, dtype = header(file)
    if dtype.hasobject:
        raise UnreadableError("an array of Python objects, numbers were expected")
    count = int(np.prod(shape, dtype=object)) if shape else 1
    if count * dtype.itemsize > len(data) - file.tell():
        raise UnreadableError("truncated NPY")
    values = np.frombuffer(data, dtype, count, offset=file.tell())
    return from_array(values.reshape(shape, order="F" if columns_first else "C"), "NPY")

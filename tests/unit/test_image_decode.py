"""Real files of each kind, made here: what they decode to, and which are refused."""

import io
import pickle
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from contracts.errors import MedloopError
from contracts.payloads import Payloads
from contracts.study import Column
from pipelines.image import picture
from pipelines.image.decode import conform_images, decode_images
from pipelines.sources.raw import UnreachableError

RAMP = np.tile(np.arange(0, 240, 10, dtype=np.uint8), (16, 1))  # 16 x 24, growing to the right
GREY = Column(type="image", size=(16, 24), colour="grey", depth=8)


def saved(image: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def array_file(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values, allow_pickle=True)
    return file.getvalue()


def decode(column: Column, **files: bytes):
    return decode_images(list(files), files.__getitem__, column)


def one(column: Column, data: bytes) -> np.ndarray:
    decoded = decode(column, file=data)
    assert decoded.faults == {}
    return decoded.payloads.values[0]


GREYS: dict[str, Callable[[], bytes]] = {
    "png": lambda: saved(Image.fromarray(RAMP)),
    "bmp": lambda: saved(Image.fromarray(RAMP), "BMP"),
    "gif": lambda: saved(Image.fromarray(RAMP), "GIF", save_all=True, append_images=[Image.fromarray(RAMP[:, ::-1])]),
    "tiff": lambda: saved(Image.fromarray(RAMP), "TIFF"),
    "webp": lambda: saved(Image.fromarray(RAMP), "WEBP", lossless=True),
    "jpeg": lambda: saved(Image.fromarray(RAMP), "JPEG", quality=95),
    "cmyk": lambda: saved(Image.fromarray(RAMP).convert("CMYK"), "JPEG", quality=95),
    "palette": lambda: saved(Image.fromarray(RAMP).convert("P")),
    "sixteen": lambda: saved(Image.fromarray(RAMP.astype(np.uint16) * 257)),
    "array": lambda: array_file(RAMP),
    "fractions": lambda: array_file(np.asfortranarray(RAMP[:, :, None] / 255)),
}


@pytest.mark.parametrize("kind", GREYS)
def test_every_kind_of_file_gives_the_same_picture(kind: str) -> None:
    values = one(GREY, GREYS[kind]())
    assert values.shape == (1, 16, 24) and values.dtype == np.uint8
    assert np.abs(values[0].astype(int) - RAMP).max() <= 3


def test_colours_become_grey_by_rec_601_and_alpha_falls_on_black() -> None:
    rgba = np.zeros((2, 2, 4), dtype=np.uint8)
    rgba[0, 0], rgba[0, 1], rgba[1, 0] = (255, 0, 0, 255), (255, 255, 255, 0), (0, 255, 0, 255)
    column = Column(type="image", colour="grey")
    assert one(column, saved(Image.fromarray(rgba))).tolist() == [[[76, 0], [150, 0]]]


def test_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees clockwise
    turned = one(Column(type="image"), saved(Image.fromarray(RAMP), "TIFF", exif=exif))
    assert turned.shape == (1, 24, 16)
    assert (turned[0] == np.rot90(RAMP, -1)).all()


def test_sixteen_bits_stay_sixteen_also_when_resampled() -> None:
    deep = (np.arange(64 * 64).reshape(64, 64) * 16).astype(np.uint16)
    small = one(Column(type="image", size=(32, 32), fit="stretch"), saved(Image.fromarray(deep)))
    assert small.dtype == np.uint16
    assert np.abs(small[0].astype(float) - deep.reshape(32, 2, 32, 2).mean(axis=(1, 3)))[2:-2, 2:-2].max() < 40
    assert one(Column(type="image", depth=16), saved(Image.fromarray(RAMP))).max() == 230 * 257


def test_fits() -> None:
    white = saved(Image.fromarray(np.full((10, 20), 200, dtype=np.uint8)))
    padded = one(Column(type="image", size=(8, 8)), white)[0]
    assert (padded[2:6] == 200).all() and (padded[[0, 1, 6, 7]] == 0).all()
    assert (one(Column(type="image", size=(8, 8), fit="stretch"), white) == 200).all()
    edges = np.zeros((10, 20), dtype=np.uint8)
    edges[:, 5:15] = 255
    cropped = one(Column(type="image", size=(10, 10), fit="crop"), saved(Image.fromarray(edges)))
    assert (cropped == 255).all()


def test_what_differs_and_is_not_declared_is_an_error_with_the_lines_to_add() -> None:
    rgb = saved(Image.new("RGB", (24, 16)))
    files = {"a.png": saved(Image.fromarray(RAMP)), "b.png": saved(Image.fromarray(RAMP[:8])), "c.png": rgb}
    with pytest.raises(MedloopError) as told:
        decode(Column(type="image"), **files)
    assert "size is [16, 24] in 2 (as a.png), [8, 24] in 1 (as b.png)" in told.value.problem
    assert "colour is grey in 2 (as a.png), rgb in 1 (as c.png)" in told.value.problem
    assert "`size: [16, 24]`, `colour: grey`" in told.value.mend and "depth" not in told.value.mend
    assert decode(GREY, **files).faults == {}


def test_files_that_are_no_pictures_are_told_by_position_and_leave_zeros() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    jpeg, png = saved(Image.fromarray(noise), "JPEG"), saved(Image.fromarray(noise))
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a", "b")
    files = {
        "good.png": png,
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "cut.png": png[: len(png) // 2],
        "cut.npy": array_file(noise)[:-1],
        "pages.tif": saved(Image.fromarray(noise), "TIFF", save_all=True, append_images=[Image.fromarray(noise)]),
        "empty.png": b"",
        "report.jpg": b"%PDF-1.7 and so on",
        "archive.png": zipped.getvalue(),
        "pickle.npy": pickle.dumps([1]),
        "objects.npy": array_file(np.array([{}, {}])),
        "beyond.npy": array_file(np.array([[0.0, np.nan]])),
        "odd.jpg": png,
    }
    decoded = decode(Column(type="image", size=(8, 8)), **files)
    told = {list(files)[at]: fault for at, fault in decoded.faults.items()}
    assert told.pop("beyond.npy").startswith("float64 values beyond 0 to 1")
    assert told == {
        "cut.jpg": "truncated JPEG",
        "cut.png": "truncated PNG",
        "cut.npy": "truncated NPY",
        "pages.tif": "a TIFF of 2 pages, one was expected",
        "empty.png": "the file is empty",
        "report.jpg": "no image: the first bytes are of a PDF",
        "archive.png": "no image: the first bytes are of a ZIP archive",
        "pickle.npy": "no image: the first bytes are of a Python pickle",
        "objects.npy": "an array of Python objects, numbers were expected",
    }
    assert (decoded.payloads.values[list(decoded.faults)] == 0).all() and decoded.payloads.values[0].any()
    assert decoded.facts["formats"] == {"PNG": 2} and decoded.facts["misnamed"] == 1


def test_a_decompression_bomb_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = saved(Image.new("1", (20_000, 20_000)))
    monkeypatch.setattr(picture, "MOST_PIXELS", 1000)
    huge = array_file(np.zeros((100, 100), dtype=np.uint8))
    faults = decode(Column(type="image"), bomb=bomb, larger=saved(Image.new("L", (100, 100))), huge=huge).faults
    assert all("pixels claimed" in faults[at] for at in range(3))


def test_an_absent_file_is_a_fault_and_an_unreachable_one_an_error() -> None:
    def absent(name: str) -> bytes:
        raise MedloopError("no such file")

    def unreachable(name: str) -> bytes:
        raise UnreachableError("the server is away")

    decoded = decode_images(["a.png"], absent, GREY)
    assert decoded.faults == {0: "no such file"} and decoded.payloads.values.shape == (1, 1, 16, 24)
    with pytest.raises(UnreachableError):
        decode_images(["a.png"], unreachable, GREY)


def test_arrays_of_a_source_are_brought_to_the_declared_form() -> None:
    held = Payloads(values=RAMP[None, None])
    assert conform_images(held, Column(type="image")).values is held.values
    small = conform_images(held, Column(type="image", size=(8, 12), colour="rgb", depth=16))
    assert small.values.shape == (1, 3, 8, 12) and small.values.dtype == np.uint16
    assert small.channels == ("red", "green", "blue")
    with pytest.raises(MedloopError, match="count, channels, height, width"):
        conform_images(Payloads(values=RAMP[None]), Column(type="image"))

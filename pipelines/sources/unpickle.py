"""The one way that a pickle is read: of a wheel pinned by its hash, with nothing callable but a list of constructors.

What a pickle may name is a closed list of (module, name); none of these can call anything it is given. Arrays and
types are made by functions of our own, since numpy's would read any memory for a forged type, and state is given
only to objects of a closed list of classes, never to a class or function.
"""

import io
import lzma
import math
import pickle
import zlib
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError
from pipelines.sources.inflation import GZIP, bomb, damaged, gunzip, inflation_limit

XZ = b"\xfd7zXZ\x00"
NPY = b"\x93NUMPY"
_ARRAY = object()  # stands for numpy.ndarray, which must not be called: it reads memory by an address


def unpickled(data: bytes, *, where: str) -> object:
    """The object of a pickle, perhaps compressed (gzip, xz, zlib), or of a .npy that holds objects.

    Raises MedloopError for what is damaged, unpacks to a bomb, or names anything but constructors of pandas and numpy.
    """
    plain = _unpacked(data, where=where)
    stream = io.BytesIO(plain)
    if plain.startswith(NPY):
        _skip_header(stream, where)
    try:
        loaded = _Unpickler(stream).load()
    except _RefusedError as refusal:
        raise MedloopError(
            f"the pickle asks for {refusal}, which is none of the constructors of pandas and numpy that are permitted",
            where=where,
            mend="do not read it; export the table as CSV or parquet where it was made",
        ) from None
    except Exception as error:  # a forged pickle may fail in any way
        raise MedloopError(
            f"the pickle cannot be read ({type(error).__name__})",
            where=where,
            mend="export the table as CSV or parquet where it was made",
        ) from error
    is_scalar = isinstance(loaded, np.ndarray) and loaded.shape == ()
    return loaded.item() if is_scalar else loaded


PANDAS = (
    *(("pandas", name) for name in ("DataFrame", "Index", "RangeIndex", "MultiIndex", "DatetimeIndex")),
    *(("pandas", name) for name in ("Categorical", "CategoricalDtype")),
    *(("pandas.arrays", name) for name in ("DatetimeArray", "TimedeltaArray")),
    ("pandas.core.frame", "DataFrame"),
    ("pandas.core.internals.managers", "BlockManager"),
    ("pandas._libs.internals", "_unpickle_block"),
    ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas.core.indexes.base", "Index"),
    ("pandas.core.indexes.range", "RangeIndex"),
    ("pandas.core.indexes.multi", "MultiIndex"),
    ("pandas.core.indexes.datetimes", "DatetimeIndex"),
    ("pandas.core.indexes.datetimes", "_new_DatetimeIndex"),
    ("pandas.core.arrays.datetimes", "DatetimeArray"),
    ("pandas.core.arrays.timedeltas", "TimedeltaArray"),
    ("pandas.core.arrays.categorical", "Categorical"),
    ("pandas.core.dtypes.dtypes", "CategoricalDtype"),
)


class _RefusedError(Exception):
    """What a pickle asked for and may not have."""


def _unpacked(data: bytes, *, where: str) -> bytes:
    if data.startswith(GZIP):
        return gunzip(data, where=where)
    limit = inflation_limit(len(data))
    try:
        if data.startswith(XZ):
            stream: Any = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=1 << 30)
        elif data[:1] == b"\x78":
            stream = zlib.decompressobj()
        else:
            return data
        plain: bytes = stream.decompress(data, limit + 1)
    except (lzma.LZMAError, zlib.error) as error:
        raise damaged(where) from error
    if len(plain) > limit:
        raise bomb(where)
    if not stream.eof:
        raise damaged(where)
    return plain


def _skip_header(stream: io.BytesIO, where: str) -> None:
    """Moves behind the header of a .npy, which says that a pickle follows."""
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        _, _, kind = read(stream)
    except ValueError as error:
        raise damaged(where) from error
    if not kind.hasobject:
        raise MedloopError(
            "a single array is no table",
            where=where,
            mend="save the arrays by name with numpy.savez, all of one length",
        )


def _latin1(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise _RefusedError(f"the encoding {encoding}")
    return text.encode("latin-1")


def _dtype(code: str, align: bool = False, copy: bool = False) -> np.dtype[Any]:
    """A plain type; a copy of it, whose unit is yet to come, where it is one of times."""
    if not isinstance(code, str) or np.dtype(code).kind not in "biufcSUOmM" or np.dtype(code).names:
        raise _RefusedError("an array of an odd type")
    return np.dtype(code, align=False, copy=True) if np.dtype(code).kind in "mM" else np.dtype(code)


def _reconstruct(subtype: object, shape: tuple[int, ...], code: bytes) -> NDArray[Any]:
    if subtype is not _ARRAY:
        raise _RefusedError("a subclass of an array")
    return np.empty(0, dtype=np.uint8)


def _frombuffer(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], order: str) -> NDArray[Any]:
    return np.frombuffer(data, dtype=_plain(dtype)).reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: np.dtype[Any], data: bytes) -> object:
    return np.frombuffer(data, dtype=_plain(dtype), count=1)[0]


def _plain(dtype: object) -> np.dtype[Any]:
    if not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise _RefusedError("an array of an odd type")
    return dtype


def _set_dtype(dtype: np.dtype[Any], state: Any) -> None:
    """A plain type's state says nothing new, but for the unit of times."""
    known = dtype.__reduce__()[2]
    if dtype.kind in "mM" and state[:8] == known[:8]:
        dtype.__setstate__(state)  # type: ignore[attr-defined]
    elif state[1:8] != known[1:8]:
        raise _RefusedError("an array of an odd type")


def _set_array(array: NDArray[Any], state: Any) -> None:
    version, shape, dtype, is_fortran, content = state
    if not isinstance(dtype, np.dtype) or isinstance(content, list) != dtype.hasobject:
        raise _RefusedError("an array of an odd type")
    if min(shape, default=0) < 0 or len(content) != math.prod(shape) * (1 if dtype.hasobject else dtype.itemsize):
        raise _RefusedError("an array of another size")  # numpy would read on behind the list
    array.__setstate__((version, shape, dtype, is_fortran, content))


OWN: dict[tuple[str, str], Any] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _frombuffer for core in ("core", "_core")},
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _latin1,
    ("builtins", "slice"): slice,
    ("__builtin__", "slice"): slice,  # as protocol 2 calls it
}


@cache
def _permitted() -> dict[tuple[str, str], Any]:
    """What a pickle may name, and what it gets for it."""
    return OWN | {(module, name): getattr(import_module(module), name) for module, name in PANDAS}


PythonUnpickler: Any = pickle._Unpickler  # the one in C does not let state be checked


class _Unpickler(PythonUnpickler):  # type: ignore[misc]
    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(PythonUnpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        permitted = _permitted()
        if (module, name) not in permitted:
            raise _RefusedError(f"{module}.{name}")
        return permitted[module, name]

    def load_build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, np.dtype):
            _set_dtype(target, state)
        elif isinstance(target, np.ndarray):
            _set_array(target, state)
        elif type(target) in {kind for kind in _permitted().values() if isinstance(kind, type)}:
            self.stack.append(state)
            super().load_build()
        else:
            raise _RefusedError(f"a state for a {type(target).__name__}")

    dispatch[pickle.BUILD[0]] = load_build

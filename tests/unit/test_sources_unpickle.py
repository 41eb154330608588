"""Pickles and arrays of a pinned wheel: tables are read, and nothing that could call anything else."""

import builtins
import codecs
import gzip
import io
import lzma
import os
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy._core import multiarray, numeric

from contracts.errors import MedloopError
from pipelines.sources import inflation
from pipelines.sources.arrays import from_arrays, read_npz
from pipelines.sources.typed import read_frame
from pipelines.sources.unpickle import unpickled
from tests.unit.sources import fault, npy


class Calls:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def frame() -> pd.DataFrame:
    """As pandas before 3 pickles it: texts are objects."""
    kinds = pd.Index(["a", "b"], dtype=object)
    made = pd.DataFrame(
        {
            "id": pd.Series(["007", "8", None], dtype=object),
            "n": [1, -2, 3],
            "x": [0.1, np.nan, 3.0],
            "day": pd.to_datetime(["2020-01-02", "NaT", "2021-01-01T10:30:00"], format="ISO8601"),
            "kind": pd.Categorical(["a", "b", "a"], categories=kinds),
        }
    )
    return made.set_axis(pd.Index(list(made), dtype=object), axis=1)


def planted(tmp_path: Path) -> dict[str, bytes]:
    harm = Calls(os.system, f"touch {tmp_path}/harm")
    dotted = b"\x80\x04\x8c\x06pandas\x8c\x13io.common.os.system\x93\x8c\x04true\x85R."
    held = np.array([harm], dtype=object)
    return {
        "system": pickle.dumps(harm),
        "eval": pickle.dumps(Calls(builtins.eval, "1")),
        "getattr": pickle.dumps(Calls(getattr, pd.DataFrame, "to_pickle")),
        "npy": npy([harm]),
        "inside": pickle.dumps({"X": held}),
        "frame": pickle.dumps(pd.DataFrame({"x": held})),
        "dotted": dotted,
        "dotted numpy": b"\x80\x04\x8c\x05numpy\x8c\x10core.multiarray.\x93.",
        "numpy core": b"\x80\x04\x8c\x15numpy.core.multiarray\x8c\x08fromfile\x93.",
        "pandas eval": pickle.dumps(Calls(pd.eval, "1")),
        "state of a class": b"\x80\x02cpandas\nDataFrame\n}X\x01\x00\x00\x00aK\x01sb.",
        "class attribute": b"\x80\x02cpandas.core.indexes.range\nRangeIndex\nN}X\x01\x00\x00\x00aK\x01s\x86b.",
        "codec": pickle.dumps(Calls(codecs.encode, "a", "rot13")),
        "address": b"\x80\x02cnumpy\nndarray\n(K\x01\x85cnumpy\ndtype\nX\x01\x00\x00\x00O\x85RC\x08AAAAAAAAtR.",
        "forged buffer": pickle.dumps(Calls(numeric._frombuffer, b"A" * 8, np.dtype("O"), (1,), "C")),  # type: ignore[attr-defined]
        "scalar": pickle.dumps(Calls(multiarray.scalar, np.dtype("O"), b"A" * 8)),
    }


@pytest.mark.parametrize("name", list(planted(Path())))
def test_what_could_run_code_or_read_memory_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(MedloopError, match=r"pickle asks for|cannot be read"):
        unpickled(planted(tmp_path)[name], where="w")
    assert not (tmp_path / "harm").exists()
    assert not hasattr(pd.RangeIndex, "a") and not hasattr(pd.DataFrame, "a")


def test_an_array_longer_than_its_content_is_refused() -> None:
    pickled = pickle.dumps(np.array([None, None], dtype=object), protocol=2)
    with pytest.raises(MedloopError, match="another size"):
        unpickled(pickled.replace(b"(K\x01K\x02\x85", b"(K\x01K\x09\x85"), where="w")


def test_texts_in_arrows_memory_are_refused() -> None:
    with pytest.raises(MedloopError, match="ArrowStringArray"):  # their buffers would be believed unseen
        unpickled(pickle.dumps(pd.DataFrame({"a": ["x"]})), where="w")


def test_a_types_forged_state_is_refused() -> None:
    pickled = pickle.dumps(np.dtype("O"), protocol=2)
    assert unpickled(pickled, where="w") == np.dtype("O")
    with pytest.raises(MedloopError, match="odd type"):  # no longer said to hold references
        unpickled(pickled.replace(b"K?t", b"K\x00t"), where="w")
    with pytest.raises(MedloopError, match="odd type"):
        unpickled(pickle.dumps(np.zeros(2, dtype=[("a", "O"), ("b", "f8")])), where="w")


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("packed", [bytes, gzip.compress, lzma.compress, zlib.compress])
def test_a_frame_reads_as_it_was(packed: Callable[[bytes], bytes], protocol: int) -> None:
    found = unpickled(packed(pickle.dumps(frame(), protocol=protocol)), where="w")
    assert isinstance(found, pd.DataFrame)
    pd.testing.assert_frame_equal(found, frame())


def test_a_frames_cells_are_text_and_only_named_indices_columns() -> None:
    table = read_frame(frame(), where="w").table
    assert table.iloc[0].tolist() == [1, "007", "1", "0.1", "2020-01-02", "a"]
    assert table.iloc[1].tolist() == [2, "8", "-2", "", "", "b"]
    indexed = frame().set_index("id")
    assert list(read_frame(indexed, where="w").table)[:3] == ["@row", "id", "n"]
    assert list(read_frame(indexed.rename_axis(None), where="w").table)[:2] == ["@row", "n"]


def test_a_damaged_or_endless_pickle_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MedloopError, match="cut short"):
        unpickled(lzma.compress(pickle.dumps(1))[:-9], where="w")
    with pytest.raises(MedloopError, match="cannot be read"):
        unpickled(pickle.dumps(frame())[:-20], where="w")
    monkeypatch.setattr(inflation, "BOMB_BYTES", 1000)
    with pytest.raises(MedloopError, match="far more"):
        unpickled(lzma.compress(bytes(1_000_000)), where="w")


def test_elsewhere_a_pickle_is_refused_with_a_hint() -> None:
    assert "pickled: true" in fault(pickle.dumps(1)).mend
    assert "pickled: true" in fault(lzma.compress(pickle.dumps(1))).mend


def entries() -> dict[str, object]:
    return {
        "X": [np.ones((3, 2)), np.zeros((0, 2)), np.full((1, 2), 5)],
        "y": np.array([0, 1, 0]),
        "who": ["007", "8", "9"],
        "names": ["ax", "ay"],
    }


def test_a_dict_of_arrays_is_a_table_with_payloads() -> None:
    found = unpickled(npy(entries()), where="w")
    assert isinstance(found, dict)
    raw = from_arrays(found, where="w")
    assert raw.table.to_numpy().tolist() == [[1, "0", "0", "007"], [2, "1", "1", "8"], [3, "2", "0", "9"]]
    assert [len(raw.payloads["X"][i]) for i in range(3)] == [3, 0, 1]
    assert raw.payloads["X"].values.dtype == np.float32 and raw.payloads["X"].channels == ("0", "1")
    assert raw.provenance["left_out"] == {"names": [2]}


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def test_an_npz_holds_images_and_sequences() -> None:
    raw = read_npz(
        npz(
            grey=np.zeros((4, 5, 6), np.uint8),
            rgb=np.arange(4 * 5 * 6 * 3).reshape(4, 5, 6, 3).astype(np.uint16),
            ecg=np.zeros((4, 7, 2)),
            label=np.array(["a", "b", "a", "b"]),
        ),
        where="w",
    )
    assert raw.payloads["grey"].values.shape == (4, 1, 5, 6)
    assert raw.payloads["rgb"].values.shape == (4, 3, 5, 6) and raw.payloads["rgb"][0][:, 0, 0].tolist() == [0, 1, 2]
    assert raw.payloads["ecg"][3].shape == (7, 2)
    assert raw.table["label"].tolist() == ["a", "b", "a", "b"]


def test_an_npz_of_objects_and_one_of_nothing_alike_are_errors() -> None:
    with pytest.raises(MedloopError, match="objects"):
        read_npz(npz(x=np.array([{}, 1], dtype=object)), where="w")
    with pytest.raises(MedloopError, match="arrays of one length"):
        read_npz(npz(x=np.array(1)), where="w")

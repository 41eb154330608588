"""Payloads by position, and as they lie in a folder."""

from pathlib import Path

import numpy as np
import pytest

from contracts.errors import MedloopError
from contracts.payloads import Payloads, ragged
from flows.store import allocating, read_payloads, write_payloads

STEPS = [np.array([[1, 2]], dtype=np.float32), np.empty((0, 2), np.float32), np.array([[3, 4], [5, 6]], np.float32)]
SEQUENCES = ragged(STEPS, [np.array([0.0]), np.empty(0), np.array([1.0, 9.0])], ("a", "b"), like=STEPS[0])


def test_sequences_keep_their_steps_moments_and_order() -> None:
    taken = SEQUENCES.take(np.array([2, -1, 0, 1]))
    assert [taken[i].tolist() for i in range(4)] == [[[3, 4], [5, 6]], [], [[1, 2]], []]
    assert taken.moments(0).tolist() == [1.0, 9.0]
    assert len(taken) == 4 and taken.channels == ("a", "b")


def test_a_missing_picture_is_black() -> None:
    pictures = Payloads(values=np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2) + 1)
    assert pictures.take(np.array([1, -1])).values.tolist() == [[[[5, 6], [7, 8]]], [[[0, 0], [0, 0]]]]


def test_what_is_written_is_read_and_lies_on_the_disk(tmp_path: Path) -> None:
    drawn = allocating(tmp_path, 0)((2, 1, 2, 2), np.uint8)
    drawn[1] = 7
    scan = Payloads(values=drawn, channels=("grey",), centre=(1.5,), spread=(2.0,))
    nothing = ragged([], like=np.empty((0, 3), np.float32))
    write_payloads(tmp_path, {"scan": scan, "labs": SEQUENCES, "none": nothing})
    found = read_payloads(tmp_path)
    assert isinstance(found["scan"].values, np.memmap)
    assert found["scan"].values.tolist() == drawn.tolist()
    assert (found["scan"].centre, found["scan"].spread) == ((1.5,), (2.0,))
    assert found["labs"][2].tolist() == [[3, 4], [5, 6]] and found["labs"].moments(2).tolist() == [1.0, 9.0]
    assert len(found["none"]) == 0


def test_a_truncated_array_is_told(tmp_path: Path) -> None:
    write_payloads(tmp_path, {"labs": SEQUENCES})
    (tmp_path / "0.values.npy").write_bytes((tmp_path / "0.values.npy").read_bytes()[:-4])
    with pytest.raises(MedloopError, match="damaged"):
        read_payloads(tmp_path)

"""Cells that name files become positions or texts; what cannot be read is told by row and file."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from contracts.errors import MedloopError
from contracts.study import Column
from pipelines.decode import DecodedColumns, decode
from pipelines.sources.raw import Raw

SCAN, REPORT = Column(type="image", colour="grey"), Column(type="text", files=True, missing=("none",))


def png(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 6), shade, dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


FILES = {"a.png": png(10), "b.png": png(20), "cut.png": png(30)[:40], "a.txt": b"clear", "odd.txt": b"\xff\x00\xfe"}


def decoded(rows: dict[str, list[str]], columns: dict[str, Column], most: float = 1.0) -> DecodedColumns:
    table = pd.DataFrame({"@row": [str(n) for n in range(len(next(iter(rows.values()))))], **rows}, dtype="str")
    raw = Raw(table=table, opened=FILES.__getitem__)
    return decode(raw, columns, max_unreadable=most, allocate_for=lambda name: np.zeros, tell=lambda said: None)


def test_cells_become_positions_and_a_file_of_two_rows_is_decoded_once() -> None:
    done = decoded({"scan": ["b.png", "", "a.png", "b.png"]}, {"scan": SCAN})
    assert done.table["scan"].tolist() == ["0", "", "1", "0"]
    assert done.payloads["scan"].values[:, 0, 0, 0].tolist() == [20, 10]


def test_text_files_become_their_text_and_declared_codes_no_text() -> None:
    done = decoded({"report": ["a.txt", "none", "a.txt"]}, {"report": REPORT})
    assert done.table["report"].tolist() == ["clear", "", "clear"]
    assert "report" not in done.payloads


def test_unreadable_files_leave_a_blank_cell_and_are_named() -> None:
    done = decoded({"scan": ["cut.png", "a.png"], "report": ["odd.txt", "a.txt"]}, {"scan": SCAN, "report": REPORT})
    assert done.table["scan"].tolist() == ["", "1"] and done.table["report"].tolist() == ["", "clear"]
    assert set(done.faults) == {0}
    assert "cut.png: " in done.faults[0] and "odd.txt: " in done.faults[0]
    assert done.facts["scan"]["unreadable"] == 1


def test_more_unreadable_files_than_permitted_end_the_run() -> None:
    with pytest.raises(MedloopError, match=r"1 of 2 files cannot be read.*max_unreadable"):
        decoded({"scan": ["cut.png", "a.png"]}, {"scan": SCAN}, most=0.4)


def test_a_source_without_files_is_told() -> None:
    raw = Raw(table=pd.DataFrame({"@row": ["1"], "scan": ["a.png"]}, dtype="str"))
    with pytest.raises(MedloopError, match="scan name files"):
        decode(raw, {"scan": SCAN}, max_unreadable=0, allocate_for=lambda name: np.zeros, tell=lambda said: None)

"""Which reader a file gets by its first bytes: what can run code is refused, parquet and Excel become text."""

import gzip
import io
import pickle
import zipfile
import zlib
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from contracts.errors import MedloopError
from pipelines.sources import inflation
from pipelines.sources.inflation import gunzip
from tests.unit.sources import PLAIN, fault, npy, read_path, table_of


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a pickle was run",))


def pt() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(1))
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(Bomb()),
        zlib.compress(pickle.dumps(Bomb())),
        gzip.compress(pickle.dumps(Bomb())),
        npy([1, "a"]),
        pt(),
    ],
    ids=["pickle", "joblib", "gzipped", "npy", "pt"],
)
def test_what_can_run_code_is_refused_whatever_its_ending(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(data)
    with pytest.raises(MedloopError, match="this is a"):
        read_path(tmp_path / "table.csv")


def test_a_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflation, "BOMB_BYTES", 1000)
    with pytest.raises(MedloopError, match="far more"):
        gunzip(gzip.compress(bytes(10_000_000)), where="f.csv.gz")


def test_a_gzip_cut_short_is_an_error_and_a_whole_one_is_read() -> None:
    assert len(table_of(gzip.compress(PLAIN))) == 2
    assert "cut short" in fault(gzip.compress(PLAIN)[:-9]).problem


def typed_frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": ["007", "12345678901234567"],
            "n": [12345678901234567, -1],
            "x": [0.1, np.nan],
            "f": np.array([0.1, 2.0], dtype=np.float32),
            "flag": [True, False],
            "day": pd.to_datetime(["2020-01-02", "2020-01-02T10:30:00"], format="ISO8601"),
            "kind": pd.Categorical(["a", None]),
        }
    )


def test_parquet_cells_are_rendered_faithfully() -> None:
    table = table_of(typed_frame().to_parquet())
    assert table.iloc[0, 1:].tolist() == ["007", "12345678901234567", "0.1", "0.1", "true", "2020-01-02", "a"]
    assert table.iloc[1, 1:].tolist() == ["12345678901234567", "-1", "", "2.0", "false", "2020-01-02T10:30:00", ""]


@pytest.mark.parametrize("values", [[[1, 2]], [b"bytes"], [{"a": 1}]])
def test_parquet_objects_are_refused_by_column(values: list[object]) -> None:
    error = fault(pd.DataFrame({"id": [1], "odd": values}).to_parquet())
    assert "odd" in error.where


def workbook(**sheets: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_excel_keeps_ids_and_row_numbers() -> None:
    table = table_of(workbook(a=[[], ["id", "n", "x"], ["007", 3.0, 0.25], [], ["b", None, 1]]))
    assert table["@row"].tolist() == [3, 5]
    assert table.iloc[:, 1:].to_numpy().tolist() == [["007", "3", "0.25"], ["b", "", "1"]]


def test_a_workbook_of_several_sheets_needs_a_choice() -> None:
    data = workbook(visits=[["id", "n"], [1, 2]], notes=[["x", "y"], [3, 4]])
    assert "visits, notes" in fault(data).mend
    assert "did you mean visits" in fault(data, sheet="visit").problem
    assert list(table_of(data, sheet="notes"))[1:] == ["x", "y"]

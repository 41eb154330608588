"""Files of Stata, SAS and SPSS: labels where a column has one for every value, else codes; damage is an error."""

import gzip
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from pipelines.sources.file import FileSource
from pipelines.sources.file_pieces import read_file_pieces
from tests.unit.sources import fault, read_path, table_of

# R's haven has it among its examples: Fisher's measurements of irises.
SAS = gzip.decompress((Path(__file__).parents[1] / "data" / "iris.sas7bdat.gz").read_bytes())


def stata(frame: pd.DataFrame, **told: object) -> bytes:
    file = io.BytesIO()
    frame.to_stata(file, write_index=False, **told)
    return file.getvalue()


def written(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


PATIENTS = pd.DataFrame(
    {
        "id": np.array([1, 2, 3], dtype="int32"),
        "dose": np.array([0.1, np.nan, 2.5], dtype="float32"),
        "sex": np.array([1, 2, 1], dtype="int8"),
        "smokes": np.array([0, 1, 9], dtype="int8"),
        "born": pd.to_datetime(["1950-02-01", "1960-01-31", None]),
        "town": ["Ulm", "Zürich", ""],
    }
)
DATELESS = PATIENTS.drop(columns="born")
LABELS = {"sex": {1: "male", 2: "female"}, "smokes": {9: "not asked"}}


def transported(path: Path, write: Callable[..., None], **told: object) -> Path:
    """What SAS or SPSS would write: every number a double, a date a day."""
    write(PATIENTS.assign(dose=[0.1, None, 2.5], born=PATIENTS["born"].dt.date), path, **told)
    return path


@pytest.mark.parametrize("version", [114, 118])
def test_stata_gives_labels_where_all_values_have_one_and_else_codes(tmp_path: Path, version: int) -> None:
    data = stata(PATIENTS, version=version, value_labels=LABELS, convert_dates={"born": "td"})
    table = read_path(written(tmp_path, "patients.dta", data)).table
    assert table["sex"].tolist() == ["male", "female", "male"]
    assert table["smokes"].tolist() == ["0", "1", "9"]
    assert table["dose"].tolist() == ["0.1", "", "2.5"]
    assert table["id"].tolist() == ["1", "2", "3"]
    assert table["town"].tolist() == ["Ulm", "Zürich", ""]
    assert [cell[:10] for cell in table["born"]] == ["1950-02-01", "1960-01-31", ""]
    assert table["@row"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", ["patients.sav", "patients.zsav"])
def test_spss_gives_labels_dates_and_whole_numbers_and_leaves_declared_missing_values_blank(
    tmp_path: Path, name: str
) -> None:
    write = partial(pyreadstat.write_sav, compress=name.endswith(".zsav"), missing_ranges={"smokes": [9]})
    table = read_path(transported(tmp_path / name, write, variable_value_labels=LABELS)).table
    assert table["sex"].tolist() == ["male", "female", "male"]
    assert table["smokes"].tolist() == ["0", "1", ""]
    assert table["dose"].tolist() == ["0.1", "", "2.5"]
    assert table["id"].tolist() == ["1", "2", "3"]
    assert table["born"].tolist() == ["1950-02-01", "1960-01-31", ""]


@pytest.mark.parametrize("version", [5, 8])
def test_a_transport_file_keeps_its_zeros_gaps_and_dates(tmp_path: Path, version: int) -> None:
    path = transported(tmp_path / "p.xpt", partial(pyreadstat.write_xport, file_format_version=version))
    for data in (path.read_bytes(), path.read_bytes().replace("Zürich".encode(), "Zürich ".encode("latin-1"))):
        table = read_path(written(tmp_path, "p.xpt", data)).table
        assert table["smokes"].tolist() == ["0", "1", "9"]
        assert table["dose"].tolist() == ["0.1", "", "2.5"]
        assert table["born"].tolist() == ["1950-02-01", "1960-01-31", ""]
        assert table["town"].tolist() == ["Ulm", "Zürich", ""]


def test_a_blank_label_is_none_and_a_blank_text_needs_none(tmp_path: Path) -> None:
    frame = pd.DataFrame({"ill": [1.0, 2.0], "sex": ["m", ""]})
    path = tmp_path / "p.sav"
    pyreadstat.write_sav(frame, path, variable_value_labels={"ill": {1: " ", 2: "yes"}, "sex": {"m": "male"}})
    raw = read_path(path)
    assert raw.table["ill"].tolist() == ["1", "2"]
    assert raw.table["sex"].tolist() == ["male", ""]
    assert raw.provenance["labelled"] == ["sex"]


def test_declared_labels_are_taken_whatever_codes_other_rows_have(tmp_path: Path) -> None:
    """A scale of which only the ends have labels has other rows where only these occur."""
    labels = {"pain": {0: "none", 10: "worst"}, "sex": {1: "male", 2: "female"}}
    path = tmp_path / "p.sav"
    pyreadstat.write_sav(pd.DataFrame({"pain": [0.0, 10.0], "sex": [1.0, 3.0]}), path, variable_value_labels=labels)
    assert read_path(path).table["pain"].tolist() == ["none", "worst"]
    table = read_path(path, labels=["sex"]).table
    assert table["pain"].tolist() == ["0", "10"]
    assert table["sex"].tolist() == ["male", "3"]


@pytest.mark.parametrize("version", [5, 8])
def test_a_transport_file_that_is_cut_short_or_holds_two_tables_loses_and_makes_no_rows(
    tmp_path: Path, version: int
) -> None:
    path = transported(tmp_path / "p.xpt", partial(pyreadstat.write_xport, file_format_version=version))
    data = path.read_bytes()
    assert "cut short" in fault(data[:-30]).problem
    assert "this holds 2" in fault(data + data[240:]).problem
    more = tmp_path / "more.xpt"
    pyreadstat.write_xport(pd.concat([PATIENTS[["id", "sex", "town"]]] * 40), more, file_format_version=version)
    data = more.read_bytes()
    assert len(table_of(data)) == 120
    assert "cut short: a row of it ends early" in fault(data[:-160]).problem


def test_texts_in_another_encoding_than_the_file_tells_are_told_and_read_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "p.sav"
    pyreadstat.write_sav(pd.DataFrame({"town": ["Zürich", "Ulm"]}), path)
    data = path.read_bytes().replace("Zürich".encode(), "Zürich ".encode("latin-1"))
    assert "source.encoding" in (fault(data).mend or "")
    assert table_of(data, encoding="latin-1")["town"].tolist() == ["Zürich", "Ulm"]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"0" * 40 + b"ASCII SPSS PORT FILE", ".por"),
        (b"**COMPRESSED**", "CPORT"),
        (bytes(12) + b"\xc2\xea\x81\x63", ".sas7bcat"),
    ],
)
def test_what_statistical_packages_pack_for_transport_is_named(head: bytes, kind: str) -> None:
    assert kind in fault(head + b" " * 40).problem


def test_a_data_set_of_sas_is_read(tmp_path: Path) -> None:
    table = read_path(written(tmp_path, "iris.sas7bdat", SAS)).table
    other = read_path(written(tmp_path, "other.sas7bdat", bytes(28) + SAS[28:])).table  # as some systems begin it
    assert other.equals(table)
    assert table.shape == (150, 6)
    assert table.iloc[0].tolist() == [1, "5.1", "3.5", "1.4", "0.2", "setosa"]


def test_a_larger_one_is_read_whole(tmp_path: Path) -> None:
    path = written(tmp_path, "patients.dta", stata(DATELESS, version=118))
    pieces = list(read_file_pieces(FileSource(path=str(path)), root=tmp_path, block=100, tell=lambda _: None))
    assert [len(piece.table) for piece in pieces] == [3]


def test_one_that_unpacks_to_far_more_than_a_table_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.zsav"
    pyreadstat.write_sav(pd.DataFrame(np.zeros((20_000, 3)), columns=list("abc")), path, compress=True)
    monkeypatch.setattr("pipelines.sources.inflation.BOMB_BYTES", 1 << 10)
    assert "far more than a table" in fault(path.read_bytes()).problem


@pytest.mark.parametrize("data", [SAS[:700], b"$FL2@(#) IBM SPSS", stata(DATELESS, version=118)[:400]])
def test_a_damaged_one_is_told(data: bytes) -> None:
    assert "damaged, or of a version" in fault(data).problem


def test_what_is_not_read_is_named() -> None:
    assert "R file" in fault(b"X\n\0\0\0\2").problem


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        (b"% from a trial\n@RELATION heart\n@attribute age real\n", "Weka"),
        (b"   id      age\n    7       61\n   12       45\n", "aligned by blanks"),
        (b"A title\nage\n61\n", "--separator"),
    ],
)
def test_a_text_in_one_piece_is_told_what_it_seems_to_be(text: bytes, mend: str) -> None:
    assert mend in fault(text).mend

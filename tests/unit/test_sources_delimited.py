"""Delimited text: every cell as it was written, every fault told with its line."""

import codecs
import csv
import io

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.sources import Layout
from pipelines.sources.delimited import _careful, _fast, read_delimited
from pipelines.sources.formats import parse
from tests.unit.sources import PLAIN, fault, table_of


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


@settings(max_examples=60)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=6), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
def test_what_a_csv_writer_wrote_is_read_back(rows: list[tuple[str, str]], quoting: int) -> None:
    file = io.StringIO()
    csv.writer(file, quoting=quoting, lineterminator="\r\n").writerows([("a", "b"), *rows])  # type: ignore[arg-type]
    table = read_delimited(file.getvalue().encode(), Layout(separator=","), where="f.csv").table
    assert list(zip(table["a"], table["b"], strict=True)) == rows


@settings(max_examples=300)
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


def test_a_title_of_two_cells_above_the_header_is_told() -> None:
    assert fault(b"A trial, of 2020\n" + b"1,2,3\n" * 20).mend.startswith("remove any title")
    assert "title" not in fault(b"a,b\n" + b"1,2\n" * 20 + b"1\n1,2,3\n").mend


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


def test_decimal_commas_of_results_beyond_a_limit_count_as_those_of_others() -> None:
    data = "id;crp\n1;<4,0\n2;< 0,01\n3;≥1.200,5\n4;7,5\n".encode()
    assert "crp" in fault(data.replace(b"1.200,5", b"1200,5")).where
    assert table_of(data, decimal=",")["crp"].tolist() == ["<4.0", "< 0.01", "≥1200.5", "7.5"]
    assert table_of(b"id;cells\n1;>1,200\n2;15,300\n")["cells"][0] == ">1,200"


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
    assert f"perhaps {encoding}:" in error.mend
    assert table_of(data, encoding=encoding).iloc[0, 1] == text.split("\n")[1].split(",")[0]


def test_an_unknown_encoding_is_told_with_the_nearest() -> None:
    assert "did you mean latin-1" in fault(PLAIN, encoding="latin-11").problem

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import MedloopError
from contracts.study import Column
from pipelines.cells import Cells, out_of_range, read_cells


def read(text: list[str], column: Column, **settings: str) -> Cells:
    index = range(10, 10 + len(text))
    return read_cells(
        pd.Series(text, dtype="str", index=index), column, missing=("NA", "?", "None"), name="x", **settings
    )


def kinds(cells: Cells) -> str:
    """One letter a cell: v(alue), m(issing), u(nreadable), i(nfinite)."""
    masks = np.column_stack([cells.missing, cells.unreadable, cells.infinite]).tolist()
    letters = ["m" * missing + "u" * unreadable + "i" * infinite or "v" for missing, unreadable, infinite in masks]
    assert [letter != "v" for letter in letters] == cells.values.isna().tolist()
    return "".join(letters)


def test_numbers_are_plain_decimals() -> None:
    cells = read(
        ["1", " 2.50 ", "\u00a0-3e2\u00a0", ".5", "1,5", "1_000", "0x1A", "١٢", "<5", "nan"], Column(type="numeric")
    )
    assert kinds(cells) == "vvvvuuuuuu"
    assert cells.values[:4].tolist() == [1.0, 2.5, -300.0, 0.5]
    assert cells.values.index.tolist() == list(range(10, 20))


def test_a_number_is_read_exactly() -> None:
    assert read(["100.00999999999999"], Column(type="numeric")).values.iloc[0] == 100.00999999999999


@pytest.mark.parametrize(("censored", "low"), [("limit", 4.0), ("half", 2.0), ("missing", np.nan)])
def test_results_beyond_a_limit_are_taken_as_the_column_says(censored: str, low: float) -> None:
    texts = ["<4.0", "> 1000", "≤4", "<=4", "5", "<", "<x", "-9", "<-9", "4<", "<inf"]
    cells = read(texts, Column(type="numeric", censored=censored, missing=("-9",)))
    high, under = (np.nan, np.nan) if censored == "missing" else (1000.0, -9.0)
    expected = [low, high, low, low, 5, np.nan, np.nan, np.nan, under, np.nan, np.nan]
    assert np.array_equal(cells.values, expected, equal_nan=True)
    assert cells.censored.tolist() == [True, True, True, True, False, False, False, False, True, False, False]
    assert cells.unreadable.tolist() == [False] * 5 + [True, True, False, False, True, False]
    assert cells.missing.sum() == cells.infinite.sum() == 1


def test_results_beyond_a_limit_are_unreadable_unless_declared() -> None:
    assert kinds(read(["<4.0", "5"], Column(type="numeric"))) == "uv"


def test_decimal_comma_refuses_a_point() -> None:
    cells = read(["1,5", "1.5", "1.234,5", "7"], Column(type="numeric"), decimal=",")
    assert kinds(cells) == "vuuv"
    assert cells.values.iloc[0] == 1.5


def test_missing_codes_compare_as_numbers_in_a_numeric_column() -> None:
    assert kinds(read(["-999.0", "-999", "NA", "", "  ", "-99"], Column(type="numeric", missing=(-999,)))) == "mmmmmv"


def test_infinite_cells_are_neither_missing_nor_unreadable() -> None:
    assert kinds(read(["inf", "-Infinity", "1e308", "1e999", "1e299"], Column(type="numeric"))) == "iiiiv"


def test_the_zero_of_sas_transport_files_is_zero() -> None:
    assert read(["5.397605346934028e-79"], Column(type="numeric")).values.iloc[0] == 0
    assert read(["5.397605346934028e-79"], Column(type="categorical")).values.iloc[0] == "0"


def test_a_level_written_as_a_float_is_its_whole_number() -> None:
    cells = read(["1.0", "1", "x", "9.0", "1.5"], Column(type="categorical", levels=("1", "2"), missing=("9",)))
    assert kinds(cells) == "vvumu"
    assert cells.values[:2].tolist() == ["1", "1"]


def test_a_declared_level_keeps_its_spelling_and_is_no_missing_code() -> None:
    cells = read(["None", "2", "?"], Column(type="ordinal", levels=("None", "2.0")))
    assert kinds(cells) == "vvm"
    assert cells.values[:2].tolist() == ["None", "2.0"]


def test_text_is_never_made_canonical() -> None:
    assert read(["007", "1.0", "12345678901234567"], Column(type="text")).values.tolist() == [
        "007",
        "1.0",
        "12345678901234567",
    ]


def test_dates_without_a_format_are_iso_only() -> None:
    cells = read(["2020-02-29", "2021-02-29", "03/04/2020", "2020-01-01T10:00+02:00", "NA"], Column(type="datetime"))
    assert kinds(cells) == "vuuvm"
    assert cells.values.iloc[3] == pd.Timestamp("2020-01-01 08:00")
    assert cells.values.dtype == "datetime64[us]"


def test_dates_follow_their_format() -> None:
    cells = read(["03.04.2020", "2020-04-03"], Column(type="datetime", format="%d.%m.%Y"))
    assert kinds(cells) == "vu"
    assert cells.values.iloc[0] == pd.Timestamp("2020-04-03")


def test_a_wrong_format_names_the_column() -> None:
    with pytest.raises(MedloopError, match=r"column x.*%Q"):
        read(["1"], Column(type="datetime", format="%Q"))


@pytest.mark.parametrize("kind", ["numeric", "categorical", "datetime", "text"])
def test_an_empty_or_blank_column_is_read(kind: str) -> None:
    assert kinds(read([], Column(type=kind))) == ""
    assert kinds(read(["", ""], Column(type=kind))) == "mm"


def test_out_of_range_includes_both_ends_and_ignores_gaps() -> None:
    column = Column(type="numeric", range=(0, 10))
    assert out_of_range(pd.Series([-1, 0, 10, 11, np.nan]), column).tolist() == [True, False, False, True, False]
    assert out_of_range(pd.Series([-1.0, 11.0]), Column(type="numeric", range=(None, 10))).tolist() == [False, True]


def test_the_range_of_a_date_holds_years() -> None:
    values = pd.Series(pd.to_datetime(["1899-12-31", "2000-01-01", None]))
    assert out_of_range(values, Column(type="datetime", range=(1900, 2025))).tolist() == [True, False, False]


@given(st.lists(st.sampled_from(["1", " 1", "1.0", "NA", "", "x", "inf", "1e301", "-999"]), max_size=12))
@pytest.mark.parametrize("kind", ["numeric", "categorical", "text"])
def test_categoricals_are_read_as_their_texts_are(kind: str, cells: list[str]) -> None:
    column, text = Column(type=kind, missing=(-999,)), pd.Series(cells, dtype="str")
    categorical = text.astype(pd.CategoricalDtype(["never", *dict.fromkeys(cells)]))
    expected, found = (read_cells(given, column, missing=("NA",), name="x") for given in (text, categorical))
    pd.testing.assert_series_equal(found.values.astype(expected.values.dtype), expected.values)
    for mask in ("missing", "unreadable", "infinite", "respelled"):
        assert getattr(found, mask).tolist() == getattr(expected, mask).tolist()

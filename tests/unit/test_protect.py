"""What becomes of identifying columns: treated row by row, the same with the same key, never the raw value."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.errors import MedloopError
from contracts.study import Protection, Study
from pipelines.protect import UNREADABLE, Treated, key_mark, protect

KEY = b"k" * 32
TYPES = {"visit": "datetime", "born": "datetime", "age": "numeric", "zip": "categorical", "mrn": "text"}


def study(treatments: dict[str, object], **change: object) -> Study:
    columns = {name: {"type": kind} for name, kind in TYPES.items()} | {
        "born": {"type": "datetime", "format": "%d.%m.%Y", "missing": ["01.01.1800"]}
    }
    columns["age"]["missing"] = [999]  # type: ignore[index]
    base = {"name": "t", "title": "t", "id": "id", "group": "patient", "columns": columns, "protect": treatments}
    return Study.model_validate({**base, "target": {"column": "y", "classes": [0, 1], "positive": 1}, **change})


def treated(cells: dict[str, list[str]], treatments: dict[str, object], key: bytes = KEY) -> pd.DataFrame:
    size = len(next(iter(cells.values())))
    table = pd.DataFrame({"@row": range(size), "patient": ["a"] * size, **cells})
    return protect(table, study(treatments), key)[0]


def test_pseudonyms_are_the_same_for_the_same_value_and_key() -> None:
    first = treated({"mrn": ["7", " 7", "8", "7.0", ""]}, {"mrn": "hash"})["mrn"]
    assert first[0] == first[1] == first[3] != first[2]
    assert first[4] == ""
    assert first.str.fullmatch("[0-9a-f]{32}|").all()
    assert treated({"mrn": ["8"]}, {"mrn": "hash"})["mrn"][0] == first[2]
    assert treated({"mrn": ["8"]}, {"mrn": "hash"}, b"l" * 32)["mrn"][0] != first[2]
    assert key_mark(KEY) != key_mark(b"l" * 32)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.dates(pd.Timestamp(1900, 1, 1).date())), min_size=2, max_size=12),
    st.integers(1, 400),
)
def test_shifted_dates_keep_a_patients_intervals_and_never_the_day(rows: list[tuple], span: int) -> None:
    frame = pd.DataFrame(rows, columns=["patient", "visit"])
    frame["visit"] = frame["visit"].astype("str")
    frame["born"] = pd.to_datetime(frame["visit"]).dt.strftime("%d.%m.%Y")
    table = frame.assign(**{"@row": range(len(frame))})
    declared = study({"visit": {"shift_dates": span}, "born": {"shift_dates": span}})
    whole, _ = protect(table, declared, KEY)
    day = pd.to_datetime(table["visit"].astype("str"))
    moved = (pd.to_datetime(whole["visit"]) - day).dt.days
    assert moved.abs().between(1, span).all()
    assert set(moved.groupby(table["patient"]).agg(lambda days: len(set(days)))) == {1}
    assert (pd.to_datetime(whole["born"], format="%d.%m.%Y") == pd.to_datetime(whole["visit"])).all()
    alone, _ = protect(table.iloc[[0]], declared, KEY)
    assert alone["visit"].tolist() == whole["visit"].tolist()[:1]


def test_an_iso_time_of_day_stays_and_what_is_no_date_does_not() -> None:
    cells = ["2020-01-02T10:30:00+02:00", "20200102", "2020-02-31", "Mueller", ""]
    moved = treated({"visit": cells}, {"visit": {"shift_dates": True}})["visit"]
    assert moved[0].endswith("T10:30:00+02:00")
    assert moved[0][:10] == moved[1] != "2020-01-02"
    assert moved.tolist()[2:] == [UNREADABLE, UNREADABLE, ""]


def test_coarser_dates_codes_and_numbers() -> None:
    cells = {
        "born": ["24.12.1950", "01.01.1800", ""],
        "zip": ["02139", "03601-1234", ""],
        "age": ["89.5", "97", "999"],
    }
    table = treated(cells, {"born": {"generalise": "year"}, "zip": {"generalise": 3}, "age": {"cap": 89}})
    assert table["born"].tolist() == ["01.01.1950", "01.01.1800", ""]
    assert table["zip"].tolist() == ["021", "000", ""]
    assert table["age"].tolist() == ["89.5", "90", "999"]
    assert treated({"age": ["47", "-3", "unknown", "4x"]}, {"age": {"bin": 10}})["age"].tolist() == [
        "40",
        "-10",
        "unknown",
        UNREADABLE,
    ]


@pytest.mark.parametrize(
    ("treatment", "told"),
    [
        ({"cap": 89}, ["18.5", "90", "90", "121", "121", "-4", "999"]),
        ({"cap": 130}, ["18.5", "97", "120", "121", "131", "-4", "999"]),
        ({"bin": 10}, ["18", "90", "120", "121", "300", "-10", "999"]),
    ],
    ids=["cap", "cap above the range", "bin"],
)
def test_what_is_implausible_stays_so_and_yet_tells_no_value(treatment: dict[str, object], told: list[str]) -> None:
    column = {"type": "numeric", "range": [18, 120], "missing": [999]}
    declared = study({"age": treatment}, columns={"age": column})
    cells = pd.DataFrame({"@row": range(7), "age": ["18.5", "97", "120", "121", "300", "-4", "999"]})
    assert protect(cells, declared)[0]["age"].tolist() == told
    open_end = study({"age": treatment}, columns={"age": {**column, "range": [18, None]}})
    assert protect(cells, open_end)[0]["age"].tolist()[4] in ("90", "131", "300")


@pytest.mark.parametrize("censored", ["limit", "half", "missing"])
@pytest.mark.parametrize(
    ("treatment", "told"), [({"cap": 89}, ["<18", ">90", "47"]), ({"bin": 10}, ["<10", ">90", "40"])]
)
def test_a_limit_is_made_coarser_and_stays_one(treatment: dict[str, object], told: list[str], censored: str) -> None:
    declared = study({"age": treatment}, columns={"age": {"type": "numeric", "censored": censored}})
    cells = pd.DataFrame({"@row": range(3), "age": ["<18", " > 95", "47"]})
    assert protect(cells, declared)[0]["age"].tolist() == told


def test_a_text_is_redacted_and_a_column_that_is_none_is_refused() -> None:
    cells = {"mrn": ["Seen by Dr. Smith on 03/04/2020, ada@mail.org.", "no change", ""]}
    assert treated(cells, {"mrn": "redact"})["mrn"].tolist() == [
        "Seen by Dr. [name] on [date], [e-mail].",
        "no change",
        "",
    ]
    _, told = protect(pd.DataFrame({"@row": range(3), **cells}), study({"mrn": {"redact": True}}), KEY)
    assert told == {"mrn": Treated(how="redact", cells=1, filled=2)}
    with pytest.raises(MedloopError, match="declared numeric"):
        treated({"age": ["97"]}, {"age": "redact"})


def test_the_counts_hold_no_value() -> None:
    table = pd.DataFrame({"@row": [1, 2], "age": ["97", "9o"], "mrn": ["4711", ""], "zip": ["1", "2"]})
    _, told = protect(table, study({"age": {"cap": 89}, "mrn": "drop", "zip": {"keep": "one ward"}}), KEY)
    assert told == {
        "age": Treated(how="cap", cells=1, unreadable=1, filled=2),
        "mrn": Treated(how="drop", cells=1),
        "zip": Treated(how="keep", why="one ward"),
    }


def test_a_treatment_that_fits_no_cell_is_a_fault_that_shows_none() -> None:
    with pytest.raises(MedloopError, match=r"protect\.visit: shift_dates cannot be done") as error:
        treated({"visit": ["03/04/2020", "05/06/2020"]}, {"visit": "shift_dates"})
    assert "2020" not in str(error.value)
    with pytest.raises(MedloopError, match="patient's column is absent"):
        protect(pd.DataFrame({"@row": [1], "visit": ["2020-01-02"]}), study({"visit": "shift_dates"}), KEY)


@pytest.mark.parametrize(
    ("treatments", "words"),
    [
        ({"mrn": "dorp"}, "did you mean drop"),
        ({"mrn": "keep"}, "keep says why"),
        ({"mrn": {"hash": True, "cap": 3}}, "one treatment"),
        ({"mrn": {}}, "one treatment"),
        ({"zip": {"generalise": True}}, "generalise"),
        ({"patient": "drop"}, "used as id, group"),
        ({"phone": "hash"}, "no declared column"),
        ({"y": "hash"}, "the label"),
        ({"visit": {"shift_dates": 3}, "born": {"shift_dates": 4}}, "same number"),
    ],
)
def test_what_cannot_be_meant_is_refused(treatments: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        study(treatments)


def test_a_treatment_is_read_back_as_it_was() -> None:
    for written in (
        "drop",
        "hash",
        "shift_dates",
        "redact",
        {"generalise": "year"},
        {"generalise": 3},
        {"cap": 89},
        {"bin": 5},
    ):
        read = Protection.model_validate(written)
        assert Protection.model_validate_json(read.model_dump_json()) == read

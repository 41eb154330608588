from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import MedloopError
from contracts.study import Column, Condition, Study, Target
from pipelines.cells import read_cells
from pipelines.clean import CleanParams, clean, clean_rows
from pipelines.spelling import Spelling, fold
from pipelines.validate import ValidateParams, validate

SEX = Column(type="categorical", levels=("male", "female"), spellings={"male": ("M", "männlich", 1)})  # type: ignore[dict-item]


def read(texts: list[str], column: Column, spelling: Spelling = "exact") -> tuple[list[Any], list[bool]]:
    cells = read_cells(pd.Series(texts, dtype="str"), column, missing=("NA",), name="x", spelling=spelling)
    return [None if pd.isna(value) else value for value in cells.values], cells.respelled.tolist()


def test_declared_alternatives_are_read_as_their_level() -> None:
    values, respelled = read(["male", "M", "männlich", "1.0", "m", "NA", ""], SEX)
    assert values == ["male"] * 4 + [None] * 3
    assert respelled == [False, True, True, True, False, False, False]


def test_case_blanks_hyphens_and_accents_do_not_matter_when_folded() -> None:
    texts = [" MALE", "Mannlich", "MÄNNLICH", "fe-male", "female", "NA"]
    assert read(texts, SEX, "folded") == (["male"] * 3 + [None, "female", None], [True] * 3 + [False] * 3)
    stage = Column(type="ordinal", levels=("stage 1", "stage-II"))
    assert read(["Stage_1", "STAGE  ii", "stage1"], stage, "folded")[0] == ["stage 1", "stage-II", None]


def test_signs_and_letters_that_mean_something_stay() -> None:
    folded = fold(pd.Series(["A-", "A+", "A", "-", "+", "<5", "が", "か", "Ⅱ", "Straße"], dtype="str"))
    assert folded.is_unique
    assert folded.tolist()[:6] == ["a-", "a+", "a", "-", "+", "<5"]
    assert folded.tolist()[8:] == ["ii", "strasse"]


def test_without_declared_levels_others_stay_as_they_are_written() -> None:
    column = Column(type="categorical", spellings={"male": ("M",)})
    assert read(["M", "m", "Male", "other"], column) == (["male", "m", "Male", "other"], [True, False, False, False])
    assert read(["M", "m", "Male", "other"], column, "folded")[0] == ["male", "male", "male", "other"]
    assert read(["Other", "other"], Column(type="categorical"), "folded") == (["Other", "other"], [False, False])


def test_a_level_is_read_before_a_code_and_a_code_before_a_folded_level() -> None:
    column = Column(type="categorical", levels=("na", "b"))
    assert read(["na", "NA", "Na"], column, "folded")[0] == ["na", None, "na"]


def test_levels_that_are_the_same_after_folding_are_an_error() -> None:
    column = Column(type="categorical", levels=("T-cell", "t cell"))
    assert read(["T-cell"], column)[0] == ["T-cell"]
    with pytest.raises(MedloopError, match="column x: levels T-cell and t cell are the same"):
        read(["T-cell"], column, "folded")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"type": "numeric", "spellings": {"a": ["b"]}}, "said of a categorical or ordinal column"),
        ({"type": "categorical", "levels": ["male"], "spellings": {"mal": ["M"]}}, "did you mean male"),
        ({"type": "categorical", "spellings": {"a": ["x"], "b": ["x"]}}, "x is written twice"),
        ({"type": "categorical", "levels": ["a", "b"], "spellings": {"a": ["b"]}}, "is a level itself"),
    ],
)
def test_spellings_that_make_no_sense_are_an_error(column: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Column.model_validate(column)


STUDY = Study(
    name="s",
    title="S",
    target=Target(column="sick", classes=("no", "yes"), positive="yes"),
    columns={"sex": SEX, "sick": Column(type="categorical", spellings={"yes": ("Y",)})},
    cohort={"sex": Condition(among=("male", "female"))},
)


def raw(sex: list[str], sick: list[str]) -> pd.DataFrame:
    table = {"@row": range(2, len(sex) + 2), "sex": sex, "sick": sick}
    return pd.DataFrame(table).astype({"sex": "str", "sick": "str"})


FOLDED = CleanParams(spelling="folded", duplicates="keep")


def test_label_and_cohort_are_spelled_too_and_all_is_counted() -> None:
    table = raw(["M", "Female", "MALE", "female"], ["Y", "no", "NO", "yes"])
    cleaned = clean(table, STUDY, FOLDED)
    assert cleaned.samples["sex"].tolist() == ["male", "female", "male", "female"]
    assert cleaned.samples["@target"].tolist() == [1, 0, 0, 1]
    assert [(c.rule, c.column, c.cells) for c in cleaned.ledger if c.cells] == [
        ("spelled as declared", "sick", 2),
        ("spelled as declared", "sex", 3),
    ]
    found = validate(table, STUDY, ValidateParams(), missing=("NA",), spelling="folded").findings
    assert [f.kind for f in found] == []
    scored = clean_rows(table.drop(columns="sick"), STUDY, cleaned.schema, FOLDED)
    assert scored.samples["sex"].tolist() == cleaned.samples["sex"].tolist()


def test_a_spelling_of_no_class_is_an_error() -> None:
    with pytest.raises(ValueError, match="spellings of the label sick: ill is none of its classes"):
        Study(**{**dict(STUDY), "columns": {"sick": Column(type="categorical", spellings={"ill": ("Y",)})}})


@given(st.lists(st.sampled_from(["male", "Male", "FE MALE", "female", "M", "1", "Female ", "x"]), max_size=15))
def test_no_row_is_lost_and_each_cell_counts_once(sex: list[str]) -> None:
    sex = [*sex, "male", "female"]
    free = STUDY.model_copy(update={"cohort": {}})
    cleaned = clean(raw(sex, ["no"] * len(sex)), free, FOLDED.model_copy(update={"unreadable": "missing"}))
    assert len(cleaned.samples) == len(sex)
    known = cleaned.samples["sex"].notna()
    written = pd.Series(sex).str.strip()
    changed = int((known & (written != cleaned.samples["sex"])).sum())
    assert sum(c.cells for c in cleaned.ledger if c.rule == "spelled as declared") == changed

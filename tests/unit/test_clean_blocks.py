"""A table in blocks is cleaned to what it gives in one piece: samples, schema, ledger, quarantine and errors."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import MedloopError
from contracts.study import Column, Condition, Study, Target
from contracts.units import UnitRule
from pipelines.clean import Cleaned, CleanParams, clean
from pipelines.table import Held, Table

MG = UnitRule.model_validate({"from": "mg/dL", "factor": 0.0555, "where": {"min": 40}})
COLUMNS = {
    "at": Column(type="datetime"),
    "kind": Column(type="categorical"),
    "age": Column(type="numeric", range=(0, 120), missing=("-999",)),
    "dose": Column(type="numeric", range=(0, 50)),
    "sugar": Column(type="numeric", unit="mmol/L", convert=(MG,)),
    "ward": Column(type="categorical", levels=("a", "b"), spellings={"a": ("A",)}),
    "grade": Column(type="ordinal", levels=("I", "II")),
    "seen": Column(type="datetime"),
    "same": Column(type="categorical"),
}
CELLS = {
    "who": ["p1", "p2", "p3"],
    "at": ["2020-01-01", "2020-06-01", ""],
    "age": ["30", "17", "44.5", "-999", "", "200"],
    "dose": ["1", "2.5", "60", "inf", "high"],
    "sugar": ["5.5", "99", "NA"],
    "ward": ["a", "A", "b", "NA", "c"],
    "grade": ["I", "II", ""],
    "seen": ["2019-12-31", "2020-03-01", "soon", ""],
    "same": ["x"],
    "kind": ["old", "new"],
    "sick": ["no", "yes", "No", ""],
}
ROW = st.fixed_dictionaries({"pid": st.integers(0, 30).map(str)} | {k: st.sampled_from(v) for k, v in CELLS.items()})
NONE = pd.DataFrame({"@row": [], "reason": []}, dtype="str")
LENIENT = CleanParams(unreadable="quarantine", infinite="missing", future="quarantine", spelling="folded")


def study(named: bool, **changed: object) -> Study:
    given = {
        "name": "s",
        "title": "S",
        "id": "pid" if named else None,
        "group": "who",
        "time": "at",
        "target": Target(column="sick", classes=("no", "yes"), positive="yes"),
        "cohort": {
            "age": Condition(max=150),
            "kind": Condition(most={"old": 6}),
            "ward": Condition(among=("a", "b", "c")),
        },
        "columns": COLUMNS,
    }
    return Study.model_validate(given | changed)


def blocks(table: pd.DataFrame, size: int) -> Table:
    return Table(tuple(Held(table[at : at + size].reset_index(drop=True)) for at in range(0, len(table), size)))


def outcome(table: pd.DataFrame | Table, of: Study, params: CleanParams, aside: pd.DataFrame) -> Cleaned | str:
    try:
        return clean(table, of, params, set_aside=aside)
    except MedloopError as error:
        return str(error)


def assert_equal(whole: Cleaned | str, parted: Cleaned | str) -> None:
    if isinstance(whole, str) or isinstance(parted, str):
        assert whole == parted
        return
    pd.testing.assert_frame_equal(whole.samples, parted.samples)
    pd.testing.assert_frame_equal(whole.quarantine, parted.quarantine)
    assert (whole.schema, whole.ledger) == (parted.schema, parted.ledger)


@settings(max_examples=60)
@given(
    st.lists(ROW, min_size=2, max_size=25),
    st.lists(st.integers(0, 24), max_size=6),
    st.integers(1, 12),
    st.booleans(),
    st.booleans(),
    st.sampled_from([1.0, 0.3]),
)
def test_blocks_change_nothing(
    rows: list[dict[str, str]], again: list[int], size: int, named: bool, lenient: bool, sparse: float
) -> None:
    if lenient and named:  # else nearly every table has an id that stands on rows that differ
        rows = [row | {"pid": str(number)} for number, row in enumerate(rows)]
    rows += [rows[at] for at in again if at < len(rows)]
    table = pd.DataFrame(rows, dtype="str").assign(**{"@row": np.arange(2, len(rows) + 2)})
    params = (LENIENT if lenient else CleanParams()).model_copy(update={"drop_rows_above": sparse})
    aside = pd.DataFrame({"@row": ["3"], "reason": ["odd"]})
    assert_equal(*(outcome(t, study(named), params, aside) for t in (table, blocks(table, size))))


def test_copies_too_rare_for_chance_are_told_over_all_blocks() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(300, 8)).round(2).astype(str)
    numbers[17], numbers[250] = numbers[203], numbers[3]
    table = pd.DataFrame(numbers, columns=list("abcdefgh")).assign(sick=["no", "yes"] * 150)
    table.loc[[17, 250], "sick"] = table.loc[[203, 3], "sick"].to_numpy()
    table["@row"] = np.arange(1, 301)
    columns = {name: Column(type="numeric") for name in "abcdefgh"}
    of = study(False, group=None, time=None, cohort={}, columns=columns)
    whole, parted = (outcome(t, of, CleanParams(), NONE) for t in (table, blocks(table, 90)))
    assert isinstance(whole, Cleaned)
    assert [line.rows for line in whole.ledger if line.rule == "exact copy of a row"] == [2]
    assert_equal(whole, parted)


def test_faulty_cells_are_counted_over_all_blocks_and_no_value_is_shown() -> None:
    table = pd.DataFrame({"age": ["x"] * 12 + ["1"] * 8, "sick": ["no", "yes"] * 10, "@row": range(20)})
    of = study(False, group=None, time=None, cohort={}, columns={"age": COLUMNS["age"]})
    whole, parted = (outcome(t, of, CleanParams(), NONE) for t in (table, blocks(table, 3)))
    assert parted == whole
    assert "12 cells in 1 columns" in str(whole)
    assert "and 4 more, like 'x'" in str(whole)


def test_payloads_come_in_one_piece() -> None:
    table = pd.DataFrame({"note": ["a", "b"], "sick": ["no", "yes"], "@row": [1, 2]})
    of = study(False, group=None, time=None, cohort={}, columns={"note": Column(type="text")})
    with pytest.raises(MedloopError, match="in one piece"):
        clean(blocks(table, 1), of, CleanParams())

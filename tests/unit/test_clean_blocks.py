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
    "at": ["2020-01-01", "2020-06-01"],
    "age": ["30", "17", "44.5", "-999", "", "200"],
    "dose": ["1", "2.5", "60", ""],
    "sugar": ["5.5", "99", "NA"],
    "ward": ["a", "A", "b", "NA"],
    "grade": ["I", "II", ""],
    "seen": ["2019-12-31", "2019-03-01", ""],
    "same": ["x"],
    "kind": ["old", "new"],
    "sick": ["no", "yes", "No", ""],
}
FAULTS = {
    "at": "",
    "who": "",
    "dose": "inf",
    "age": "old",
    "ward": "c",
    "seen": "2021-01-01",
    "same": "",
    "sick": "maybe",
}


def messy(seed: int, rows: int, faulty: float, *, alike: bool) -> pd.DataFrame:
    """Rows with gaps, codes and copies; faults at this rate; ids that stand on rows that differ where these abound."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({name: rng.choice(cells[: 2 if alike else None], rows) for name, cells in CELLS.items()})
    for name, fault in FAULTS.items():
        table.loc[rng.random(rows) < faulty, name] = fault
    table["pid"] = [str(number) for number in rng.permutation(rows)]
    table.loc[rng.random(rows) < faulty / 4, "pid"] = "1"
    table = pd.concat([table, table.sample(frac=0.3, random_state=seed)])
    return table.assign(**{"@row": np.arange(2, len(table) + 2)}).astype(dict.fromkeys([*CELLS, "pid"], "str"))


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
            "kind": Condition(most={"new": 9, "old": 20}),
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


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(12, 40),
    size=st.integers(8, 30),
    faulty=st.sampled_from([0.0, 0.0, 0.01, 0.1]),
    named=st.booleans(),
    params=st.sampled_from([CleanParams(), LENIENT, LENIENT.model_copy(update={"drop_rows_above": 0.2})]),
)
def test_blocks_change_nothing(
    seed: int, rows: int, size: int, faulty: float, named: bool, params: CleanParams
) -> None:
    table = messy(seed, rows, faulty, alike=seed % 5 == 0)
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

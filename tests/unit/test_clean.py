import numpy as np
import pandas as pd
import pytest

from contracts.errors import MedloopError
from contracts.study import Column, Condition, Study, Target
from pipelines.clean import Cleaned, CleanParams, clean, clean_rows
from pipelines.rows import Change, in_cohort, with_ids

STUDY = Study(
    name="s",
    title="S",
    id="pid",
    target=Target(column="sick", classes=("no", "yes"), positive="yes"),
    columns={
        "pid": Column(type="text"),
        "age": Column(type="numeric", range=(0, 120), missing=(-999,)),
        "sex": Column(type="categorical", levels=("f", "m")),
        "note": Column(type="categorical"),
    },
)


def raw(*rows: tuple[str, ...], names: tuple[str, ...] = ("pid", "age", "sex", "note", "sick")) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(names), dtype="str")
    table.insert(0, "@row", [str(line) for line in range(2, len(rows) + 2)])
    return table


GOOD = raw(
    ("01", "30", "f", "a", "no"),
    ("02", "40", "m", "", "yes"),
    ("03", "-999.0", "m", "b", "no"),
    ("04", "?", "f", "b", "yes"),
)


def ledger(cleaned: Cleaned) -> list[tuple[str, str | None, int, int]]:
    return [(c.rule, c.column, c.rows, c.cells) for c in cleaned.ledger]


def changed(row: int, column: str, text: str, table: pd.DataFrame = GOOD) -> pd.DataFrame:
    table = table.copy()
    table.loc[row, column] = text
    return table


def test_samples_are_typed() -> None:
    cleaned = clean(GOOD, STUDY, CleanParams())
    assert cleaned.samples.columns.tolist() == ["@id", "@group", "@target", "age", "sex", "note"]
    assert cleaned.samples["@id"].tolist() == ["01", "02", "03", "04"]
    assert cleaned.samples["@group"].tolist() == ["01", "02", "03", "04"]
    assert cleaned.samples["@target"].tolist() == [0, 1, 0, 1]
    assert cleaned.samples["age"].tolist()[:2] == [30.0, 40.0]
    assert cleaned.samples["age"].isna().tolist() == [False, False, True, True]
    assert list(cleaned.schema.features) == ["age", "sex", "note"]
    assert ledger(cleaned) == [("missing by code", "age", 0, 2)]
    assert cleaned.quarantine.empty


def test_without_an_id_the_row_number_is_one() -> None:
    study = STUDY.model_copy(update={"id": None})
    cleaned = clean(GOOD, study, CleanParams(), set_aside=pd.DataFrame({"@row": [2], "reason": ["bad"]}))
    assert cleaned.samples["@id"].tolist() == ["2", "3", "4"]
    assert ("set aside before", None, 1, 0) in ledger(cleaned)
    assert cleaned.quarantine.values.tolist() == [[2, "bad"]]


def test_the_cohort_is_counted_by_condition() -> None:
    study = STUDY.model_copy(update={"cohort": {"age": Condition(min=35), "sex": Condition(among=("m",))}})
    table = pd.concat([GOOD, raw(("05", "50", "m", "a", "no"), ("06", "60", "f", "c", "no"))])
    cleaned = clean(table, study, CleanParams())
    assert cleaned.samples["@id"].tolist() == ["02", "05"]
    assert [(c.rows, c.detail) for c in cleaned.ledger if c.rule == "outside the cohort"] == [
        (3, "by age"),
        (1, "by sex"),
    ]


def test_copies_are_dropped_and_counted() -> None:
    cleaned = clean(pd.concat([GOOD, GOOD.iloc[:2]]), STUDY, CleanParams())
    assert len(cleaned.samples) == 4
    assert ("exact copy of a row", None, 2, 0) in ledger(cleaned)


def test_copies_stay_where_rows_have_no_id_and_settings_say_so() -> None:
    study = STUDY.model_copy(update={"id": None})
    keep = CleanParams(duplicates="keep")
    assert len(clean(pd.concat([GOOD, GOOD]), study, keep).samples) == 8
    assert len(clean(pd.concat([GOOD, GOOD]), STUDY, keep).samples) == 4


def test_an_id_on_rows_that_differ_is_an_error_that_masks_it() -> None:
    with pytest.raises(MedloopError, match=r"1 ids.*\n.*pid, rows 2 and 4") as error:
        clean(changed(2, "pid", "01"), STUDY, CleanParams())
    assert "group" in error.value.mend
    assert "01" not in str(error.value)


def test_a_blank_id_is_an_error_unless_its_row_was_set_aside() -> None:
    table = changed(1, "pid", " ")
    with pytest.raises(MedloopError, match="blank id"):
        clean(table, STUDY, CleanParams())
    aside = pd.DataFrame({"@row": ["3"], "reason": ["no id"]})
    assert len(clean(table, STUDY, CleanParams(), set_aside=aside).samples) == 3


def test_missing_labels_are_excluded_and_counted_or_fail() -> None:
    table = changed(0, "sick", "NA")
    assert ("without a label", None, 1, 0) in ledger(clean(table, STUDY, CleanParams()))
    with pytest.raises(MedloopError, match=r"no label.*\n.*rows 2"):
        clean(table, STUDY, CleanParams(missing_label="fail"))


def test_the_cohort_keeps_the_same_few_of_a_level_whatever_the_order() -> None:
    table = pd.DataFrame(
        {
            "@row": range(40),
            "id": [f"r{n}" for n in range(40)],
            "age": ["30"] * 40,
            "sex": ["f", "m"] * 20,
            "sick": ["yes", "no"] * 20,
        }
    ).astype({"age": "str", "sex": "str", "sick": "str", "id": "str"})
    study = STUDY.model_copy(update={"cohort": {"sex": Condition(most={"f": 5})}})
    ledger: list[Change] = []

    def kept(rows: pd.DataFrame) -> set[str]:
        named = with_ids(rows, {"@id": "id"})
        return set(in_cohort(named, study, missing=(), decimal=".", ledger=ledger)["@id"])

    assert kept(table) == kept(table[::-1])
    assert len(kept(table)) == 25
    assert [(c.rows, c.detail) for c in ledger[:1]] == [(15, "by sex")]
    typo = study.model_copy(update={"cohort": {"sex": Condition(most={"F": 5})}})
    with pytest.raises(MedloopError, match="no row has: F"):
        in_cohort(with_ids(table, {"@id": "id"}), typo, missing=(), decimal=".", ledger=[])


def test_an_undeclared_class_suggests_a_cohort() -> None:
    with pytest.raises(MedloopError, match="none of the classes") as error:
        clean(changed(3, "sick", "borderline"), STUDY, CleanParams())
    assert "rows 5" in error.value.where
    assert "cohort: {sick: {among: ['no', 'yes']}}" in error.value.mend
    assert "borderline" not in str(error.value)


FAULTY = changed(0, "age", "thirty", changed(1, "sex", "w", changed(2, "age", "inf")))


def test_faulty_cells_are_listed_all_at_once_and_masked() -> None:
    with pytest.raises(MedloopError, match="3 cells in 2 columns") as error:
        clean(FAULTY, STUDY, CleanParams())
    assert "column age, rows 2, like 'xxxxxx'" in error.value.where
    assert "column sex, rows 3" in error.value.where
    assert "infinite or beyond 1e300: column age, rows 4" in error.value.where
    assert "thirty" not in str(error.value)


def test_faulty_cells_become_missing_or_quarantine_their_row() -> None:
    cleaned = clean(FAULTY, STUDY, CleanParams(unreadable="quarantine", infinite="missing"))
    assert cleaned.samples["@id"].tolist() == ["03", "04"]
    assert "age" not in cleaned.samples  # nothing of it is left
    assert cleaned.quarantine["@row"].tolist() == ["2", "3"]
    assert cleaned.quarantine["reason"].tolist() == ["age: not readable as declared", "sex: not readable as declared"]
    assert ("infinite or beyond 1e300: missing", "age", 0, 1) in ledger(cleaned)


@pytest.mark.parametrize(("rule", "expected"), [("missing", [None, 40]), ("clip", [120, 40]), ("keep", [300, 40])])
def test_implausible_values_follow_their_rule(rule: str, expected: list[float | None]) -> None:
    cleaned = clean(changed(0, "age", "300"), STUDY, CleanParams(out_of_range=rule))
    assert [None if pd.isna(v) else v for v in cleaned.samples["age"][:2]] == expected
    assert any("declared range" in c.rule and c.cells == 1 for c in cleaned.ledger) == (rule != "keep")


@pytest.mark.parametrize(
    ("censored", "taken"), [("limit", "the limit"), ("half", "half of the"), ("missing", "missing")]
)
def test_results_beyond_a_limit_are_counted_and_told_of_new_rows(censored: str, taken: str) -> None:
    limited = Column(type="numeric", range=(0, 120), censored=censored)
    study = STUDY.model_copy(update={"columns": STUDY.columns | {"age": limited}})
    found = changed(0, "age", "<20").iloc[:2]
    cleaned = clean(found, study, CleanParams())
    first = {"limit": 20.0, "half": 10.0, "missing": None}[censored]
    assert [None if pd.isna(v) else v for v in cleaned.samples["age"]] == [first, 40]
    assert ledger(cleaned) == [(f"beyond a limit of detection: {censored}", "age", 0, 1)]
    remarks = clean_rows(found.drop(columns="sick"), study, cleaned.schema, CleanParams()).remarks
    assert remarks.tolist()[1] == "" and f"age: beyond a limit of detection, taken as {taken}" in remarks.tolist()[0]


def test_empty_and_constant_columns_go_but_one_level_with_gaps_stays() -> None:
    table = GOOD.assign(age="", sex="f", note=["x", "", "x", ""])
    cleaned = clean(table, STUDY, CleanParams())
    assert list(cleaned.schema.features) == ["note"]
    assert [(c.rule, c.column) for c in cleaned.ledger] == [
        ("empty column dropped", "age"),
        ("constant column dropped", "sex"),
    ]
    assert list(clean(table, STUDY, CleanParams(constant="keep")).schema.features) == ["sex", "note"]


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(MedloopError, match="no row is left"):
        clean(GOOD.assign(sick=""), STUDY, CleanParams())


def test_an_absent_column_is_named_with_the_nearest() -> None:
    with pytest.raises(MedloopError, match=r"note.*did you mean notes"):
        clean(GOOD.rename(columns={"note": "notes"}), STUDY, CleanParams())


TIMED = STUDY.model_copy(
    update={
        "time": "visit",
        "group": "family",
        "columns": {
            **STUDY.columns,
            "visit": Column(type="datetime"),
            "born": Column(type="datetime"),
            "family": Column(type="text"),
        },
    }
)


def test_a_date_after_the_visit_is_refused_or_made_missing() -> None:
    table = GOOD.assign(visit="2020-05-01", born=["1950-01-01", "1960-02-02", "2021-01-01", ""], family="A")
    with pytest.raises(MedloopError, match="later than the sample's own time: column born, rows 4"):
        clean(table, TIMED, CleanParams())
    cleaned = clean(table, TIMED, CleanParams(future="missing"))
    assert cleaned.samples["born"].isna().tolist() == [False, False, True, True]
    assert cleaned.samples["@time"].iloc[0] == pd.Timestamp("2020-05-01")
    assert cleaned.samples["@group"].tolist() == ["A"] * 4


def test_new_rows_are_scored_or_listed_and_need_no_label() -> None:
    schema = clean(GOOD, STUDY, CleanParams()).schema
    new = FAULTY.drop(columns="sick")
    scorable = clean_rows(new, STUDY, schema, CleanParams(infinite="missing"))
    assert scorable.samples["@id"].tolist() == ["03", "04"]
    assert set(scorable.samples) == {"@row", "@id", "age", "sex", "note"}
    assert scorable.samples["@row"].tolist() == ["4", "5"]
    assert scorable.unscorable[["@row", "@id"]].to_numpy().tolist() == [["2", "01"], ["3", "02"]]
    assert len(clean_rows(pd.concat([GOOD, GOOD]), STUDY, schema, CleanParams()).samples) == 8


def test_rows_with_too_many_gaps_are_set_aside_and_not_scored() -> None:
    params = CleanParams(drop_rows_above=0.5)
    cleaned = clean(changed(2, "note", ""), STUDY, params)  # the row of age -999 has 2 gaps of 3 then
    assert cleaned.samples["@id"].tolist() == ["01", "02", "04"]
    assert cleaned.quarantine["@row"].tolist() == ["4"]
    assert ("more cells missing than clean.drop_rows_above: quarantine", "the row", 1, 1) in ledger(cleaned)
    scorable = clean_rows(changed(2, "note", ""), STUDY, cleaned.schema, params)
    assert scorable.samples["@id"].tolist() == ["01", "02", "04"]
    assert len(scorable.remarks) == 3
    assert "more cells missing" in scorable.unscorable["reason"].item()


def test_new_rows_keep_the_patient_where_it_is_named() -> None:
    study = STUDY.model_copy(update={"group": "note"})
    schema = clean(GOOD, STUDY, CleanParams()).schema
    assert clean_rows(GOOD, study, schema, CleanParams()).samples["@group"].tolist() == ["a", "", "b", "b"]
    without = schema.model_copy(update={"features": {"age": schema.features["age"]}})
    assert "@group" not in clean_rows(GOOD.drop(columns="note"), study, without, CleanParams()).samples


def test_without_ids_patients_alike_are_not_taken_for_copies() -> None:
    """Two coarse columns: many patients are equal. Twelve measured columns: equal rows are one patient twice."""
    rng = np.random.default_rng(0)
    study = STUDY.model_copy(update={"id": None, "columns": {"sex": Column(type="categorical")}})
    coarse = pd.DataFrame(
        {"sex": rng.choice(["f", "m"], 60), STUDY.target.column: rng.choice(list(STUDY.target.classes), 60)},
        dtype="str",
    )
    coarse["@row"] = np.arange(2, 62)
    kept = clean(coarse, study, CleanParams())
    assert len(kept.samples) == 60
    assert "equal rows kept" in [rule for rule, *_ in ledger(kept)]

    names = [f"v{i}" for i in range(12)]
    fine = (
        pd.DataFrame(rng.normal(size=(60, 12)), columns=names)
        .astype("str")
        .assign(**{STUDY.target.column: coarse[STUDY.target.column]})
    )
    twice = pd.concat([fine, fine.iloc[:3]], ignore_index=True).assign(**{"@row": np.arange(2, 65)})
    study = study.model_copy(update={"columns": {name: Column(type="numeric") for name in names}})
    assert len(clean(twice, study, CleanParams()).samples) == 60

"""What `medloop init` takes for the patient, the sample, the positive class and a row's number."""

import numpy as np
import pandas as pd
import pytest

from contracts.study import Target
from pipelines.draft import draft
from pipelines.draft_label import drafted_label
from pipelines.draft_roles import likely_group, matched_sets, outcome_check, sample_id
from pipelines.guess import guess_column, is_missing_word

ROWS = 120


def series(values: object) -> "pd.Series[str]":
    return pd.Series(values, dtype="str")


def table(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"@row": range(2, ROWS + 2), **{name: series(values) for name, values in columns.items()}})


VISITS = [f"{row // 3}" for row in range(ROWS)]
SICK = ["yes", "no", "no", "no"] * (ROWS // 4)
DOSES = [f"{value:.2f}" for value in np.random.default_rng(0).normal(5, 1, ROWS)]


@pytest.mark.parametrize("name", ["id", "ID", "PID", "pidnum", "patient_id", "SubjectNo", "subject", "caseid", "seqn"])
def test_a_column_named_like_a_patients_that_comes_back_is_taken_for_it(name: str) -> None:
    drafted = draft(table(**{name: VISITS, "dose": DOSES, "sick": SICK}), target=["sick"])
    assert drafted.group == name
    assert name not in drafted.columns
    assert any("TAKEN for the patient's" in check for check in drafted.checks)


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("id", [f"{row}" for row in range(ROWS)]),  # once each: the sample's
        ("case", ["0", "1"] * (ROWS // 2)),
        ("subject_id", ["7"] * ROWS),
        ("site_id", VISITS),
        ("number", VISITS),
        ("code", VISITS),
        ("visit no", VISITS),
    ],
)
def test_what_is_named_otherwise_or_comes_back_as_a_category_does_is_no_patient(name: str, cells: list[str]) -> None:
    assert likely_group(table(**{name: cells}), [name]) is None


def test_a_patients_column_that_some_rows_lack_is_told_and_not_taken() -> None:
    cells = [*VISITS[:-2], "", " "]
    drafted = draft(table(PID=cells, dose=DOSES, sick=SICK), target=["sick"])
    assert drafted.group is None
    assert any("2 rows LACK the patient that PID seems to name" in check for check in drafted.checks)


def test_a_group_that_is_given_is_taken() -> None:
    drafted = draft(
        table(id=VISITS, ward=[f"{row // 2}" for row in range(ROWS)], sick=SICK), target=["sick"], group="ward"
    )
    assert drafted.group == "ward"
    assert not any("TAKEN" in check for check in drafted.checks)


def test_an_id_by_name_goes_before_a_first_column_that_counts_the_rows() -> None:
    counted = table(rownames=[str(row + 1) for row in range(ROWS)], record_id=[f"r{row:04}" for row in range(ROWS)])
    assert sample_id(counted, ["rownames", "record_id"]) == "record_id"
    assert sample_id(counted, ["rownames"]) == "rownames"


def test_what_counts_the_rows_is_no_feature() -> None:
    shuffled = np.random.default_rng(0).permutation(ROWS) + 1000
    assert "counts the rows" in guess_column("x", series([str(number) for number in shuffled])).drop
    gaps = guess_column("x", series([str(2 * number) for number in shuffled]))
    assert gaps.column is not None
    assert gaps.column.type == "numeric"


@pytest.mark.parametrize(
    ("classes", "positive"),
    [
        (("control", "PD"), "PD"),
        (("benign", "suspicious"), "suspicious"),
        (("0_no", "1_yes"), "1_yes"),
        (("left", "right"), "right"),  # the rarest
        (("no", "control"), "control"),
    ],
)
def test_the_positive_class_is_yes_or_what_is_not_no(classes: tuple[str, str], positive: str) -> None:
    label = drafted_label(
        table(sick=[classes[1 if positive == classes[1] else 0], *[classes[0]] * 70, *[classes[1]] * 49]),
        ["sick"],
        None,
    )
    assert label.target.positive == positive


def test_classes_that_begin_with_numbers_may_be_grades() -> None:
    assert "task: ordinal" in drafted_label(table(y=["1_bad", "2_fair", "3_good"] * 40), ["y"], None).check
    assert "task: ordinal" not in drafted_label(table(y=["a", "b", "c"] * 40), ["y"], None).check


def test_what_of_a_label_is_read_as_none_is_told() -> None:
    drafted = draft(table(dose=DOSES, sick=["1_yes", "2_no", "2_no", "9_unknown"] * (ROWS // 4)), target=["sick"])
    assert drafted.notes["sick"] == "CHECK: 9_unknown read as no label"
    assert any(check.startswith("missing codes") and check.endswith(": sick") for check in drafted.checks)


@pytest.mark.parametrize(
    ("text", "missing"),
    [("9_unknown", True), ("NA_NA", True), ("0_no", False), ("12", False), ("_", False), ("1_a", False), (r"\N", True)],
)
def test_a_missing_word_may_follow_a_code(text: str, missing: bool) -> None:
    assert is_missing_word(text) is missing


def test_a_count_that_goes_on_is_no_code() -> None:
    column = guess_column("children", series([*[str(row % 6) for row in range(112)], *"77777778"])).column
    assert column is not None
    assert column.missing == ()


def drafted_horizon(events: int) -> tuple[float | None, str]:
    times = table(days=[str(row + 1) for row in range(ROWS)], died=["1"] * events + ["0"] * (ROWS - events))
    label = drafted_label(times, ["days"], "died")
    return label.target.horizon, label.check


def test_the_horizon_is_the_middle_of_the_events_or_later_where_these_are_few() -> None:
    assert drafted_horizon(100)[0] == pytest.approx(50, abs=1)
    horizon, check = drafted_horizon(50)
    assert horizon == pytest.approx(36, abs=1)
    assert "FEW" not in check
    assert "FEW" in drafted_horizon(25)[1]


def test_where_a_third_of_all_columns_tell_the_label_they_are_strong_and_stay() -> None:
    sick = np.array(SICK) == "yes"
    rng = np.random.default_rng(0)
    told = {f"v{i}": [f"{value:.2f}" for value in rng.normal(0, 1, ROWS) + 6 * sick] for i in range(3)}
    drafted = draft(table(dose=DOSES, sick=SICK, **told), target=["sick"])
    assert set(drafted.columns) == {"dose", *told}
    assert all("AUROC" in drafted.notes[name] for name in told)
    assert any("audit: accept" in check for check in drafted.checks)
    few = draft(table(dose=DOSES, sick=SICK, v0=told["v0"], v1=told["v1"]), target=["sick"])
    assert set(few.drop) == {"v0", "v1"}


def test_other_ends_of_the_follow_up_are_told() -> None:
    later = ["deathdate", "rectime", "censrec", "time.to.agvhd", "fu.date", "relapse", "DaysToLastFollowUp"]
    assert all(outcome_check([name], survival=True) for name in later)
    assert not any(
        outcome_check([name], survival=True)
        for name in ["age", "menopause", "prog_recp", "nodes", "record", "cd4", "treat"]
    )


def test_times_of_follow_up_are_told_of_classes_too_and_a_status_is_not() -> None:
    later = ("futime", "fu_time", "followup", "survtime", "time_to_event")
    assert all(outcome_check([name], survival=False) for name in later)
    assert not any(outcome_check([name], survival=False) for name in ("marital status", "time", "event_diet", "funds"))


def test_the_sets_of_matched_cases_are_dropped_and_told() -> None:
    """Each has one case: who knows two rows of it knows the third."""
    rng = np.random.default_rng(0)
    ill, ward, age = np.tile([1, 0, 0], 40), rng.integers(0, 40, ROWS), rng.integers(20, 90, ROWS)
    found = matched_sets(
        table(stratum=np.repeat(np.arange(40), 3), ward=ward, age=age, ill=ill),
        ["stratum", "ward", "age"],
        Target(column="ill", classes=("0", "1"), positive="1"),
    )
    assert list(found) == ["stratum"]
    assert "each of its 40 values has 1 of class 1" in found["stratum"].drop

import logging
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.errors import MedloopError
from contracts.study import Column, Condition, Study, Target
from pipelines.expectations import Rule, failing_rows
from pipelines.table import Held, Table
from pipelines.validate import Finding, Validated, ValidateParams, build_suite, failure, validate

COLUMNS = {
    "age": Column(type="numeric", unit="years", range=(0, 120)),
    "glucose": Column(type="numeric", unit="mg/dL"),
    "$visits": Column(type="numeric", missing=("888",)),
    "grade": Column(type="ordinal", levels=("low", "$high")),
    "smoker": Column(type="categorical"),
    "seen": Column(type="datetime", range=(2019, None)),
}


def study(**more: object) -> Study:
    target = Target(column="ill", classes=("0", "1"), positive="1")
    return Study.model_validate(
        {"name": "made-up", "title": "Made <up>", "id": "id", "target": target, "columns": COLUMNS, **more}
    )


@pytest.fixture
def table() -> pd.DataFrame:
    """Sixty faultless rows, for tests to spoil; the first stands in line 2 of its file."""
    rng = np.random.default_rng(0)
    n = 60
    table = pd.DataFrame(
        {
            "id": [f"{i:04d}" for i in range(n)],
            "age": rng.integers(20, 90, n).astype(str),
            "glucose": rng.normal(100, 9, n).round(1).astype(str),
            "$visits": rng.integers(0, 9, n).astype(str),
            "grade": rng.choice(["low", "$high"], n),
            "smoker": rng.choice(["never", "former", ""], n),
            "seen": [f"2020-01-{i % 28 + 1:02d}" for i in range(n)],
            "ill": rng.choice(["0", "1"], n),
            "@row": [str(i + 2) for i in range(n)],
        }
    )
    return table.astype("str")


def checked(table: pd.DataFrame, of: Study | None = None, **params: object) -> Validated:
    return validate(table, of or study(), ValidateParams.model_validate(params), missing=("NA",))


def only(validated: Validated) -> Finding:
    assert [f.kind for f in validated.findings] == [validated.findings[0].kind]
    return validated.findings[0]


def test_faultless_data_pass(table: pd.DataFrame) -> None:
    validated = checked(table)
    assert (validated.verdict, validated.findings, len(validated.quarantine)) == ("pass", [], 0)


@pytest.mark.parametrize(
    ("kind", "verdict", "column", "cells"),
    [
        ("unreadable", "fail", "glucose", {3: "12,5 secret", 9: "n.d."}),
        ("unreadable", "fail", "seen", {4: "31/02/2020"}),
        ("infinite", "fail", "glucose", {5: "1e308", 6: "-inf"}),
        ("levels", "fail", "grade", {7: "enormous"}),
        ("levels", "fail", "ill", {8: "Borderline"}),
        ("range", "warn", "age", {10: "212", 11: "-5"}),
        ("range", "warn", "seen", {12: "1066-10-14"}),
        ("missing_label", "warn", "ill", {13: "", 14: "NA"}),
        ("suspected_codes", "warn", "$visits", {15: "999", 16: "999.0"}),
        ("suspected_codes", "warn", "glucose", {17: "-9"}),
        ("suspected_codes", "warn", "smoker", {18: "Unknown"}),
        ("two_units", "warn", "glucose", {19: "5.1", 20: "5.4", 21: "5.6", 22: "5.9", 23: "6.1", 24: "5.3"}),
    ],
)
def test_a_faulty_cell_is_found_by_row(
    table: pd.DataFrame, kind: str, verdict: str, column: str, cells: dict[int, str]
) -> None:
    for at, text in cells.items():
        table.loc[at, column] = text
    finding = only(checked(table))
    assert (finding.kind, finding.verdict, finding.column, finding.rows) == (kind, verdict, column, len(cells))
    assert finding.first == tuple(str(at + 2) for at in cells)
    assert finding.share == len(cells) / len(table)


@pytest.mark.parametrize(
    ("kind", "texts"),
    [("empty_columns", [""] * 60), ("constant_columns", ["7"] * 60), ("missing_share", ["7", "8"] + [""] * 58)],
)
def test_a_column_without_information_is_found(table: pd.DataFrame, kind: str, texts: list[str]) -> None:
    table["glucose"] = texts
    finding = only(checked(table))
    assert (finding.kind, finding.column, finding.verdict) == (kind, "glucose", "warn")


@pytest.mark.parametrize(
    ("kind", "texts"), [("empty_columns", ["<5"] * 60), ("missing_share", ["7", "8"] + ["<5"] * 58)]
)
def test_limits_taken_as_missing_are_gaps(table: pd.DataFrame, kind: str, texts: list[str]) -> None:
    glucose = Column(type="numeric", censored="missing")
    finding = only(checked(table.assign(glucose=texts), study(columns={**COLUMNS, "glucose": glucose})))
    assert (finding.kind, finding.column, finding.verdict) == (kind, "glucose", "warn")


def test_one_answer_and_gaps_is_information(table: pd.DataFrame) -> None:
    table["smoker"] = np.where(np.arange(60) % 2, "yes", "")
    assert checked(table).verdict == "pass"


def test_declared_codes_are_missing_not_suspected(table: pd.DataFrame) -> None:
    table.loc[3, "$visits"] = "888"
    assert checked(table).verdict == "pass"


def test_copies_and_conflicts_are_told_apart(table: pd.DataFrame) -> None:
    copy = table.iloc[[5]].assign(**{"@row": "62"})
    conflict = table.iloc[[6]].assign(**{"@row": "63", "age": "1"})
    validated = checked(pd.concat([table, copy, conflict], ignore_index=True))
    assert {f.kind: (f.verdict, f.first) for f in validated.findings} == {
        "duplicate_rows": ("warn", ("7", "62")),
        "conflicting_ids": ("fail", ("8", "63")),
    }


def test_one_patient_with_two_labels_is_told(table: pd.DataFrame) -> None:
    """Of a patient's rows that differ in nothing else, and not of two patients who are alike."""
    other = {"0": "1", "1": "0"}
    again = table.iloc[[5, 6, 7]].assign(**{"@row": ["62", "63", "64"], "id": ["x", "y", "z"]})
    again["ill"] = [other[again["ill"].iloc[0]], again["ill"].iloc[1], ""]
    rows = pd.concat([table, again], ignore_index=True)
    named = study().model_copy(update={"group": "patient"})
    patients = [*table["id"], *table["id"].iloc[[5, 6, 7]]]
    found = checked(rows.assign(patient=patients).astype("str"), named)
    assert [f.first for f in found.findings if f.kind == "contradicting_labels"] == [("7", "62")]
    strangers = checked(rows.assign(patient=rows["id"]).astype("str"), named)
    assert all(f.kind == "missing_label" for f in strangers.findings)


def test_rows_are_set_aside_once_with_every_reason(table: pd.DataFrame) -> None:
    table.loc[3, ["age", "glucose"]] = ["212", "none"]
    table.loc[1, "age"] = "-4"
    validated = checked(table, range="quarantine", unreadable="quarantine")
    assert validated.verdict == "quarantine"
    assert validated.quarantine.to_dict("list") == {
        "@row": ["3", "5"],
        "reason": ["age: range", "age: range; glucose: unreadable"],
    }


def test_rows_outside_the_cohort_are_not_judged(table: pd.DataFrame) -> None:
    table.loc[[0, 1], "ill"] = "Borderline"
    table.loc[0, "glucose"] = "none"
    cohort = study(cohort={"ill": Condition(among=("0", "1"))})
    assert checked(table, cohort).verdict == "pass"
    with pytest.raises(MedloopError, match="no row of the data is in the cohort"):
        checked(table.assign(ill="2"), cohort)


def test_an_absent_column_is_an_error(table: pd.DataFrame) -> None:
    with pytest.raises(MedloopError, match="age"):
        checked(table.drop(columns="age"))


def test_the_decimal_sign_is_respected(table: pd.DataFrame) -> None:
    table["glucose"] = table["glucose"].str.replace(".", ",")
    assert checked(table).verdict == "fail"
    assert validate(table, study(), ValidateParams(), missing=(), decimal=",").verdict == "pass"


def test_the_error_names_rows_and_mends_but_no_value(table: pd.DataFrame) -> None:
    table.loc[[3, 9], "glucose"] = "Jane Roe"
    error = failure(checked(table), where="study made-up")
    assert "glucose" in error.problem
    assert "5, 11" in error.problem
    assert "validate.unreadable: quarantine" in error.mend
    assert "Jane" not in str(error)


def test_the_page_is_the_same_each_time_and_holds_no_value(table: pd.DataFrame) -> None:
    table.loc[3, ["glucose", "age", "grade"]] = ["Jane Roe", "217", "Doe"]
    page = checked(table).docs
    assert page == checked(table).docs
    assert "Made &lt;up&gt;" in page
    assert not [text for text in ("Jane", "217", "Doe", "http") if text in page]
    for name in COLUMNS:
        assert name in page


def test_the_suite_asks_what_is_declared() -> None:
    rules = {(check.kind, check.rule.column): check.rule for check in build_suite(study(), ValidateParams())}
    assert rules["range", "age"] == Rule(column="age", low=0, high=120)
    assert rules["levels", "grade"].among == ("low", "$high")
    assert ("range", "glucose") not in rules


def test_great_expectations_leaves_nothing_behind(
    table: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    table.loc[3, "age"] = "212"
    with caplog.at_level(logging.INFO):
        assert checked(table).verdict == "warn"
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert [record.name for record in caplog.records] == []


def test_rules_name_the_rows_that_break_them() -> None:
    frame = pd.DataFrame({"n": [1.0, 2.0, np.nan, 99.0], "t": ["x", "x", None, "z"]}, index=[7, 7, 8, 9])
    rules = [
        Rule(column="n", high=2),
        Rule(column="t", among=("x",)),
        Rule(column="t", filled=True),
        Rule(column="n", filled=False),
        Rule(column="n", low=1),
    ]
    assert plainly(frame, rules) == failing_rows(frame, rules) == [[3], [3], [2], [0, 1, 3], []]


FAULTS = {
    "id": ["0001", "", " 0002 ", "0003"],
    "age": ["", "NA", "212", "abc", "999", "inf", "-9"],
    "glucose": ["5.1", "5.4", "5.6", "6.1", "5.3", "4.8", "5.0", "5.9", "1e308", "-9", "5,1"],
    "$visits": ["999", "888", "", "unknown"],
    "grade": ["enormous", "", "LOW"],
    "smoker": ["Unknown", "NA", "never"],
    "seen": ["31/02/2020", "1066-10-14", ""],
    "ill": ["", "NA", "2"],
}
COHORTS: list[dict[str, object]] = [
    {},
    {"age": {"min": 30}},
    {"smoker": {"among": ["never", "former"]}},
    {"smoker": {"most": {"never": 5}}},
]


def spoilt(table: pd.DataFrame, seed: int, share: float) -> pd.DataFrame:
    """`table` with faulty cells in every column, and some of its rows twice."""
    rng = np.random.default_rng(seed)
    for name, texts in FAULTS.items():
        at = rng.random(len(table)) < share
        table.loc[at, name] = rng.choice(texts, at.sum())
    return pd.concat([table, table.sample(4, random_state=seed, replace=True)], ignore_index=True).astype("str")


def plainly(table: pd.DataFrame, rules: Sequence[Rule]) -> list[list[int]]:
    """What Great Expectations finds, a hundred times as fast."""
    found = []
    for rule in rules:
        cells = table[rule.column]
        if rule.filled is not None:
            broken = cells.isna() if rule.filled else cells.notna()
        elif rule.among:
            broken = cells.notna() & ~cells.isin(rule.among)
        else:
            low, high = (np.nan if bound is None else bound for bound in (rule.low, rule.high))
            broken = (cells < low) | (cells > high)
        found.append(np.flatnonzero(broken).tolist())
    return found


def outcome(messy: pd.DataFrame, size: int, of: Study) -> object:
    """What validation says of a table in blocks of this size."""
    blocks = [messy[at : at + size].reset_index(drop=True) for at in range(0, len(messy), size)]
    blocks[1:] = [block.astype({"@row": "str"}).astype("category") for block in blocks[1:]]  # as they are read again
    aside = dict.fromkeys(("unreadable", "infinite", "range", "conflicting_ids", "levels"), "quarantine")
    try:
        found = validate(Table(tuple(map(Held, blocks))), of, ValidateParams.model_validate(aside), missing=("NA",))
    except MedloopError as error:
        return str(error)
    quarantine = found.quarantine
    return found.verdict, found.findings, quarantine.to_dict("list"), quarantine.dtypes.astype(str).tolist(), found.docs


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 2**16),
    st.integers(1, 60),
    st.sampled_from([0.02, 0.1, 0.3, 1.0]),
    st.integers(4, 70),
    st.sampled_from(COHORTS),
    st.sampled_from(["id", None]),
)
def test_a_table_in_blocks_is_judged_as_in_one(
    table: pd.DataFrame, seed: int, rows: int, share: float, size: int, cohort: dict[str, object], id_: str | None
) -> None:
    messy, of = spoilt(table[:rows].copy(), seed, share), study(cohort=cohort, id=id_)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.checks.failing_rows", plainly)
        assert outcome(messy, size, of) == outcome(messy, len(messy), of)


def test_great_expectations_checks_every_block(table: pd.DataFrame) -> None:
    messy = spoilt(table, 0, 0.2)
    assert outcome(messy, 40, study()) == outcome(messy, len(messy), study())

"""Eighteen kinds of identifiers, by name and by content, with few false alarms."""

import numpy as np
import pandas as pd
import pytest

from contracts.study import Study
from pipelines.guard import suspicions
from pipelines.identifiers import suspect

N = 60


def kind(name: str, values: list[str]) -> str | None:
    found = suspect(name, pd.Series(values, dtype="str").value_counts())
    return found.kind if found else None


def digits(count: int) -> list[str]:
    return ["".join(map(str, row)) for row in np.random.default_rng(count).integers(1, 10, (N, count))]


def each(pattern: str) -> list[str]:
    return [pattern.format(i, i % 10, 10 + i) for i in range(N)]


FIRST = ("Ada", "Alan", "Grace", "Zoë")
LAST = ["O'Brien", "McDonald", "Turing", "Müller", "Lee", "Garcia", "Smith", "Koch", "Kim", "Patel", "Singh", "Brown"]
LAST += ["Lopez", "Weber", "Klein"]
PEOPLE = [f"{first} {last}" for first in FIRST for last in LAST]
FOUND = [
    ("PatientName", PEOPLE, "name"),
    ("col1", PEOPLE, "name"),
    ("姓名", ["张三", "李四", "王五"], "name"),
    ("ZIP", digits(5), "place"),
    ("col2", each("{0} Station Street"), "place"),
    ("home_city", ["Dover", "Salem", "Derby"], "place"),
    ("dateofbirth", each("3/{0}/1950"), "birth"),
    ("AdmitDate", each("2020-01-{2}"), "date"),
    ("disch_dt", each("202001{2}"), "date"),
    ("col3", each("{2}-Mar-2020"), "date"),
    ("HomePhone", digits(10), "telephone"),
    ("col4", each("(555) 234-{2}00"), "telephone"),
    ("contact", ["555-123-4567", "555-123-4568", "+1 555 123 4569"], "telephone"),
    ("FAX_NO", digits(10), "fax"),
    ("col17", each("p{0}@mail.org"), "e-mail"),
    ("SSN", digits(9), "social security"),
    ("col5", each("123-{2}-6789"), "social security"),
    ("mrn", digits(7), "record"),
    ("hospital_no", ["H123", "H124", "H125"], "record"),
    ("insuranceNumber", ["A123", "A124", "A125"], "health plan"),
    ("acct_no", digits(8), "account"),
    ("driversLicense", each("D{2}34"), "licence"),
    ("license plate", each("ABC {0}"), "vehicle"),
    ("col6", [f"1HGCM82633A{n}" for n in digits(6)], "vehicle"),
    ("device_serial", each("SN{2}0"), "device"),
    ("col7", each("https://x.org/{0}"), "web address"),
    ("col8", each("10.0.{0}.1"), "network address"),
    ("fingerprint", digits(30), "biometric"),
    ("face_photo", each("p{0}.jpg"), "photograph"),
    ("col9", digits(12), "unique code"),
    ("col10", each("AB-{2}77"), "unique code"),
    ("note", ["stable"] * N + ["Call 555-234-4567 tonight"], "telephone"),
    ("note", ["stable"] * N + ["fell on 03/04/2020 at home"], "date"),
    ("note", ["stable"] * N + ["MRN: 1234567 reviewed"], "record"),
    ("note", ["stable"] * N + ["write to ada@mail.org"], "e-mail"),
    ("note", ["stable"] * N + ["seen by Dr Smith"], "name"),
    ("Age", ["50", "60", "93"], "age over 89"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "values", "what"), FOUND)
def test_identifiers_are_suspected(name: str, values: list[str], what: str) -> None:
    assert what in (kind(name, values) or "")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("CoveredByHealthInsurance", ["0", "1"]),
        ("has_phone", ["yes", "no"]),
        ("minutes_on_phone", ["10", "20", "35.5"]),
        ("birth_weight", ["3100", "2900", "3300"]),
        ("birth_year", ["1950", "1960", "1970"]),
        ("drug_name", ["aspirin", "statin", "insulin"]),
        ("drug", ["Metformin Hydrochloride", "Insulin Glargine", "Aspirin"] * N),
        ("capacity", ["1.5", "2.5", "3.25"]),
        ("x", ["1234567.89012", "1234567.89013", "1234567.89014"]),
        ("x", ["02079.460180", "02080.460181", "02081.460182", "unknown"]),
        ("retinopathy", ["none", "mild", "severe"]),
        ("ndc", ["10002-8215-01", "54868-123-10", "61958-0701-1"]),
        ("icd", ["E11.9", "C50.911", "Z79.4"]),
        ("pressure", each("1{2}/{2}")),
        ("clock", each("10:{2}")),
        ("stage", ["T1N0M0", "T2N1M0", "T3N2M1"]),
        ("visit_no", ["1", "2", "3"]),
        ("age_months", ["12", "93", "110"]),
        ("age", ["20", "55", "89.9"]),
        ("dose", each("{0}.5 mg")),
        ("comma", each("{0},5{1}")),
        ("version", ["1.2.3", "2.0.1", "2.1.0"]),
        ("platelets", digits(6)),
        ("employer_size", ["1-10", "11-50", "51+"]),
        ("insurance_code", ["1", "2", "3"]),
    ],
)
def test_what_identifies_nobody_is_not_suspected(name: str, values: list[str]) -> None:
    assert kind(name, values) is None


def test_a_suspicion_counts_cells_and_shows_none() -> None:
    told = suspect("col17", pd.Series(["a@b.org"] * 5 + ["c@d.org", "e@f.org", "none"], dtype="str").value_counts())
    assert told is not None
    assert told.told() == "col17: an e-mail address, by content (7 of 8 filled cells)"


def test_the_order_of_rows_does_not_matter() -> None:
    cells = pd.Series([*PEOPLE, *PEOPLE[:20]], dtype="str")
    assert suspect("x", cells.value_counts()) == suspect("x", cells[::-1].value_counts())


def test_declared_dates_are_suspected_whatever_their_format_but_years_are_not() -> None:
    def found(pattern: str, cells: list[str]) -> list[str]:
        columns = {"when": {"type": "datetime", "format": pattern}}
        target = {"column": "sick", "classes": [0, 1], "positive": 1}
        study = Study.model_validate({"name": "t", "title": "t", "target": target, "columns": columns})
        return [s.kind for s in suspicions(pd.DataFrame({"@row": range(len(cells)), "when": cells}), study)]

    assert found("%j/%Y", each("1{2}/2020")) == ["a date finer than a year"]
    assert found("%Y", ["1990", "1991", "1992"]) == []

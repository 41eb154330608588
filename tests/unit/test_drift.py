"""Drift: what was planted is found and nothing else, few patients raise no alarm, and no patient can be read off."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.study import Column
from pipelines.bootstrap import Interval
from pipelines.drift import DriftParams, Shift, kolmogorov_smirnov, psi, shifts
from pipelines.drift_page import drift_page
from pipelines.drift_report import Drift, Rows, answered, too_few, worth

COLUMNS = {
    "age": Column(type="numeric"),
    "visits": Column(type="numeric"),
    "sex": Column(type="categorical", levels=("f", "m")),
    "ward": Column(type="categorical"),
    "grade": Column(type="ordinal", levels=("low", "middle", "high")),
    "born": Column(type="datetime"),
    "note": Column(type="text"),
}
PARAMS = DriftParams()


def rows(count: int, seed: int, *, per_patient: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    made = pd.DataFrame(
        {
            "age": np.where(rng.random(count) < 0.1, np.nan, rng.normal(60, 12, count)),
            "visits": rng.poisson(0.4, count).astype(float),
            "sex": rng.choice(["f", "m"], count),
            "ward": rng.choice(["secret-1", "secret-2", "secret-3"], count, p=[0.6, 0.3, 0.1]),
            "grade": rng.choice(["low", "middle", "high"], count),
            "born": pd.Timestamp("1960-01-01") + pd.to_timedelta(rng.integers(0, 9000, count), "D"),
            "note": [" ".join(["word"] * n) for n in rng.integers(3, 30, count)],
        }
    )
    made = made.loc[made.index.repeat(per_patient)].reset_index(drop=True)
    return made.assign(**{"@group": [f"{seed}-{i // per_patient}" for i in range(len(made))]})


def found(now: pd.DataFrame, then: pd.DataFrame | None = None, params: DriftParams = PARAMS) -> dict[str, Shift]:
    then = rows(800, 0) if then is None else then
    return {one.column: one for one in shifts(then, now, COLUMNS, params, limit=params.psi)}


def drifted(now: pd.DataFrame, then: pd.DataFrame | None = None) -> list[str]:
    return [name for name, one in found(now, then).items() if one.verdict == "drifted"]


def older(now: pd.DataFrame) -> None:
    now["age"] += 15


def more_visits(now: pd.DataFrame) -> None:
    now["visits"] += 1


def other_wards(now: pd.DataFrame) -> None:
    now["ward"] = now["ward"].replace({"secret-1": "secret-3"})


def new_ward(now: pd.DataFrame) -> None:
    now.loc[now.index[:40], "ward"] = "secret-9"


def higher(now: pd.DataFrame) -> None:
    now["grade"] = "high"


def gaps(now: pd.DataFrame) -> None:
    now.loc[now.index[:150], "age"] = np.nan


def longer(now: pd.DataFrame) -> None:
    now["note"] = now["note"] + " and more" * 12


@pytest.mark.parametrize(
    ("plant", "column"),
    [(older, "age"), (more_visits, "visits"), (other_wards, "ward"), (new_ward, "ward"), (higher, "grade"),
     (gaps, "age"), (longer, "note")],
)  # fmt: skip
def test_what_is_planted_is_found_and_nothing_else(plant: object, column: str) -> None:
    now = rows(300, 1)
    assert drifted(now) == []
    plant(now)  # type: ignore[operator]
    assert drifted(now) == [column]


def test_dates_go_on_without_an_alarm() -> None:
    now = rows(300, 1)
    now["born"] += pd.Timedelta(days=20_000)
    born = found(now)["born"]
    assert (born.verdict, born.psi is not None and born.psi > 1) == ("told", True)


def test_few_patients_raise_no_alarm() -> None:
    assert [drifted(rows(50, seed)) for seed in range(1, 9)] == [[]] * 8


def test_a_patient_counts_once_however_many_rows_it_has() -> None:
    then, now = rows(60, 0, per_patient=40), rows(60, 7, per_patient=40)
    few = found(now, then)
    assert drifted(now, then) == []
    alone = found(*(of.drop_duplicates("@group") for of in (now, then)))
    assert [few[name].p for name in COLUMNS] == pytest.approx([alone[name].p for name in COLUMNS])


def test_levels_that_hardly_repeat_are_no_drift() -> None:
    rng = np.random.default_rng(3)
    codes = [pd.Series(rng.zipf(1.3, size)).astype("str") for size in (800, 300)]
    then, now = rows(800, 0).assign(ward=codes[0]), rows(300, 1).assign(ward=codes[1])
    assert (found(now, then)["ward"].unseen or 0) > PARAMS.unseen
    assert drifted(now, then) == []


def test_nothing_on_the_page_is_a_patients() -> None:
    now = rows(300, 1)
    new_ward(now)
    now.loc[0, "ward"], now.loc[1, "age"] = "secret-alone", 123.456789
    columns = tuple(found(now).values())
    report = answered(
        Drift(
            study="tiny", answer="none", sentence="", champion="version 1", compared="new", columns=columns,
            then=Rows(rows=800, patients=800), now=Rows(rows=300, patients=300), params=PARAMS,
        )
    )  # fmt: skip
    assert report.answer == "drifted" and "1 of 7 columns (ward: PSI 0.74, levels never seen in 13%)" in report.sentence
    html = drift_page(report, "Tiny")
    for told in (report.model_dump_json(), html[html.index("<body>") :]):
        assert "secret" not in told and "123.4" not in told
    assert html == drift_page(report, "Tiny")


def test_a_lone_small_cell_is_hidden_with_another() -> None:
    then, now = rows(800, 0), rows(300, 1)
    now["sex"] = ["f"] * 297 + ["m"] * 3
    assert [cell.now for cell in found(now, then)["sex"].cells] == [None, None]


def test_columns_left_out_are_not_looked_at() -> None:
    assert set(found(rows(300, 1), params=DriftParams(leave_out=("age", "ward")))) == {*COLUMNS} - {"age", "ward"}


def test_a_column_without_values_is_told_as_such() -> None:
    now = rows(300, 1)
    now["age"] = np.nan
    age = found(now)["age"]
    assert (age.verdict, age.psi, age.why) == ("drifted", None, "gaps 9%, now 100%")
    both = found(now, rows(800, 0).assign(age=np.nan))["age"]
    assert (both.verdict, both.psi) == ("unknown", None)


counts = st.lists(st.integers(0, 500), min_size=2, max_size=8)


@given(counts, st.integers(0, 2**16))
def test_the_index_is_never_negative_and_nought_for_the_same_shares(then: list[int], seed: int) -> None:
    one = np.array(then, dtype=float)
    other = np.random.default_rng(seed).permutation(one)
    assert psi(one, one) == 0
    assert psi(one, other) >= 0
    assert psi(one, other) == pytest.approx(psi(other, one))


def test_the_index_of_a_textbook() -> None:
    then, now = np.array([300.0, 500.0, 200.0]) * 1e6, np.array([200.0, 500.0, 300.0]) * 1e6
    assert psi(then, now) == pytest.approx(0.2 * np.log(1.5), rel=1e-4)


@given(st.integers(0, 2**16))
def test_the_test_is_scipys_where_each_row_weighs_one(seed: int) -> None:
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=400), rng.normal(0.1, 1, size=300)
    p = kolmogorov_smirnov((one, np.ones(400)), (other, np.ones(300)))
    assert p == pytest.approx(ks_2samp(one, other, method="asymp").pvalue)


def test_worth_less_is_drift_when_it_is_no_chance() -> None:
    then, count = Interval(value=0.85, low=0.82, high=0.88), Rows(rows=300, patients=300)
    worse = worth("auroc", then, Interval(value=0.70, low=0.65, high=0.75), count, 0.05)
    assert worse.drifted and worse.gain.value == -0.15
    assert worse.gain.low == pytest.approx(-0.15 - np.hypot(0.05, 0.03), abs=1e-6)
    assert worse.gain.high == pytest.approx(-0.15 + np.hypot(0.05, 0.03), abs=1e-6)
    assert not worth("auroc", then, Interval(value=0.78, low=0.60, high=0.9), count, 0.05).drifted
    errors = Interval(value=4.0, low=3.8, high=4.2)
    assert worth("mae", errors, Interval(value=5.0, low=4.8, high=5.2), count, 0.05).drifted
    assert not worth("mae", errors, Interval(value=3.0, low=2.8, high=3.2), count, 0.05).drifted


def test_too_few_patients_are_told() -> None:
    report = Drift(
        study="tiny", answer="none", sentence="", champion="version 1", compared="new", params=PARAMS,
        then=Rows(rows=800, patients=800), now=Rows(rows=30, patients=12),
    )  # fmt: skip
    assert too_few(report).sentence == "Too few to tell: 30 new rows of 12 patients, and 50 are asked for."

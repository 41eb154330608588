from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from contracts.follow_up import signed
from contracts.study import Column
from contracts.tables import Schema
from pipelines.leaks import LeakParams, Suspect, lower_bound, single_feature_suspects
from pipelines.suspects import follow_up_suspects

LEVELS = ("low", "middle", "high")


def suspects(
    table: Mapping[str, object], target: np.ndarray, classes: tuple[str, ...] = ("no", "yes"), **types: Column
) -> dict[str, Suspect]:
    frame = pd.DataFrame(table)
    features = {n: types.get(n, Column(type=_type(frame[n]))) for n in frame if not n.startswith("@")}
    schema = Schema(features=features, classes=classes)
    return {s.column: s for s in single_feature_suspects(frame, pd.Series(target), schema, LeakParams())}


def _type(values: pd.Series) -> str:
    return "numeric" if pd.api.types.is_numeric_dtype(values) else "categorical"


@pytest.fixture
def ill() -> np.ndarray:
    return np.random.default_rng(0).permutation(np.repeat([0, 1], [840, 160]))


def test_each_kind_of_leak_is_found_and_named(ill: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    age = rng.normal(50, 10, len(ill))
    took = (ill == 1) & (rng.random(len(ill)) < 0.2)
    found = suspects(
        {
            "age_at_diagnosis": np.where(ill == 1, age, np.nan),
            "asked_only_if_well": np.where((ill == 0) & (rng.random(len(ill)) < 0.3), 1.0, np.nan),
            "mostly_filled_if_ill": np.where((ill == 1) | (rng.random(len(ill)) < 0.05), age, np.nan),
            "always_filled_if_ill": np.where((ill == 1) | (rng.random(len(ill)) < 0.4), age, np.nan),
            "rarely_filled_else": np.where(took | (np.arange(len(ill)) == 0), 7.0, np.nan),
            "laboratory": age + 30 * ill,
            "turned_round": age - 30 * ill,
            "insulin": np.where(took, "yes", "no"),
            "ward": np.where(ill == 1, rng.choice(["a", "b"], len(ill)), rng.choice(["c", "d"], len(ill))),
        },
        ill,
    )
    assert {name: s.how for name, s in found.items()} == {
        "age_at_diagnosis": "only_in_class",
        "asked_only_if_well": "only_in_class",
        "mostly_filled_if_ill": "missing",
        "always_filled_if_ill": "missing",
        "rarely_filled_else": "missing",
        "laboratory": "value",
        "turned_round": "value",
        "insulin": "level",
        "ward": "value",
    }


def test_strong_but_honest_predictors_are_not_suspected(ill: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    found = suspects(
        {
            "age": rng.normal(50, 10, len(ill)) + 11 * ill,  # AUROC about 0.78
            "symptom": np.where(rng.random(len(ill)) < np.where(ill == 1, 0.5, 0.1), "yes", "no"),
            "skipped_by_the_ill": np.where(rng.random(len(ill)) < np.where(ill == 1, 0.6, 0.2), np.nan, 1.0),
            "nobody_young_is_ill": np.where((ill == 1) | (rng.random(len(ill)) < 0.8), "old", "young"),
        },
        ill,
    )
    assert found == {}


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("rows", [20, 100, 600])
def test_noise_raises_no_alarm(rows: int, classes: int) -> None:
    rng = np.random.default_rng(rows + classes)
    target = rng.choice(classes, rows, p=[0.85, 0.15] if classes == 2 else [0.7, 0.2, 0.07, 0.03])
    table: dict[str, object] = {}
    for i in range(60):
        gap = rng.random(rows) < rng.random()
        table[f"number{i}"] = np.where(gap, np.nan, rng.normal(size=rows))
        table[f"few{i}"] = rng.choice(["a", "b", "c"], rows)
        table[f"many{i}"] = rng.choice([f"level {k}" for k in range(rows // 3)], rows)
    assert suspects(table, target, tuple("abcd")[:classes]) == {}


def test_one_class_of_many_given_away_is_found() -> None:
    target = np.repeat([0, 1, 2], 60)
    found = suspects({"marker": np.where(target == 2, 1.0, 0.0)}, target, ("a", "b", "c"))
    assert "class c" in found["marker"].sentence


def test_an_answer_that_several_classes_share_and_no_other_gives_is_found() -> None:
    rng = np.random.default_rng(0)
    health = rng.integers(0, 5, 150)
    improved = np.where(health >= 3, "yes", "no")
    mostly = np.where(rng.random(150) < 0.15, "no", improved)
    found = suspects(
        {"improved": improved, "mostly": mostly, "sex": rng.choice(["f", "m"], 150)}, health, tuple("abcde")
    )
    assert list(found) == ["improved"]
    assert found["improved"].how == "level"
    few = np.array([0, 1, 2, 3] * 3)
    assert suspects({"improved": np.where(few >= 2, "yes", "no")}, few, tuple("abcd")) == {}


@pytest.mark.parametrize("each", [2, 6, 9])
def test_a_copy_of_the_label_is_found_in_few_rows_once_it_is_no_accident(each: int) -> None:
    target = np.repeat([0, 1], each)
    nearly = np.where(np.arange(2 * each) == 0, 1, target)
    found = suspects({"turned_round": 1 - target, "named": np.where(target, "x", "y"), "nearly": nearly}, target)
    assert set(found) == ({"turned_round", "named"} if each > 2 else set())
    assert all(one.how == "level" and "another name" in one.sentence for one in found.values())


def test_a_column_that_repeats_the_follow_up_is_found_among_those_with_the_event() -> None:
    rng = np.random.default_rng(0)
    entered = rng.uniform(0, 100, 200)
    until, ends = rng.exponential(60, 200), 120 - entered
    time, happened = np.minimum(until, ends), until <= ends
    severity = -until + rng.normal(0, 60, 200)
    frame = pd.DataFrame({"last_day": 30 + 2 * time, "entered": entered, "severity": severity})
    frame["@target"] = signed(time, happened)
    schema = Schema(features=dict.fromkeys(list(frame)[:3], Column(type="numeric")), classes=(), task="survival")
    found = follow_up_suspects(frame, schema, LeakParams())
    assert [(one.column, one.how) for one in found] == [("last_day", "value")]
    assert follow_up_suspects(frame[:12], schema, LeakParams()) == []


def test_an_ordinal_is_ranked_by_its_declared_order() -> None:
    target = np.repeat([0, 1], 100)
    grade = np.where(target == 1, "high", np.tile(["low", "middle"], 100))
    found = suspects({"grade": grade}, target, grade=Column(type="ordinal", levels=LEVELS))
    assert found["grade"].how == "value"


def test_a_patient_counts_once() -> None:
    target = np.repeat([0, 1], [200, 100])
    code = np.where(target == 1, "x", "y")
    group = np.concatenate([np.arange(200), np.repeat([200, 201], 50)]).astype(str)
    assert "code" in suspects({"code": code}, target)
    assert suspects({"code": code, "@group": group}, target) == {}


def test_dates_and_texts() -> None:
    target = np.repeat([0, 1], 100)
    day = pd.to_datetime("2020-01-01") + pd.to_timedelta(np.arange(200), unit="D")
    note = pd.Series([f"words {i}" for i in range(200)]).where(pd.Series(target == 1))
    found = suspects({"day": day, "note": note}, target, day=Column(type="datetime"), note=Column(type="text"))
    assert found["day"].how == "value"
    assert found["note"].how == "only_in_class"


def test_the_sentence_holds_no_value(ill: np.ndarray) -> None:
    found = suspects({"drug": np.where(ill == 1, "secret", "other")}, ill)
    assert "secret" not in found["drug"].sentence


@pytest.mark.parametrize(("share", "of"), [(83, 88), (11, 11), (0, 5)])
def test_the_bound_is_wilsons(share: int, of: int) -> None:
    reference = binomtest(share, of).proportion_ci(confidence_level=0.9, method="wilson").low
    assert lower_bound(share / of, of) == pytest.approx(reference, abs=1e-4)


def test_a_bound_on_nothing_is_nothing() -> None:
    assert lower_bound(1.0, 0) == 0

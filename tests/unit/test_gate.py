"""The gate: each criterion is met, failed or open for its own reason, and what follows from them."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from contracts.study import Column
from contracts.tables import Schema
from pipelines import metrics
from pipelines.bootstrap import Interval, interval
from pipelines.evaluate import Entry, EvaluateParams, evaluate
from pipelines.gate import (
    CALIBRATION,
    Criterion,
    Difference,
    GateParams,
    calibration_kept,
    decided,
    groups,
    no_worse,
    schema_kept,
    source_changed,
    subgroups_unharmed,
)
from pipelines.paired import Paired
from pipelines.tasks import forecasting, multilabel, ordinal, regression, survival

SCHEMA = Schema(
    features={
        "age": Column(type="numeric", unit="years"),
        "sex": Column(type="categorical", levels=("f", "m")),
        "scan": Column(type="image"),
    },
    classes=("no", "yes"),
)


def gain(value: float | None, low: float = 0, high: float = 0, metric: str = "auroc", first: float = 0.8) -> Paired:
    found = Interval(value=None, reason="one class") if value is None else Interval(value=value, low=low, high=high)
    second = None if value is None else first + value
    return Paired(metric=metric, first=first, second=second, gain=found, p=0.2, test="DeLong")


@pytest.mark.parametrize(
    ("found", "margin", "state"),
    [
        (gain(0.01, -0.01, 0.03), 0.02, "met"),
        (gain(0.01, -0.03, 0.05), 0.02, "open"),
        (gain(-0.01, -0.03, 0.01), 0.02, "open"),
        (gain(-0.03, -0.05, -0.01), 0.02, "failed"),
        (gain(0.01, -0.01, 0.03), "better", "open"),
        (gain(0.03, 0.01, 0.05), "better", "met"),
        (gain(-0.03, -0.05, -0.01), "better", "failed"),
        (gain(None), 0.02, "open"),
        (gain(-3, -4, -2, metric="mae", first=100), 0.05, "met"),
        (gain(-7, -8, -6, metric="mae", first=100), 0.05, "failed"),
    ],
    ids=[
        "above",
        "wide",
        "worse-wide",
        "worse",
        "not-better",
        "better",
        "worse-not-better",
        "undefined",
        "mae",
        "mae-worse",
    ],
)
def test_not_worse_is_shown_by_the_whole_interval(found: Paired, margin: float, state: str) -> None:
    assert no_worse(found, margin, 200).state == state  # type: ignore[arg-type]


def test_the_sentence_says_what_was_found_and_warns_of_few_rows() -> None:
    told = no_worse(gain(-0.03, -0.05, -0.01), 0.02, 30).sentence
    assert told == (
        "worse by more than 0.02: AUROC 0.770 after 0.800, worse by 0.030 (−0.050 to −0.010), p 0.2; "
        "30 rows are few: do not rely on this"
    )


def test_where_no_interval_can_be_told_a_person_decides() -> None:
    same = gain(0.0)
    same = same.model_copy(update={"gain": interval(0.0, np.zeros(200), 0.95)})
    told = no_worse(same, 0.02, 60)
    assert told.state == "open" and told.sentence.startswith("cannot be told: AUROC 0.800 after 0.800, better by 0.000")
    assert no_worse(gain(-0.01, -0.05, 0.03), 0.02, 60).sentence.startswith("perhaps worse by more than 0.02: ")


def test_calibration_may_grow_within_its_limit() -> None:
    assert calibration_kept(gain(-0.04, -0.06, -0.02, metric="ece", first=0.1), 0.05).state == "met"
    assert calibration_kept(gain(-0.06, -0.13, 0.01, metric="ece", first=0.1), 0.05).state == "open"
    assert calibration_kept(gain(-0.06, -0.08, -0.04, metric="ece", first=0.1), 0.05).state == "failed"
    assert calibration_kept(gain(None, metric="ece"), 0.05).state == "open"


def test_the_same_schema_is_kept() -> None:
    same = SCHEMA.model_copy(
        update={"features": {**SCHEMA.features, "age": Column(type="numeric", unit="years", range=(0, 99))}}
    )
    assert schema_kept(SCHEMA, same, ({"scan": {"size": 1}}, {"scan": {"size": 1}})).state == "met"


def test_every_difference_of_schema_is_told() -> None:
    features = {
        "age": Column(type="ordinal", levels=("a", "b")),
        "new": Column(type="numeric"),
        "scan": SCHEMA.features["scan"],
    }
    now = SCHEMA.model_copy(update={"features": features, "classes": ("no", "yes", "more")})
    found = schema_kept(SCHEMA, now, ({"scan": {"size": [1, 1]}}, {"scan": {"size": [2, 2]}}))
    assert found.state == "failed"
    assert [str(Difference(**one)) for one in found.evidence["differences"]] == [
        "new is new",
        "sex is gone (not declared, empty or constant)",
        "age: type is ordinal, was numeric",
        "age: unit is None, was years",
        "age: levels is [a, b], was []",
        "the label's classes is [no, yes, more], was [no, yes]",
        "files of scan is {'size': [2, 2]}, was {'size': [1, 1]}",
    ]
    assert found.evidence["differences"][1] == {"what": "sex", "then": "categorical", "now": None}


def test_columns_that_the_source_lacks_or_the_study_does_not_name_are_told_with_what_they_were() -> None:
    found = source_changed(SCHEMA, ["ward"], ["age", "record"])
    assert [tuple(one.values()) for one in found.evidence["differences"]] == [
        ("ward", None, "not named by the study"),
        ("age", "numeric", "not in the source"),
        ("record", "declared", "not in the source"),
    ]
    assert "ward is new" in found.sentence
    assert decided([found], GateParams()) == "blocked"


def criteria(**states: str) -> list[Criterion]:
    return [Criterion(name=name, state=state, sentence="") for name, state in states.items()]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("states", "promote", "ask", "keep"),
    [
        ({"schema": "met", "metric": "met"}, "promote", "ask", "keep"),
        ({"schema": "met", "metric": "open"}, "keep", "ask", "keep"),
        ({"metric": "failed", "subgroups": "met"}, "keep", "keep", "keep"),
        ({"metric": "met", "subgroups": "failed"}, "keep", "keep", "keep"),
        ({"schema": "failed", "metric": "met"}, "blocked", "blocked", "blocked"),
        ({"certificate": "failed"}, "blocked", "blocked", "blocked"),
    ],
    ids=["all-met", "open", "worse", "harm", "schema", "certificate"],
)
def test_what_follows(states: dict[str, str], promote: str, ask: str, keep: str) -> None:
    for decision, outcome in (("promote", promote), ("ask", ask), ("keep", keep)):
        assert decided(criteria(**states), GateParams(decision=decision)) == outcome  # type: ignore[arg-type]


def test_groups_are_levels_or_bands() -> None:
    ages = pd.Series([39.0, 40.0, 64.9, 65.0, np.nan])
    assert groups(ages, Column(type="numeric"), (65, 40)).tolist() == [
        "under 40",
        "40 to under 65",
        "40 to under 65",
        "65 and more",
        "unknown",
    ]
    sexes = pd.Series(["f", None, "m"], dtype="str")
    assert groups(sexes, Column(type="categorical"), ()).tolist() == ["f", "unknown", "m"]


def test_harm_to_one_group_is_seen_and_small_groups_are_left_out() -> None:
    """Women's scores become noise; three rows of unknown sex are too few."""
    random = np.random.default_rng(0)
    truth = np.arange(400) % 2
    rows = pd.DataFrame({"sex": np.where(np.arange(400) < 200, "f", "m")})
    rows.loc[:2, "sex"] = None
    good = np.clip(0.5 + 0.4 * (truth - 0.5) + 0.1 * random.normal(size=400), 0, 1)
    harmed = np.where(rows["sex"] == "m", good, random.random(400))

    def entry(score: np.ndarray) -> Entry:
        probability, group = np.column_stack([1 - score, score]), np.arange(400)
        given = {"target": truth, "probability": probability, "group": group, "params": EvaluateParams(resamples=100)}
        found = evaluate(threshold=0.5, classes=["no", "yes"], positive=1, **given)
        return Entry(evaluation=found, target=truth, predicted=probability, group=group)

    params = GateParams(subgroups={"sex": ()})
    found = subgroups_unharmed(entry(good), entry(harmed), "auroc", rows, SCHEMA, params)
    assert found.state == "failed"
    assert "worse off: sex f (" in found.sentence and "sex m" not in found.sentence
    assert "1 of fewer than 20 patients left out" in found.sentence
    assert found.evidence["groups"].keys() == {"sex f", "sex m"}
    assert subgroups_unharmed(entry(good), entry(good), "auroc", rows, SCHEMA, params).state == "met"


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="no metric aurok \\(did you mean auroc\\?\\)"):
        GateParams(metric="aurok")
    with pytest.raises(ValidationError):
        GateParams(margin=-0.1)


def test_every_task_has_a_measure_of_calibration() -> None:
    tasks = (metrics.METRICS, ordinal.METRICS, regression.METRICS, survival.METRICS, forecasting.ALL, multilabel.OWN)
    assert all(set(CALIBRATION) & set(measured) for measured in tasks)

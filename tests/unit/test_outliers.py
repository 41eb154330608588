import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import MedloopError
from contracts.study import Column
from contracts.tables import Schema
from pipelines.impute import ImputeParams, Imputer, apply_impute, fit_impute
from pipelines.outliers import SCORE

SCHEMA = Schema(
    features={**dict.fromkeys(("a", "b", "flag", "score"), Column(type="numeric")), "sex": Column(type="categorical")},
    classes=("no", "yes"),
)
WILD = 1234.5678


def samples(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Two bell-shaped columns, a 0/1 one, and a score that is 0 for three in four."""
    rng = np.random.default_rng(seed)
    table = {
        "@id": [f"r{i:04}" for i in range(rows)],
        "a": rng.normal(50, 10, rows),
        "b": rng.normal(0, 1, rows),
        "flag": rng.integers(0, 2, rows).astype(float),
        "score": np.where(rng.random(rows) < 0.8, 0.0, rng.integers(1, 9, rows)),
        "sex": pd.Series(np.where(rng.random(rows) < 0.5, "f", "m"), dtype="str"),
    }
    return pd.DataFrame(table)


def params(method: str, action: str = "missing", **more: Any) -> ImputeParams:
    return ImputeParams.model_validate({"outliers": method, "outlier_action": action, **more})


def wild(table: pd.DataFrame) -> pd.DataFrame:
    table = table.copy()
    table.loc[3, "a"] = WILD
    return table


@pytest.mark.parametrize("method", ["iqr", "robust_z"])
def test_fences_are_those_of_the_field(method: str) -> None:
    table = samples()
    state = fit_impute(table, SCHEMA, params(method)).outliers
    assert state
    low, middle, high = table["a"].quantile([0.25, 0.5, 0.75])
    mad = (table["a"] - middle).abs().median()
    top = high + 3 * (high - low) if method == "iqr" else middle + 3 * mad / 0.6745
    assert state.fences["a"].high == pytest.approx(top)
    assert set(state.fences) == {"a", "b"}
    assert state.unfenced == ("flag", "score")


def test_an_outlier_becomes_a_gap_and_is_filled() -> None:
    table = wild(samples())
    imputer = fit_impute(table, SCHEMA, params("iqr"))
    assert imputer.outliers
    assert imputer.outliers.fences["a"].beyond == 1
    filled = apply_impute(imputer, table)
    assert filled.loc[3, "a"] == imputer.fills["a"] == table["a"].drop(3).median()
    assert filled.drop(index=3)["a"].equals(table.drop(index=3)["a"])
    shown = fit_impute(table, SCHEMA, params("iqr", indicator_share=0))
    assert apply_impute(shown, table)["a is missing"].sum() == 1


def test_an_outlier_is_clipped_or_flagged() -> None:
    table = wild(samples())
    clipped = fit_impute(table, SCHEMA, params("iqr", "clip"))
    assert clipped.outliers
    assert apply_impute(clipped, table).loc[3, "a"] == clipped.outliers.fences["a"].high
    flagged = fit_impute(table, SCHEMA, params("iqr", "flag"))
    after = apply_impute(flagged, table)
    assert after.loc[3, "a"] == WILD
    assert after["a outlier"].tolist() == [0, 0, 0, 1] + [0] * 396
    assert list(after.columns) == ["@id", *flagged.after.features]


def test_only_the_columns_named_are_judged() -> None:
    state = fit_impute(samples(), SCHEMA, params("iqr", outlier_columns=["b"], columns={"a": "drop"})).outliers
    assert state
    assert set(state.fences) == {"b"}


@pytest.mark.parametrize("method", ["iqr", "robust_z", "isolation_forest"])
def test_what_is_far_off_in_a_row_never_seen_is_told_by_training_rows(method: str) -> None:
    action = "flag" if method == "isolation_forest" else "missing"
    train, test = samples(), samples(6, seed=1)
    test.loc[0, ["a", "b"]] = [-900.0, 40.0]
    imputer = fit_impute(train, SCHEMA, params(method, action))
    after = apply_impute(imputer, test)
    if action == "flag":
        assert after[SCORE].idxmax() == 0
        assert after[SCORE].between(0, 1).all()
    else:
        assert after.loc[0, "a"] == imputer.fills["a"]
    assert after.drop(index=0)["a"].equals(test.drop(index=0)["a"])


def test_an_isolation_forest_finds_rows_that_no_single_column_gives_away() -> None:
    table = samples(1000)
    odd = table.index[:20]
    table.loc[odd, "a"] = 50 + np.where(np.arange(20) % 2, 28, -28)
    table.loc[odd, "b"] = np.where(np.arange(20) % 3, 2.8, -2.8)
    score = apply_impute(fit_impute(table, SCHEMA, params("isolation_forest", "flag")), table)[SCORE]
    rank = score.rank()
    auroc = (rank[odd].sum() - 20 * 21 / 2) / (20 * 980)
    assert auroc > 0.95


@pytest.mark.parametrize(
    ("method", "action"), [("iqr", "clip"), ("robust_z", "missing"), ("iqr", "flag"), ("isolation_forest", "flag")]
)
@settings(max_examples=4)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter_and_the_state_is_plain_json(method: str, action: str, seed: int) -> None:
    table = wild(samples(120, seed=seed % 7))
    table.loc[table.index % 5 == 0, "b"] = np.nan
    imputer = fit_impute(table, SCHEMA, params(method, action))
    shuffled = table.sample(frac=1, random_state=seed)
    assert fit_impute(shuffled, SCHEMA, params(method, action)) == imputer
    after = apply_impute(Imputer.model_validate_json(imputer.model_dump_json()), table)
    pd.testing.assert_frame_equal(apply_impute(imputer, shuffled).sort_index(), after)
    assert after["@id"].equals(table["@id"])
    assert not after.isna().any().any()


def stored(part: Any) -> list[float]:
    parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return [part] if isinstance(part, float) else [number for one in parts for number in stored(one)]


@pytest.mark.parametrize(("method", "action"), [("iqr", "clip"), ("robust_z", "clip"), ("isolation_forest", "flag")])
def test_no_patients_value_is_in_what_was_learnt(method: str, action: str) -> None:
    table = wild(samples())
    imputer = fit_impute(table, SCHEMA, params(method, action))
    state = stored(json.loads(imputer.model_dump_json())["outliers"])
    own = {value for name in "ab" for value in table[name]}
    assert len(state) > 3
    assert not own & set(state)
    if imputer.outliers and imputer.outliers.isolation:
        moved = table.assign(a=table["a"].replace(WILD, 9e9))
        assert fit_impute(moved, SCHEMA, params(method, action)).outliers == imputer.outliers


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"outliers": "isolation_forest"}, "set outlier_action: flag"),
        ({"outliers": "iqr", "outlier_columns": ["aa"]}, "impute.outlier_columns names aa, which is no feature"),
        ({"outliers": "iqr", "outlier_columns": ["sex"]}, "names sex, a column of type categorical"),
        ({"outliers": "isolation_forest", "outlier_action": "flag", "outlier_columns": ["flag"]}, "some spread"),
    ],
)
def test_settings_that_do_not_fit_are_an_error(given: dict[str, Any], message: str) -> None:
    with pytest.raises((MedloopError, ValueError), match=message):
        fit_impute(samples(), SCHEMA, ImputeParams.model_validate(given))


def test_a_column_of_the_name_that_would_be_added_is_an_error() -> None:
    table = samples().rename(columns={"b": "a outlier"})
    features = {"a": Column(type="numeric"), "a outlier": Column(type="numeric")}
    with pytest.raises(MedloopError, match=r"column a outlier has the name of one that impute\.outliers adds"):
        fit_impute(table, Schema(features=features, classes=("no", "yes")), params("iqr", "flag"))

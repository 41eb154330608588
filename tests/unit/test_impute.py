import numpy as np
import pandas as pd
import pytest

from contracts.errors import MedloopError
from contracts.study import Column
from contracts.tables import Schema
from pipelines.fills import MISSING
from pipelines.impute import ImputeParams, Imputer, apply_impute, fit_impute

SCHEMA = Schema(
    features={
        "dose": Column(type="numeric"),
        "weight": Column(type="numeric"),
        "sex": Column(type="categorical"),
        "stage": Column(type="ordinal", levels=("I", "II", "III")),
        "born": Column(type="datetime"),
        "empty": Column(type="numeric"),
    },
    classes=("no", "yes"),
    positive="yes",
)


def train() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "@id": list("abcde"),
            "@group": list("abcde"),
            "@target": [0, 1, 0, 1, 0],
            "dose": [1.0, 2.0, np.nan, 30.0, np.nan],
            "weight": [60.0, 70.0, 80.0, np.nan, 90.0],
            "sex": pd.Series(["f", "f", None, "m", "f"], dtype="str"),
            "stage": pd.Series(["I", "III", "III", None, "II"], dtype="str"),
            "born": pd.to_datetime(["1950-01-01", None, "1960-01-01", "1980-01-01", None]).astype("datetime64[us]"),
            "empty": np.full(5, np.nan),
        }
    )


def filled(params: ImputeParams) -> tuple[Imputer, pd.DataFrame]:
    imputer = fit_impute(train(), SCHEMA, params)
    return imputer, apply_impute(imputer, train())


def test_defaults_fill_by_type_and_show_the_gaps() -> None:
    imputer, table = filled(ImputeParams())
    assert table["dose"].tolist() == [1, 2, 2, 30, 2]
    assert table["weight"].iloc[3] == 75
    assert table["sex"].iloc[2] == MISSING
    assert table["stage"].iloc[3] == "II"
    assert table["born"].iloc[1] == pd.Timestamp("1960-01-01")
    assert imputer.dropped == {"empty": "no value in the training rows"}
    assert table["dose is missing"].tolist() == [0, 0, 1, 0, 1]
    assert list(imputer.after.features) == [name for name in table.columns if not name.startswith("@")]
    assert table["@id"].tolist() == list("abcde")


def test_columns_missing_together_share_an_indicator() -> None:
    imputer, table = filled(ImputeParams())
    # weight and stage have the same gap
    assert imputer.indicators == {"dose is missing": "dose", "weight is missing": "weight", "born is missing": "born"}
    assert "sex is missing" not in table  # its own level shows it


def test_indicators_only_where_gaps_are_frequent_enough_or_wanted() -> None:
    assert list(filled(ImputeParams(indicator_share=0.3))[0].indicators.values()) == ["dose", "born"]
    assert filled(ImputeParams(indicators=False))[0].indicators == {}


def test_settings_choose_the_method_by_type_and_column() -> None:
    params = ImputeParams(numeric="mean", categorical="most_frequent", columns={"weight": "constant"}, constant=-1)
    imputer, table = filled(params)
    assert table["dose"].iloc[2] == 11
    assert table["weight"].iloc[3] == -1
    assert table["sex"].iloc[2] == "f"
    assert imputer.indicators["sex is missing"] == "sex"


def test_columns_with_too_many_gaps_are_deleted_with_the_reason() -> None:
    imputer, table = filled(ImputeParams(drop_above=0.3, columns={"sex": "drop"}))
    assert imputer.dropped["dose"] == "missing in 40.0% of the training rows, above 30.0%"
    assert imputer.dropped["sex"] == "by the settings"
    assert not {"dose", "sex", "dose is missing"} & set(table.columns)


def test_a_gap_that_training_never_had_is_filled_too() -> None:
    imputer = fit_impute(train().fillna({"weight": 50.0}), SCHEMA, ImputeParams())
    new = train().drop(columns=["@target", "@group"]).iloc[[3]].assign(sex=None)
    table = apply_impute(imputer, new)
    assert table["weight"].tolist() == [70.0]
    assert table["sex"].tolist() == [MISSING]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"weigth": "mean"}, r"weigth.*did you mean weight"),
        ({"sex": "mean"}, r"mean does not fill sex.*categorical"),
        ({"stage": "mean"}, "does not fill stage"),
    ],
)
def test_a_method_for_no_column_or_the_wrong_type_is_an_error(columns: dict[str, str], message: str) -> None:
    with pytest.raises(MedloopError, match=message):
        fit_impute(train(), SCHEMA, ImputeParams(columns=columns))


def correlated(rows: int = 400) -> tuple[pd.DataFrame, pd.DataFrame, Schema]:
    """A table of three columns that hang together, the same with a third of the cells gone, and its schema."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(rows, 1))
    whole = 5 + 10 * (hidden + 0.3 * rng.normal(size=(rows, 3)))
    gaps = rng.random(whole.shape) < 1 / 3
    columns = ["a", "b", "c"]
    ids = pd.DataFrame({"@id": [f"r{i}" for i in range(rows)]})
    schema = Schema(features=dict.fromkeys(columns, Column(type="numeric")), classes=("no", "yes"))
    full, holed = (
        pd.concat([ids, pd.DataFrame(v, columns=columns)], axis=1) for v in (whole, np.where(gaps, np.nan, whole))
    )
    return full, holed, schema


def test_regression_comes_far_closer_than_the_median() -> None:
    full, holed, schema = correlated()
    columns = list(schema.features)
    error = {}
    for method in ("median", "regression"):
        imputer = fit_impute(holed[:300], schema, ImputeParams(numeric=method, indicators=False))
        new = apply_impute(imputer, holed[300:])[columns]
        error[method] = np.sqrt(
            ((new - full.loc[300:, columns]) ** 2).to_numpy()[holed.loc[300:, columns].isna()].mean()
        )
    assert error["regression"] < 0.65 * error["median"]


def test_regression_leaves_known_cells_and_other_methods_alone() -> None:
    _, holed, schema = correlated()
    imputer = fit_impute(holed, schema, ImputeParams(numeric="regression", columns={"b": "median"}))
    table = apply_impute(imputer, holed)
    known = holed[list(schema.features)].notna()
    assert table[list(schema.features)].where(known).equals(holed[list(schema.features)])
    assert (table["b"][holed["b"].isna()] == holed["b"].median()).all()
    assert table["a"][holed["a"].isna()].nunique() > 50


@pytest.mark.parametrize("method", ["median", "regression"])
def test_what_was_learnt_survives_json(method: str) -> None:
    imputer, table = filled(ImputeParams(numeric=method))
    again = Imputer.model_validate_json(imputer.model_dump_json())
    assert again == imputer
    pd.testing.assert_frame_equal(apply_impute(again, train()), table)
    assert len(apply_impute(again, train().iloc[:0])) == 0

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from contracts.tables import feature_names
from pipelines.balance import METHODS, BalanceParams, balance


def train(*rows: int) -> pd.DataFrame:
    """So many rows of each class; x spreads around the class's index, flag is 0 or 1."""
    rng = np.random.default_rng(0)
    target = np.repeat(np.arange(len(rows)), rows)
    count = len(target)
    return pd.DataFrame(
        {
            "@id": [f"r{i}" for i in range(count)],
            "@group": [f"p{i // 2}" for i in range(count)],
            "@target": target,
            "x": (10 * target + rng.normal(size=count)).astype(np.float32),
            "y": rng.normal(size=count).astype(np.float32),
            "flag": (np.arange(count) % 2).astype(np.float32),
        }
    )


def test_class_weights_are_equal_by_class_and_1_on_average() -> None:
    table = balance(train(90, 10), BalanceParams(), n_classes=2).table
    assert table["@weight"].mean() == pytest.approx(1)
    assert table.groupby("@target")["@weight"].sum().tolist() == pytest.approx([50, 50])
    assert table["@weight"].dtype == np.float32
    assert table["@origin"].equals(table["@id"])


def test_none_changes_nothing() -> None:
    balanced = balance(train(90, 10), BalanceParams(method="none"), n_classes=2)
    assert (balanced.table["@weight"] == 1).all()
    pd.testing.assert_frame_equal(balanced.table[train(90, 10).columns], train(90, 10))


@pytest.mark.parametrize("method", ["smote", "random_over"])
def test_oversampling_fills_every_class_and_keeps_the_real_rows(method: str) -> None:
    before = train(90, 10, 30)
    balanced = balance(before, BalanceParams(method=method), n_classes=3)
    assert balanced.report.after == {0: 90, 1: 90, 2: 90}
    assert balanced.report.before == {0: 90, 1: 10, 2: 30}
    assert balanced.report.notes == ()
    pd.testing.assert_frame_equal(balanced.table[before.columns].iloc[:130], before)
    assert balanced.table["@id"].is_unique
    assert balanced.table["@id"].iloc[130] == "synthetic-000001"


@pytest.mark.parametrize("method", ["smote", "random_over"])
def test_a_made_row_descends_from_a_row_of_its_class_and_patient(method: str) -> None:
    before = train(90, 10).set_index("@id")
    table = balance(train(90, 10), BalanceParams(method=method), n_classes=2).table
    made = table[table["@origin"] != table["@id"]]
    origin = before.loc[made["@origin"]]
    assert len(made) == 80
    assert (made["@target"].to_numpy() == origin["@target"].to_numpy()).all()
    assert (made["@group"].to_numpy() == origin["@group"].to_numpy()).all()
    assert (made["flag"].to_numpy() == origin["flag"].to_numpy()).all()
    assert made["@origin"].nunique() > 5


def test_random_over_copies_its_origin_whole() -> None:
    before = train(20, 5)
    table = balance(before, BalanceParams(method="random_over"), n_classes=2).table
    origin = before.set_index("@id").loc[table["@origin"], feature_names(before)]
    assert (table[feature_names(before)].to_numpy() == origin.to_numpy()).all()


def test_a_small_class_takes_fewer_neighbours_or_copies_and_the_report_says_so() -> None:
    balanced = balance(train(50, 3, 1), BalanceParams(method="smote"), n_classes=3)
    assert balanced.report.after == {0: 50, 1: 50, 2: 50}
    assert balanced.report.notes == (
        "class 1 has 3 training rows for 5 neighbours: SMOTE with 2 neighbours",
        "class 2 has 1 training rows for 5 neighbours: copies of its only row",
    )


@pytest.mark.parametrize("strategy, after", [(1.0, 90), (0.5, 45), (0.1, 10)])
def test_made_rows_reach_the_share_of_the_largest_class(strategy: float, after: int) -> None:
    report = balance(train(90, 10), BalanceParams(method="smote", strategy=strategy), n_classes=2).report
    assert report.after == {0: 90, 1: after}
    assert report.made == {0: 0, 1: after - 10}


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(ValidationError, match=r"did you mean near_miss_1\?.*smote_tomek"):
        BalanceParams(method="nearmiss1")  # type: ignore[arg-type]


def test_a_table_of_one_class_is_left_as_it_is() -> None:
    for method in METHODS:
        if method not in ("smote_nc", "smote_n"):
            report = balance(train(20), BalanceParams(method=method), n_classes=2).report
            assert report.after == {0: 20, 1: 0}, method


@pytest.mark.parametrize("method", ["smote", "random_over", "random_under", "patient_under"])
def test_the_seed_decides(method: str) -> None:
    def table(seed: int) -> pd.DataFrame:
        return balance(train(90, 10), BalanceParams(method=method, seed=seed), n_classes=2).table

    pd.testing.assert_frame_equal(table(0), table(0))
    assert not table(0).equals(table(1))


def test_a_class_without_rows_has_no_weight() -> None:
    report = balance(train(30, 10), BalanceParams(), n_classes=3).report
    assert report.before == {0: 30, 1: 10, 2: 0}
    assert report.weight == pytest.approx({0: 2 / 3, 1: 2, 2: 0})

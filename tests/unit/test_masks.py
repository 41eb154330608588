import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import MedloopError
from flows.arrays import examples
from pipelines.balance import CLEANINGS, OVER, UNDER, BalanceParams, balance
from tests.unit.test_oversampling import train

MASKS = sorted({*UNDER, *CLEANINGS})


def patients(seed: int) -> pd.DataFrame:
    """Several rows a patient, some of them in both classes."""
    rng = np.random.default_rng(seed)
    table = train(seed, 60, 12)
    return table.assign(**{"@group": [f"p{i}" for i in rng.integers(15, size=72)]})


@pytest.mark.parametrize("method", MASKS)
@settings(max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_a_mask_deletes_nothing_and_changes_nothing(method: str, seed: int) -> None:
    before = train(seed, 40, 12, 25)
    balanced = balance(before, BalanceParams(method=method, seed=seed), n_classes=3)
    real = balanced.table[balanced.table["@origin"] == balanced.table["@id"]]
    pd.testing.assert_frame_equal(real[before.columns], before)
    masked = balanced.table.get("@masked", pd.Series(False, index=balanced.table.index))
    report = balanced.report
    hidden = np.bincount(balanced.table.loc[masked, "@target"], minlength=3).tolist()
    assert list(report.masked.values()) == hidden
    assert all(report.before[i] + report.made[i] - report.masked[i] == report.after[i] for i in range(3))
    assert len(examples(balanced.table, {})) == sum(report.after.values())


@pytest.mark.parametrize("method", sorted(UNDER))
def test_under_sampling_shrinks_larger_classes_to_the_share_asked_for(method: str) -> None:
    for strategy, most in ((1.0, 12), (0.5, 24)):
        after = balance(train(3, 60, 12), BalanceParams(method=method, strategy=strategy), n_classes=2).report.after
        assert after[1] == 12
        assert after[0] == most or (method in ("cluster_under", "near_miss_3") and 0 < after[0] < most)


def test_no_mask_no_column() -> None:
    assert "@masked" not in balance(train(0, 20, 20), BalanceParams(method="random_under"), n_classes=2).table
    assert "@masked" not in balance(train(0, 40, 20), BalanceParams(method="smote"), n_classes=2).table


def test_what_training_is_given_are_the_rows_not_masked() -> None:
    table = balance(train(0, 40, 12), BalanceParams(method="near_miss_1"), n_classes=2).table
    given_rows = examples(table, {})
    shown = table[~table["@masked"]]
    assert given_rows.target is not None and given_rows.weight is not None
    assert given_rows.target.tolist() == shown["@target"].tolist()
    assert (given_rows.table[:, 0] == shown["x0"].to_numpy()).all()
    assert len(given_rows.weight) == 24


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_patient_under_masks_all_rows_of_a_patient_of_a_class_or_none(seed: int) -> None:
    before = patients(seed)
    balanced = balance(before, BalanceParams(method="patient_under", seed=seed), n_classes=2)
    shown = balanced.table.groupby(["@target", "@group"])["@masked"].nunique()
    assert (shown == 1).all()
    largest = int(before[before["@target"] == 0].groupby("@group").size().max())
    assert 12 - largest < balanced.report.after[0] <= max(12, largest)
    mixed = before.sample(frac=1, random_state=seed)
    again = balance(mixed.reset_index(drop=True), BalanceParams(method="patient_under", seed=seed), n_classes=2).table
    assert set(again.loc[again["@masked"], "@id"]) == set(balanced.table.loc[balanced.table["@masked"], "@id"])


def test_cluster_under_keeps_a_row_of_each_cluster() -> None:
    before = train(0, 60, 3).assign(flag=np.float32(0), **{"ward=a": 1, "ward=b": 0, "ward=c": 0})
    common = np.flatnonzero(before["@target"] == 0)
    before.loc[common, "x0"] += np.repeat([0, 100, 200], [40, 15, 5]).astype(np.float32)
    table = balance(before, BalanceParams(method="cluster_under"), n_classes=2).table
    kept = table.loc[~table["@masked"] & (table["@target"] == 0), "x0"]
    assert sorted((kept // 50).tolist()) == [pytest.approx(0, abs=1), pytest.approx(2, abs=1), pytest.approx(4, abs=1)]


def test_a_tomek_link_is_masked_on_the_side_of_the_larger_class() -> None:
    before = train(0, 30, 10).drop(columns=["x1", "x2", "flag", "ward=a", "ward=b", "ward=c"])
    before["x0"] = np.where(before["@target"] == 1, 500, 0) + np.arange(40, dtype=np.float32) ** 1.5
    stray = int(np.flatnonzero(before["@target"] == 0)[0])
    before["x0"] = before["x0"].astype(np.float32)
    before.loc[stray, "x0"] = before.loc[before["@target"] == 1, "x0"].max() + np.float32(0.5)
    table = balance(before, BalanceParams(method="tomek_links"), n_classes=2).table
    assert np.flatnonzero(table["@masked"]).tolist() == [stray]


def test_enn_masks_a_row_among_the_other_class_and_repeated_enn_at_least_those() -> None:
    before = train(2, 80, 20)
    once = balance(before, BalanceParams(method="enn"), n_classes=2).table
    again = balance(before, BalanceParams(method="repeated_enn"), n_classes=2).table
    assert 0 < once["@masked"].sum() < again["@masked"].sum()
    assert (again["@masked"] | ~once["@masked"]).all()
    assert not once.loc[once["@target"] == 1, "@masked"].any()


@pytest.mark.parametrize("method", ["smote_enn", "smote_tomek"])
def test_a_pair_makes_rows_and_then_masks_of_every_class_made_ones_too(method: str) -> None:
    assert method in OVER and method in CLEANINGS
    before = train(4, 120, 30).drop(columns=["flag", "ward=a", "ward=b", "ward=c"])
    balanced = balance(before, BalanceParams(method=method), n_classes=2)
    assert balanced.report.made == {0: 0, 1: 90}
    assert min(balanced.report.masked.values()) > 0
    made = balanced.table["@id"].str.startswith("synthetic")
    assert (balanced.table["@masked"] & made).any()
    plain = balance(before, BalanceParams(method="smote"), n_classes=2).table
    pd.testing.assert_frame_equal(balanced.table.drop(columns="@masked"), plain)


def test_a_mask_that_leaves_nothing_of_a_class_is_an_error() -> None:
    before = train(0, 20, 10)[["@id", "@group", "@target"]]
    knots = np.where(before["@target"] == 1, 0.0, 1.0) + 100 * before.groupby("@target").cumcount() % 1000
    with pytest.raises(MedloopError, match="enn masks every row of class 0"):
        balance(before.assign(x0=knots.astype(np.float32)), BalanceParams(method="enn"), n_classes=2)


def test_near_miss_with_fewer_rows_than_neighbours_says_so() -> None:
    report = balance(train(0, 30, 2), BalanceParams(method="near_miss_1"), n_classes=2).report
    assert report.after == {0: 2, 1: 2}
    assert report.notes == ("the smallest class has 2 training rows for 3 neighbours: near_miss_1 with 2",)

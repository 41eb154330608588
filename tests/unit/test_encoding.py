"""Levels as numbers: an unseen bucket in every encoding, and no row's label in its own feature."""

from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.study import Column
from contracts.tables import Schema, feature_names
from pipelines.encoding import FOLDS, Encoder
from pipelines.normalize import NormalizeParams, fit_normalize
from pipelines.normalizer import Normalizer, apply_normalize

CLASSES = ("low", "middle", "high")


def schema(classes: tuple[str, ...] = ("no", "yes"), positive: str | None = "yes") -> Schema:
    return Schema(features={"site": Column(type="categorical")}, classes=classes, positive=positive)


def table(sites: list[str], labels: list[int], patients: list[str] | None = None) -> pd.DataFrame:
    ids = [f"r{i}" for i in range(len(sites))]
    return pd.DataFrame(
        {"@id": ids, "@group": patients or ids, "@target": labels, "site": pd.Series(sites, dtype="str")}
    )


def ward(rows: int = 120, n_classes: int = 2) -> pd.DataFrame:
    """Two common sites, one rare; three rows a patient."""
    rng = np.random.default_rng(0)
    sites = ["a", "b"] * (rows // 2 - 6) + ["rare"] * 12
    return table(sites, rng.integers(0, n_classes, rows).tolist(), [f"p{i // 3}" for i in range(rows)])


def fit(train: pd.DataFrame, method: Encoder, **settings: object) -> Normalizer:
    params = NormalizeParams.model_validate({"categorical": method, "min_count": 5, **settings})
    return fit_normalize(train, schema(), params)


def numbers(features: pd.DataFrame) -> np.ndarray:
    return features[feature_names(features)].to_numpy(dtype=np.float64)


@pytest.mark.parametrize("method", get_args(Encoder))
def test_rare_missing_and_unseen_levels_are_read_alike(method: Encoder) -> None:
    new = table(["rare", "never seen", "", "a"], [0, 0, 0, 0])
    new.loc[2, "site"] = np.nan
    rare, unseen, missing, common = numbers(apply_normalize(fit(ward(), method), new))
    assert rare.tolist() == unseen.tolist() == missing.tolist() != common.tolist()


@pytest.mark.parametrize("method", get_args(Encoder))
def test_a_level_of_few_patients_is_nowhere_in_the_state(method: Encoder) -> None:
    """`rare` has 12 rows of 4 patients."""
    assert "rare" not in fit(ward(), method).model_dump_json()
    assert "rare" in fit(ward().assign(**{"@group": ward()["@id"]}), method).model_dump_json()


def test_indices_begin_at_1_with_the_most_frequent_and_0_is_the_bucket() -> None:
    train = table(["b"] * 20 + ["a"] * 10 + ["rare"], [0, 1] * 15 + [0])
    features = apply_normalize(fit(train, "index"), table(["b", "a", "rare", "new"], [0] * 4))
    assert features["site#index"].tolist() == [1, 2, 0, 0]
    assert features["site#index"].dtype == np.float32


def test_shares_of_new_rows_are_those_of_all_training_rows_smoothed() -> None:
    train = table(["a"] * 20 + ["b"] * 20, [1] * 15 + [0] * 5 + [1] * 5 + [0] * 15)
    features = apply_normalize(fit(train, "target", smoothing=10), table(["a", "b", "new"], [0] * 3))
    assert features["site#share of yes"].tolist() == pytest.approx([20 / 30, 10 / 30, 0.5])


def test_a_rare_bucket_tells_no_label() -> None:
    for label in (0, 1):
        train = table(["a", "b"] * 20 + ["rare"] * 4, [0, 1, 1, 0] * 10 + [label] * 4)
        new = apply_normalize(fit(train, "target"), table(["rare"], [0]))
        assert new["site#share of yes"][0] == pytest.approx(train["@target"].mean())


def test_a_bucket_of_many_patients_has_its_own_share() -> None:
    sites = ["a"] * 30 + [f"rare {i}" for i in range(30)]
    new = apply_normalize(fit(table(sites, [0] * 30 + [1] * 30), "target", smoothing=10), table(["new"], [0]))
    assert new["site#share of yes"][0] == pytest.approx((30 + 5) / 40)


def test_three_classes_give_a_column_a_class_but_the_last() -> None:
    train = ward(n_classes=3)
    params = NormalizeParams(categorical="target", min_count=5, smoothing=1e-9)
    normalizer = fit_normalize(train, schema(CLASSES, None), params)
    features = apply_normalize(normalizer, table(["a"], [0]))
    assert feature_names(features) == ["site#share of low", "site#share of middle"]
    at_a = train.loc[train["site"] == "a", "@target"]
    assert numbers(features)[0].tolist() == pytest.approx([(at_a == 0).mean(), (at_a == 1).mean()])


@given(st.integers(0, 119))
def test_no_patients_label_reaches_their_own_feature(row: int) -> None:
    train, changed = ward(), ward()
    changed.loc[row, "@target"] = 1 - changed.loc[row, "@target"]
    before, after = (apply_normalize(fit(t, "target"), t, training=True) for t in (train, changed))
    own = (train["@group"] == train.loc[row, "@group"]).to_numpy()
    assert (numbers(before)[own] == numbers(after)[own]).all()
    assert (numbers(before)[~own] != numbers(after)[~own]).any()


def test_a_level_that_says_nothing_stays_useless_in_training() -> None:
    """Fitted and read on the same rows, 60 levels of 5 rows each would seem to tell the label."""
    rng = np.random.default_rng(0)
    train = table([f"s{i % 60}" for i in range(300)], rng.integers(0, 2, 300).tolist())
    normalizer = fit(train, "target", smoothing=1)
    naive, crossed = (apply_normalize(normalizer, train, training=t)["site#share of yes"] for t in (False, True))
    assert naive.corr(train["@target"]) > 0.3
    assert crossed.corr(train["@target"]) < 0.1


def test_a_new_row_of_a_training_patients_name_is_read_against_all_rows() -> None:
    normalizer, new = fit(ward(), "target"), ward()
    whole = numbers(apply_normalize(normalizer, new))
    assert len(np.unique(whole)) == 3
    assert len(np.unique(numbers(apply_normalize(normalizer, new, training=True)))) > 3
    assert (whole == numbers(apply_normalize(normalizer, new.drop(columns=["@target", "@group"])))).all()


@pytest.mark.parametrize("patients", [1, 2, FOLDS])
def test_few_patients_are_no_fault(patients: int) -> None:
    train = table(["a", "b"] * 20, [0, 1] * 20, [f"p{i % patients}" for i in range(40)])
    assert np.isfinite(numbers(apply_normalize(fit(train, "target"), train, training=True))).all()

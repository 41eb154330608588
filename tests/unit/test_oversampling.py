import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import MedloopError
from contracts.tables import feature_names
from pipelines.balance import Balanced, BalanceParams, balance
from pipelines.nominal import coded, decoded, nominal_groups
from pipelines.oversampling import places_of

LEVELS = ["ward=a", "ward=b", "ward=c"]


def train(seed: int, *rows: int, numbers: int = 3) -> pd.DataFrame:
    """Overlapping classes; numbers, a flag and a one-hot group."""
    rng = np.random.default_rng(seed)
    target = rng.permutation(np.repeat(np.arange(len(rows)), rows))
    ids = np.arange(len(target)).astype(str)
    table = pd.DataFrame({"@id": np.char.add("r", ids), "@group": np.char.add("p", ids), "@target": target})
    for name in range(numbers):
        table[f"x{name}"] = (rng.normal(size=len(target)) + target).astype(np.float32)
    table["flag"] = rng.integers(2, size=len(target)).astype(np.float32)
    table[LEVELS] = np.eye(3, dtype=np.float32)[rng.integers(3, size=len(target))]
    return table


def pairs(before: pd.DataFrame, balanced: Balanced) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The made rows, and beside each the row that it says it descends from."""
    made = balanced.table[balanced.table["@origin"] != balanced.table["@id"]]
    return made, before.set_index("@id").loc[made["@origin"]].reset_index()


def neighbours(before: pd.DataFrame, origin: pd.Series, names: list[str], k: int) -> np.ndarray:
    """The origin's k nearest rows of its class."""
    rows = before[(before["@target"] == origin["@target"]) & (before["@id"] != origin["@id"])]
    apart = rows[names].to_numpy(dtype=float) - origin[names].to_numpy(dtype=float)
    return rows[names].to_numpy(dtype=float)[np.argsort((apart**2).sum(axis=1), kind="stable")[:k]]


def steps(made: np.ndarray, start: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """How far on the way from `start` to each of `ends` the made row is, NaN where it is beside the line."""
    way, gone = ends - start, made - start
    step = way @ gone / (way**2).sum(axis=1)
    beside = np.abs(step[:, None] * way - gone).max(axis=1)
    return np.where(beside < 1e-4, step, np.nan)


@pytest.mark.parametrize("method", ["smote", "borderline_smote", "svm_smote", "adasyn"])
@settings(max_examples=8)
@given(seed=st.integers(0, 10_000), rare=st.integers(8, 20))
def test_a_made_row_lies_between_its_origin_and_a_neighbour_of_its_class(method: str, seed: int, rare: int) -> None:
    before = train(seed, 28, rare, 24)
    balanced = balance(before, BalanceParams(method=method, seed=seed), n_classes=3)
    made, origins = pairs(before, balanced)
    names = feature_names(before)
    numbers, low = ["x0", "x1", "x2"], -0.5 if method == "svm_smote" else 0.0
    assert len(made)
    assert (made[["@group", "@target"]].to_numpy() == origins[["@group", "@target"]].to_numpy()).all()
    for (_, row), (_, origin) in zip(made.iterrows(), origins.iterrows(), strict=True):
        near = neighbours(before, origin, names, 5)[:, :3]
        step = steps(row[numbers].to_numpy(dtype=float), origin[numbers].to_numpy(dtype=float), near)
        assert ((step > low - 1e-4) & (step < 1 + 1e-4)).any()
        assert (row[["flag", *LEVELS]] == origin[["flag", *LEVELS]]).all()


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000), rare=st.integers(8, 20))
def test_smote_nc_takes_numbers_between_and_categories_from_its_class(seed: int, rare: int) -> None:
    before = train(seed, 28, rare, 24)
    made, origins = pairs(before, balance(before, BalanceParams(method="smote_nc", seed=seed), n_classes=3))
    assert len(made) == 32 - rare
    assert (made[LEVELS].sum(axis=1) == 1).all()
    assert made[[*LEVELS, "flag"]].isin((0, 1)).all(axis=None)
    numbers = ["x0", "x1", "x2"]
    for (_, row), (_, origin) in zip(made.iterrows(), origins.iterrows(), strict=True):
        ends = neighbours(before, origin, numbers, len(before))
        step = steps(row[numbers].to_numpy(dtype=float), origin[numbers].to_numpy(dtype=float), ends)
        assert ((step > -1e-4) & (step < 1 + 1e-4)).any()


def test_smote_nc_takes_what_most_neighbours_hold() -> None:
    before = train(0, 40, 8)
    before.loc[before["@target"] == 1, "flag"] = np.array([0, 1, 1, 1, 1, 1, 1, 1], dtype=np.float32)
    made, origins = pairs(before, balance(before, BalanceParams(method="smote_nc"), n_classes=2))
    assert (made["flag"] == 1).all()
    assert (origins["flag"] == 0).any()


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_smote_n_makes_of_one_origin_always_the_same_row(seed: int) -> None:
    before = train(seed, 60, 12, numbers=0).assign(**{f"f{i}": np.float32(0) for i in range(4)})
    for i in range(4):
        before[f"f{i}"] = np.random.default_rng([seed, i]).integers(2, size=72).astype(np.float32)
    made, origins = pairs(before, balance(before, BalanceParams(method="smote_n", seed=seed), n_classes=2))
    assert len(made) == 48
    assert (origins["@target"] == 1).all()
    assert len(made.drop_duplicates(["@origin", *feature_names(before)])) == made["@origin"].nunique()
    assert (made[LEVELS].sum(axis=1) == 1).all()


def test_methods_for_categories_refuse_other_features_and_name_the_one_that_fits() -> None:
    plain = train(0, 40, 10).drop(columns=["flag", *LEVELS])
    for method, table, mend in (
        ("smote_n", train(0, 40, 10), "smote_nc"),
        ("smote_nc", train(0, 40, 10, numbers=0), "smote_n"),
        ("smote_nc", plain, "smote"),
    ):
        with pytest.raises(MedloopError) as error:
            balance(table, BalanceParams(method=method), n_classes=2)
        assert error.value.mend == f"balance.method: {mend}"


@pytest.mark.parametrize("method", ["smote", "smote_nc", "borderline_smote", "svm_smote", "adasyn"])
def test_too_few_rows_take_fewer_neighbours_then_copies(method: str) -> None:
    before = train(1, 30, 3, 1)
    balanced = balance(before, BalanceParams(method=method), n_classes=3)
    assert balanced.report.notes[0].endswith("SMOTE with 2 neighbours")
    assert balanced.report.made[2] == 29
    made, origins = pairs(before, balanced)
    names = feature_names(before)
    copies = (made["@target"] == 2).to_numpy()
    assert (made[names].to_numpy()[copies] == origins[names].to_numpy()[copies]).all()


@pytest.mark.parametrize("method", ["borderline_smote", "svm_smote", "adasyn"])
def test_where_no_other_class_is_close_every_size_is_still_reached_or_told(method: str) -> None:
    before = train(0, 60, 15)
    before["x0"] += 1000 * before["@target"].to_numpy(dtype=np.float32)
    balanced = balance(before, BalanceParams(method=method), n_classes=2)
    assert balanced.report.made[1] == 45 or "made" in balanced.report.notes[-1]
    if method != "svm_smote":
        assert balanced.report.notes == (f"class 1: {method} finds no row close to another class: plain SMOTE",)


def test_levels_written_as_numbers_are_not_mixed() -> None:
    before = train(0, 40, 10)
    before["drug"] = np.random.default_rng(0).integers(4, size=50).astype(np.float32)
    for method in ("smote", "smote_nc"):
        mixed = balance(before, BalanceParams(method=method), n_classes=2, numbered=["drug"]).table
        assert mixed["drug"].isin(range(4)).all()
    assert not balance(before, BalanceParams(method="smote"), n_classes=2).table["drug"].isin(range(4)).all()


def test_levels_written_as_a_mean_of_the_label_are_numbers() -> None:
    features = np.array([[0.25], [0.5], [1]], dtype=np.float32)
    assert nominal_groups(features, ["drug"], ["drug"]) == []
    assert len(nominal_groups(np.arange(3, dtype=np.float32)[:, None], ["drug"], ["drug"])) == 1


def test_groups_are_found_and_coding_loses_nothing() -> None:
    table = train(0, 20, 10).assign(**{"a=1": np.float32(1), "a=2": np.float32(1)})
    names = feature_names(table)
    features = table[names].to_numpy(dtype=np.float32)
    groups = nominal_groups(features, names)
    assert [[names[place] for place in group] for group in groups] == [["flag"], LEVELS, ["a=1"], ["a=2"]]
    codes = coded(features, groups)
    assert codes.shape == (30, 3 + 4)
    assert (decoded(codes, groups, len(names)) == features).all()


def test_places_of_rows() -> None:
    whole = np.array([[1, 2], [3, 4], [1, 2], [5, 6]], dtype=np.float32)
    assert places_of(whole[[3, 2, 1]], whole).tolist() == [3, 0, 1]

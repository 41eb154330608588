import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.near_copies import near_copies

PART = pd.Series(np.repeat(["train", "test"], [300, 100]))


def patients(columns: int = 24, seed: int = 0) -> pd.DataFrame:
    """Numbers of three decimals, counts, levels, dates, and a tenth of the cells missing."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({f"n{i}": rng.normal(100, 20, 400).round(3) for i in range(columns // 2)})
    for i in range(columns // 4):
        table[f"c{i}"] = rng.poisson(10, 400).astype(float)
        table[f"l{i}"] = rng.choice(["a", "b", "c"], 400)
    table["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1000, 400), unit="D")
    return table.mask(rng.random(table.shape) < 0.1)


@given(st.integers(0, 2**32 - 1), st.integers(1, 2))
@settings(max_examples=25)
def test_a_copy_with_one_or_two_other_cells_is_found_and_nothing_else(seed: int, cells: int) -> None:
    table = patients(seed=seed)
    table.iloc[350] = table.iloc[7]
    for name in np.random.default_rng(seed).choice(table.columns[:12], cells, replace=False):
        table.loc[350, name] = 1000.5
    assert near_copies(table, PART).tolist() == [[7, 350]]


@pytest.mark.parametrize("decimals", [0, 1, 2])
def test_rounded_copies_are_found_and_nothing_else(decimals: int) -> None:
    table = patients()
    numbers = [name for name in table if name.startswith("n")]
    for row in range(100):
        table.loc[300 + row] = table.loc[row]
    table.loc[300:, numbers] = table.loc[300:, numbers].round(decimals)
    found = near_copies(table, PART)
    assert (found[:, 1] - found[:, 0] == 300).all()
    assert len(found) >= 90


def test_three_other_cells_are_another_patient() -> None:
    table = patients()
    table.iloc[350] = table.iloc[7]
    table.loc[350, ["n0", "n1", "n2"]] = [1.5, 2.5, 3.5]
    assert len(near_copies(table, PART)) == 0


def test_near_copies_within_a_part_are_no_matter() -> None:
    table = patients()
    table.iloc[8] = table.iloc[7]
    table.loc[8, "n0"] = 1.5
    assert len(near_copies(table, PART)) == 0


@pytest.mark.parametrize("what", ["coarse", "empty", "few columns"])
def test_where_chance_explains_it_nothing_is_found(what: str) -> None:
    table = patients()
    if what == "coarse":
        table = table[[name for name in table if name.startswith(("c", "l"))]].iloc[:, :4]
    if what == "empty":
        table.iloc[[7, 350], 3:] = np.nan
    if what == "few columns":
        table = table[["n0", "n1"]].round(0)
    assert len(near_copies(table, PART)) == 0


def test_no_rows_and_no_columns() -> None:
    assert near_copies(patients().iloc[:0], PART[:0]).shape == (0, 2)
    assert near_copies(pd.DataFrame(index=range(400)), PART).shape == (0, 2)

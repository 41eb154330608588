"""Equal rows are copies when nothing else explains them: neither few coarse columns nor columns that go together."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from pipelines.copies import repeated, too_rare_for_chance
from pipelines.table import Held, Table


def alike(rows: pd.DataFrame) -> np.ndarray:
    return rows.duplicated(keep=False).to_numpy()


def test_a_copy_among_many_measurements_is_one() -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 12)).round(2))
    table.iloc[17] = table.iloc[203]
    assert np.flatnonzero(too_rare_for_chance(table, alike(table))).tolist() == [17, 203]


def test_few_coarse_columns_are_equal_by_chance() -> None:
    table = pd.DataFrame(np.random.default_rng(0).integers(0, 4, (300, 3)))
    assert alike(table).any()
    assert not too_rare_for_chance(table, alike(table)).any()


def test_settings_of_one_device_go_together_and_prove_nothing() -> None:
    rng = np.random.default_rng(0)
    device = rng.integers(0, 60, 2000)
    settings = rng.integers(0, 1000, (60, 10))[device]  # ten columns that say one thing
    table = pd.DataFrame(settings).assign(age=rng.integers(20, 90, 2000))
    assert alike(table).any()
    assert not too_rare_for_chance(table, alike(table)).any()
    table["note"] = rng.integers(0, 10**6, 2000)
    table.iloc[5] = table.iloc[900]
    assert np.flatnonzero(too_rare_for_chance(table, alike(table))).tolist() == [5, 900]


@given(st.lists(st.tuples(*[st.sampled_from(["", "a", "b", "é"])] * 3), min_size=1, max_size=40))
def test_rows_are_repeated_where_every_cell_is(cells: list[tuple[str, ...]]) -> None:
    table = pd.DataFrame(cells, dtype="str")
    blocks = Table(tuple(Held(table[at : at + 7]) for at in range(0, len(table), 7)))
    assert repeated(blocks, list(table)).tolist() == table.duplicated().tolist()


def test_rows_that_differ_in_a_cell_like_no_copy_explain_one() -> None:
    table = pd.DataFrame(dict.fromkeys(range(13), np.repeat(np.arange(10), 100)))
    table[13] = np.maximum(np.arange(1000), 1)  # the first two rows are equal, as many could have been
    assert np.flatnonzero(table.duplicated()).tolist() == [1]
    assert not too_rare_for_chance(table, table.duplicated().to_numpy()).any()

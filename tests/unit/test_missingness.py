import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from contracts.study import Column
from contracts.tables import Schema
from pipelines.mcar import little
from pipelines.missingness import missingness
from pipelines.missingness_page import missingness_page

NAMES = ["a", "b", "c", "d"]


def schema(names: list[str]) -> Schema:
    return Schema(features=dict.fromkeys(names, Column(type="numeric")), classes=("no", "yes"))


def table(values: np.ndarray, gaps: np.ndarray, names: list[str] = NAMES) -> pd.DataFrame:
    holed = pd.DataFrame(np.where(gaps, np.nan, values), columns=names)
    return pd.concat([pd.DataFrame({"@id": [f"r{i}" for i in range(len(holed))]}), holed], axis=1)


def simulated(seed: int, *, at_random: bool, rows: int = 300) -> pd.DataFrame:
    """Four skewed columns that hang together, with gaps by chance, or where the first is high."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, 1)) + rng.normal(size=(rows, 4))
    gaps = rng.random((rows, 4)) < 0.2
    if not at_random:
        gaps[:, 0] = False
        gaps[:, 1] = rng.random(rows) < 1 / (1 + np.exp(1.3 - 0.7 * values[:, 0]))
    return table(np.exp(values), gaps)


def test_littles_test_keeps_its_level_and_has_power() -> None:
    by_chance = [little(simulated(seed, at_random=True), NAMES).p or 0 for seed in range(150)]
    assert 0.01 <= np.mean([p < 0.05 for p in by_chance]) <= 0.11
    assert 0.4 < np.mean(by_chance) < 0.6
    not_by_chance = [little(simulated(seed, at_random=False), NAMES).p or 0 for seed in range(20)]
    assert np.mean([p < 0.05 for p in not_by_chance]) > 0.9


def test_two_patterns_give_hotellings_statistic() -> None:
    """With y known for some and x for all, Little's statistic compares the mean of x in both groups."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 400))
    gap = np.arange(400) < 150
    found = little(table(np.column_stack([x, y]), np.column_stack([gap & False, gap]), ["x", "y"]), ["x", "y"])
    scores = ndtri((pd.Series(x).rank() - 0.5) / 400)
    z2 = (scores[gap].mean() - scores[~gap].mean()) ** 2 / (scores.var() * (1 / 150 + 1 / 250))
    assert found.freedom == 1
    assert found.statistic == pytest.approx(z2, rel=0.02)


def test_a_patients_rows_count_once_in_the_test() -> None:
    once = simulated(5, at_random=True).assign(**{"@group": lambda t: t["@id"]})
    thrice = pd.concat([once.assign(**{"@id": once["@id"] + suffix}) for suffix in ("", "-2", "-3")])
    assert missingness(thrice, schema(NAMES)).little == missingness(once, schema(NAMES)).little


def test_a_large_table_is_tested_on_some_of_its_rows_whatever_their_order() -> None:
    large = simulated(0, at_random=True, rows=6000)
    found = little(large, NAMES)
    last = large.sort_values("@id", key=lambda ids: pd.util.hash_array(ids.to_numpy(dtype=object)))[5000:].index
    changed = large.assign(a=large["a"].where(~large.index.isin(last)))
    assert little(changed, NAMES) == found


def test_no_answer_comes_with_its_reason() -> None:
    whole = table(np.random.default_rng(0).normal(size=(50, 4)), np.zeros((50, 4), dtype=bool))
    assert "two numeric columns" in little(whole, NAMES).reason
    assert "two numeric columns" in little(whole, []).reason
    few = whole[:10].assign(a=np.nan, b=[np.nan, *range(9)])
    assert "fewer than 30 rows" in little(few, NAMES).reason


def pattern() -> pd.DataFrame:
    """20 rows: a and b missing together in 8, c where they are not in 6, d in one row."""
    gaps = np.zeros((20, 4), dtype=bool)
    gaps[:8, :2] = True
    gaps[8:14, 2] = True
    gaps[19, 3] = True
    return table(np.random.default_rng(0).normal(size=(20, 4)) + 7777, gaps)


def test_shares_patterns_and_columns_that_go_missing_together() -> None:
    found = missingness(pattern(), schema(NAMES))
    assert found.shares == {"a": 0.4, "b": 0.4, "c": 0.3, "d": 0.05}
    assert [(block.columns, block.share) for block in found.blocks] == [
        (("a", "b"), 0.4),
        (("c",), 0.3),
        (("d",), 0.05),
    ]
    # the pattern of the one row without d is not told
    assert [(p.columns, p.rows) for p in found.patterns] == [(("a", "b"), 8), (("c",), 6), ((), 5)]
    assert (found.complete, found.distinct) == (5, 4)
    assert found.worst == ("a", "c")
    assert found.pairs[0].correlation == round(-np.sqrt(0.4 * 0.3 / (0.6 * 0.7)), 3)


def test_the_order_of_rows_does_not_matter() -> None:
    found = missingness(simulated(3, at_random=True), schema(NAMES))
    assert missingness(simulated(3, at_random=True).sample(frac=1, random_state=0), schema(NAMES)) == found


def test_the_page_is_whole_offline_the_same_and_free_of_values() -> None:
    text = missingness_page(missingness(pattern(), schema(NAMES)), "A <study>")
    assert text == missingness_page(missingness(pattern(), schema(NAMES)), "A <study>")
    own = text.split("</script>", 1)[1]
    assert "A &lt;study&gt;" in own
    assert "28.7% of the cells are missing, in 4 of 4 columns; 5 of 20 rows" in own
    assert "777" not in own
    assert 'src="http' not in text


def test_a_table_without_gaps_and_one_of_hundreds_of_columns_have_a_page() -> None:
    whole = table(np.ones((40, 4)), np.zeros((40, 4), dtype=bool))
    assert "No cell is missing." in missingness_page(missingness(whole, schema(NAMES)), "t")
    rng = np.random.default_rng(0)
    names = [f"column-{i}" for i in range(300)]
    wide = table(rng.normal(size=(60, 300)), rng.random((60, 300)) < rng.random(300), names)
    found = missingness(wide, schema(names))
    assert len(found.worst) <= 40
    own = missingness_page(found, "t").split("</script>", 1)[1]
    assert len(own) < 150_000
    assert "the 40 with the most gaps of" in own
    empty = missingness_page(missingness(whole[:0], schema(NAMES)), "t")
    assert "No cell is missing." in empty

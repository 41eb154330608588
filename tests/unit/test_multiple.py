import numpy as np
import pandas as pd
import pytest

from contracts.errors import MedloopError
from contracts.study import Column
from contracts.tables import Schema
from pipelines.impute import ImputeParams
from pipelines.multiple import complete, pool

SCHEMA = Schema(features=dict.fromkeys(("x", "y"), Column(type="numeric")), classes=("no", "yes"))


def with_moments(mean: float, between: float) -> list[float]:
    """Five numbers of this mean and variance."""
    shape = np.array([-2.0, -1, 0, 1, 2])
    return (mean + shape / shape.std(ddof=1) * np.sqrt(between)).tolist()


@pytest.mark.parametrize(
    ("estimate", "within", "between", "total", "freedom", "increase"),
    [
        # What mice 3 prints for lm(Temp ~ Ozone + Solar.R + Wind) on R's airquality, m = 5, dfcom = 148.
        (72.55796363, 6.595501e00, 0.5750036463, 7.285505e00, 101.97555, 0.1046174),
        (0.16081480, 4.935193e-04, 0.0001610921, 6.868298e-04, 34.09063, 0.3916979),
        (-0.33902052, 3.904917e-02, 0.0045108400, 4.446218e-02, 86.94099, 0.1386203),
    ],
)
def test_rubins_rules_give_what_mice_gives(
    estimate: float, within: float, between: float, total: float, freedom: float, increase: float
) -> None:
    pooled = pool(with_moments(estimate, between), [within] * 5, freedom=148)
    assert pooled.estimate == pytest.approx(estimate)
    assert pooled.variance == pytest.approx(total, rel=1e-6)
    assert pooled.increase == pytest.approx(increase, rel=1e-5)
    assert pooled.freedom == pytest.approx(freedom, rel=1e-5)


def test_without_a_limit_the_degrees_of_freedom_are_rubins_own() -> None:
    pooled = pool([1.0, 3.0], [2.0, 2.0])
    # within 2, between 2, total 2 + 1.5 · 2 = 5; (m - 1)(total / added)² = (5 / 3)²
    assert (pooled.variance, pooled.freedom) == (5.0, pytest.approx(25 / 9))
    assert pooled.interval()[1] - 2 == pytest.approx(np.sqrt(5) * 3.333, rel=0.01)  # t of 2.78 degrees: 3.33


def test_data_sets_that_agree_add_no_doubt() -> None:
    assert pool([1.0, 1.0], [4.0, 4.0]).freedom is None
    assert pool([1.0, 1.0], [4.0, 4.0]).interval() == (
        pytest.approx(1 - 1.96 * 2, abs=1e-3),
        pytest.approx(4.92, abs=1e-3),
    )
    # (149 / 151) · 148
    assert pool([1.0, 1.0], [4.0, 4.0], freedom=148).freedom == pytest.approx(146.04, abs=0.01)


@pytest.mark.parametrize(("q", "u"), [([1.0], [1.0]), ([1.0, 2.0], [1.0]), ([1.0, 2.0], [1.0, -1.0])])
def test_too_few_or_impossible_answers_are_an_error(q: list[float], u: list[float]) -> None:
    with pytest.raises(MedloopError, match="two estimates or more"):
        pool(q, u)


def holed(seed: int, rows: int = 150) -> pd.DataFrame:
    """y = x + noise, true mean 0; y goes missing mostly where x is high, so that what is left is too low."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    y = x + rng.normal(size=rows)
    y[rng.random(rows) < 1 / (1 + np.exp(-2 * x))] = np.nan
    return pd.DataFrame({"@id": [f"{seed}-{i}" for i in range(rows)], "x": x, "y": y})


def test_intervals_pooled_over_completed_sets_hold_the_truth_as_often_as_they_say() -> None:
    params = ImputeParams(numeric="mice", indicators=False)
    covered = naive = 0
    for seed in range(30):
        table = holed(seed)
        sets = complete(table, table, SCHEMA, params, m=5)
        means, variances = [t["y"].mean() for t in sets], [t["y"].var() / len(t) for t in sets]
        low, high = pool(means, variances, freedom=len(table) - 1).interval()
        covered += low < 0 < high
        known = table["y"].dropna()
        naive += abs(known.mean()) < 1.96 * known.std() / np.sqrt(len(known))
    assert covered >= 25  # of 30, at 95 %: fewer has a chance of 1 in 300
    assert naive < 10


def test_each_set_is_drawn_anew_and_none_is_pooled_without_draws() -> None:
    table = holed(1)
    first, second = complete(table, table, SCHEMA, ImputeParams(columns={"y": "mice"}), m=2)
    gaps = table["y"].isna()
    assert (first["y"][gaps] != second["y"][gaps]).all()
    assert first["y"][~gaps].equals(second["y"][~gaps])
    with pytest.raises(MedloopError, match="no column is filled by mice"):
        complete(table, table, SCHEMA, ImputeParams(), m=2)

import numpy as np
import pandas as pd
import pytest

from contracts.study import Column
from contracts.tables import Schema
from pipelines.gap_costs import gap_costs
from pipelines.impute import ImputeParams
from pipelines.missingness import missingness
from pipelines.missingness_page import missingness_page

SCHEMA = Schema(
    features=dict.fromkeys(("x", "y", "noise", "whole"), Column(type="numeric")), classes=("no", "yes"), positive="yes"
)
PARAMS = ImputeParams(numeric="mice", datasets=5)


def samples(rows: int = 600, seed: int = 0) -> pd.DataFrame:
    """y hangs on x, and is missing where x is high; x and y tell the label; noise tells nothing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    y = 2 * x + 0.5 * rng.normal(size=rows) + 10
    target = (rng.random(rows) < 1 / (1 + np.exp(-x))).astype(int)
    table = pd.DataFrame({"@id": [f"r{i:04}" for i in range(rows)], "x": x, "y": y, "@target": target})
    table = table.assign(noise=rng.normal(size=rows), whole=x, **{"@group": table["@id"]})
    table["y"] = table["y"].mask(rng.random(rows) < 1 / (1 + np.exp(-2 * x)))
    return table.assign(noise=table["noise"].mask(rng.random(rows) < 0.5))


def test_pooling_puts_right_what_the_gaps_shift_and_says_what_they_cost() -> None:
    costs = {cost.column: cost for cost in gap_costs(samples(), SCHEMA, PARAMS)}
    assert set(costs) == {"y", "noise"}
    y, noise = costs["y"].mean, costs["noise"].mean
    assert y.known.high < 9.5
    assert y.pooled.low < 10 < y.pooled.high
    assert y.lost < 0.25  # x tells most of it
    assert 0.3 < noise.lost < 0.8  # half of it is gone, and nothing tells of it
    association = costs["y"].association
    assert association
    assert association.pooled.low > 0
    assert costs["noise"].missing == pytest.approx(0.5, abs=0.06)


def test_the_costliest_comes_first_and_the_order_of_rows_does_not_matter() -> None:
    table = samples()
    costs = gap_costs(table, SCHEMA, PARAMS)
    assert [cost.column for cost in costs] == ["noise", "y"]
    assert gap_costs(table.sample(frac=1, random_state=1), SCHEMA, PARAMS) == costs


def test_rows_of_one_patient_do_not_count_as_many() -> None:
    table = samples(200)
    again = pd.concat([table.assign(**{"@id": f"{k}-" + table["@id"]}) for k in range(4)], ignore_index=True)
    alone, repeated = ({c.column: c for c in gap_costs(t, SCHEMA, PARAMS)}["noise"].mean.known for t in (table, again))
    assert repeated.high - repeated.low == pytest.approx(alone.high - alone.low, rel=0.03)


def test_a_column_that_parts_the_classes_has_no_association() -> None:
    table = samples()
    table["y"] = table["@target"] + table["y"] / 1e6
    costs = {cost.column: cost for cost in gap_costs(table, SCHEMA, PARAMS)}
    assert costs["y"].association is None
    assert costs["noise"].association


def test_one_data_set_costs_nothing_and_draws_are_needed() -> None:
    assert gap_costs(samples(), SCHEMA, ImputeParams(numeric="mice")) == ()
    with pytest.raises(ValueError, match="no column is filled by mice"):
        ImputeParams(datasets=2)


def test_the_page_shows_it_only_where_it_was_asked_for() -> None:
    table = samples()
    found = missingness(table, SCHEMA)
    assert "What the gaps cost" not in missingness_page(found, "S")
    page = missingness_page(found.model_copy(update={"costs": gap_costs(table, SCHEMA, PARAMS)}), "S")
    assert "What the gaps cost" in page
    assert "<td>noise</td>" in page

"""Several kinds of columns in one network."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from contracts.examples import Examples, Inputs
from models.batches import laid_out
from models.family import configured, load
from models.layers.joining import Attention, Concatenate, Gate, thinned
from models.network import Network
from models.params import TrainParams
from models.training import fit
from tests.unit.problems import SMALL, inputs, problem

READS = load("fusion").READS
WAYS = ["concatenate", "gate", "attention"]


def without(rows: Examples, name: str) -> Examples:
    """The same rows, none of which has this payload."""
    of = rows.payloads[name]
    absent = of.take(np.full(len(rows), -1))
    return dataclasses.replace(rows, payloads={**rows.payloads, name: absent})


@pytest.mark.parametrize("way", WAYS)
def test_a_row_that_lacks_a_kind_is_scored_by_the_others(way: str, tmp_path: Path) -> None:
    settings = {**SMALL["fusion"], "join": way, "column_dropout": 0.4}
    model = fit(
        "fusion",
        settings,
        TrainParams(epochs=8, batch_size=32, learning_rate=5e-3),
        inputs=inputs(READS, 2),
        train=problem(READS, 2, 240, seed=1),
        validation=problem(READS, 2, 120, seed=2),
        checkpoints=tmp_path,
        history=lambda row: None,
    )
    new = problem(READS, 2, 120, seed=3)
    for name in new.payloads:
        lacking = without(new, name)
        assert (model.predict(lacking).argmax(axis=1) == new.target).mean() > 0.9, name
        assert (model.predict(lacking) != model.predict(new)).any(), name


def joins(columns: int) -> list[Concatenate | Gate | Attention]:
    torch.manual_seed(0)
    return [Concatenate(columns, 8), Gate(columns, 8), Attention(columns, 8, heads=2, dropout=0.0)]


def test_what_is_not_there_changes_nothing() -> None:
    x, there = torch.randn(5, 3, 8), torch.tensor([[True, False, True]]).expand(5, -1)
    other = x.clone()
    other[:, 1] += 100
    for join in joins(3):
        torch.testing.assert_close(join(x, there), join(other, there))
        assert join(x, there).shape == (5, join.dim_out)
        assert not torch.equal(join(x, there), join(x, torch.ones_like(there)))


def test_a_row_of_nothing_is_embedded_too() -> None:
    for join in joins(2):
        assert torch.isfinite(join(torch.randn(4, 2, 8), torch.zeros(4, 2, dtype=torch.bool))).all()


def test_no_row_loses_all_that_it_has() -> None:
    torch.manual_seed(0)
    there = torch.rand(2000, 3) < 0.6
    left = thinned(there, 0.5)
    assert not (left & ~there).any()
    assert torch.equal(left.any(dim=1), there.any(dim=1))
    assert (left.sum() / there.sum()).item() < 0.75


def test_the_table_is_read_without_figures_of_payloads() -> None:
    study: Inputs = dataclasses.replace(inputs(["image"], 2), figures=["c1", "c4"])
    torch.manual_seed(0)
    network = Network(load("fusion"), study, configured("fusion", SMALL["fusion"])).eval()
    rows = problem(["image"], 2, 6, seed=0)
    changed = rows.table.copy()
    changed[:, [1, 4]] += 5
    batches = [
        laid_out(dataclasses.replace(rows, table=table), study, READS).batch(torch.arange(6))
        for table in (rows.table, changed)
    ]
    torch.testing.assert_close(network(batches[0]), network(batches[1]))


def test_a_study_of_figures_alone_has_no_table() -> None:
    study = dataclasses.replace(inputs(["sequence"], 2), figures=[f"c{i}" for i in range(6)])
    encoder = Network(load("fusion"), study, configured("fusion", SMALL["fusion"])).encoder
    assert encoder.table is None

"""What networks look at: the completeness of gradients, the planted corner, attention that sums to 1."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from contracts.examples import Examples, Inputs
from models.batches import laid_out
from models.explain import MOMENTS, Margin, class_maps, integrated_gradients
from models.explain_attention import attention, flow, rollout
from models.family import configured, load
from models.layers.attention import SelfAttention, visible
from models.network import Network
from models.params import TrainParams
from models.store import Trained
from models.training import fit
from tests.unit.problems import SMALL, inputs, problem, reports


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def untrained(name: str, classes: int = 2, tags: bool = False, **settings: object) -> Trained:
    """A network with its first weights."""
    torch.manual_seed(0)
    family, config = load(name), {**SMALL.get(name, {}), **settings}
    told = inputs(("text",), 2, "tagging") if tags else inputs(family.READS, classes)
    network = Network(family, told, configured(name, config))
    arrays = {key: value.numpy() for key, value in network.state_dict().items()}
    return Trained(
        family=name, config=config, params={}, inputs=told, arrays=arrays, threshold=0.5, facts={}, versions={}
    )


def attributed(trained: Trained, rows: Examples, steps: int = 32):
    assert rows.target is not None
    found = integrated_gradients(trained, rows, np.ones(len(rows), dtype=np.int64), steps=steps)
    assert found is not None
    return found


class Linear(nn.Module):
    """An encoder that hands the table on."""

    dim_out = 6

    def __init__(self, inputs: Inputs, config: object) -> None:
        super().__init__()

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return batch["table"]


def test_gradients_of_a_linear_network_are_its_weights_times_the_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = untrained("mlp")
    weights = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    trained.arrays.clear()
    trained.arrays.update({"head.weight": weights, "head.bias": np.ones(2, np.float32)})
    monkeypatch.setattr(load("mlp"), "Encoder", Linear)
    rows = problem(("table",), 2, 40, seed=1)
    found = attributed(trained, rows)
    expected = (rows.table - rows.table.mean(axis=0)) * (weights[1] - weights[0])
    np.testing.assert_allclose(found.table, expected, atol=1e-5)
    np.testing.assert_allclose(found.gap, 0, atol=1e-5)


@pytest.mark.parametrize("name", ["mlp", "rnn", "transformer", "fusion"])
def test_attributions_add_up_to_the_change(name: str) -> None:
    trained = untrained(name)
    rows = problem(load(name).READS, 2, 12, seed=1)
    found = attributed(trained, rows)
    parts = [found.table.sum(axis=1), *(of.sum(axis=(1, 2)) for of in found.moments.values())]
    parts += [np.bincount(row, weights=of, minlength=12) for row, _, of in found.tokens.values()]
    np.testing.assert_allclose(sum(parts) + found.gap, found.change, atol=1e-5)
    assert np.abs(found.gap).mean() < 0.1 * np.abs(found.change).mean()
    if name != "mlp":
        assert {of.shape for of in found.moments.values()} == {(12, MOMENTS, 3)}
        assert set(found.tokens) == {"text"} & set(rows.payloads)


def test_what_stands_before_an_entity_moves_its_tags_most(tmp_path: Path) -> None:
    params = TrainParams(epochs=8, batch_size=16, learning_rate=1e-2, monitor="f1")
    train, rows = reports(160, seed=1), reports(60, seed=2)
    given = {"inputs": inputs(("text",), 2, "tagging"), "train": train, "validation": rows}
    trained = fit("rnn", SMALL["rnn"], params, **given, checkpoints=tmp_path, history=lambda row: None)
    assert trained.facts["validation_f1"] > 0.8
    found = attributed(trained, rows)
    (_, token, attribution) = found.tokens["text"]
    assert np.abs(found.change[9::10]).max() == 0  # a text without words
    means = {number: attribution[token == number].mean() for number in np.unique(token).tolist()}
    assert set(sorted(means, key=lambda number: -means[number])[:2]) == {2, 3}


@pytest.mark.parametrize("name", ["rnn", "transformer"])
def test_attributions_of_words_add_up_to_the_change_of_their_tags(name: str) -> None:
    found = attributed(untrained(name, tags=True), reports(20, seed=1))
    (row, _, attribution) = found.tokens["text"]
    np.testing.assert_allclose(np.bincount(row, attribution, 20) + found.gap, found.change, atol=1e-4)
    assert np.abs(found.gap).mean() < 0.1 * np.abs(found.change).mean()


def test_every_row_is_explained_alike_alone_and_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    trained, rows = untrained("rnn"), problem(("sequence",), 2, 5, seed=1)
    together = attributed(trained, rows, steps=8)
    monkeypatch.setattr("models.explain.PATHS_AT_ONCE", 1)
    alone = attributed(trained, rows, steps=8)
    np.testing.assert_allclose(alone.moments["sequence"], together.moments["sequence"], atol=1e-5)


def test_class_maps_light_the_corner_that_holds_the_class(tmp_path: Path) -> None:
    train, validation = (problem(("image",), 2, rows, seed=rows) for rows in (160, 60))
    trained = fit(
        "cnn", SMALL["cnn"], TrainParams(epochs=8, batch_size=32, learning_rate=5e-3), inputs=inputs(("image",), 2),
        train=train, validation=validation, checkpoints=tmp_path, history=lambda row: None,
    )  # fmt: skip
    assert validation.target is not None
    assert integrated_gradients(trained, validation, validation.target, steps=4) is None
    at, maps = class_maps(trained, validation, validation.target)["image"]
    assert at.tolist() == list(range(60))
    assert maps.min() >= 0 and maps.max() == 1
    half = maps.shape[2] // 2
    for label in (0, 1):
        mean = maps[validation.target == label].mean(axis=0)
        own, other = (mean[:half, :half], mean[:half, -half:])[:: 1 - 2 * label]
        assert own.mean() > 2 * other.mean()


def test_a_row_without_a_picture_has_no_map() -> None:
    rows = problem(("image",), 2, 6, seed=1)
    rows.payloads["image"].values[2] = 0
    assert rows.target is not None
    at, maps = class_maps(untrained("cnn"), rows, rows.target)["image"]
    assert at.tolist() == [0, 1, 3, 4, 5] and len(maps) == 5


def test_attention_is_told_as_the_kernel_weighs_and_its_rollout_sums_to_one() -> None:
    torch.manual_seed(0)
    layer, x = SelfAttention(8, heads=1), torch.randn(3, 5, 8)
    mask = visible(torch.tensor([[True] * 5, [True, False] * 2 + [True], [True] * 2 + [False] * 3]))
    weights = layer.weights(x, mask)
    value = layer.project(x)[..., 16:]
    assert torch.allclose(layer.out(weights @ value), layer(x, mask), atol=1e-6)
    assert torch.allclose(SelfAttention(8, heads=4).weights(x, mask).sum(dim=2), torch.ones(3, 5), atol=1e-6)
    assert torch.allclose(flow([weights] * 3).sum(dim=1), torch.ones(3), atol=1e-6)


def test_rollout_tells_of_columns_and_of_no_other_network() -> None:
    trained = untrained("transformer")
    rows = problem(load("transformer").READS, 2, 20, seed=1)
    found = rollout(trained, rows)
    assert list(found) == [*trained.inputs.columns, "image", "sequence", "text"]
    total = sum(found.values())
    assert (total > 0).all() and (total < 1).all()
    assert rollout(untrained("transformer", recurrent="gru"), rows) == {}
    assert rollout(untrained("fusion"), rows) == {}
    network = Network(load("transformer"), trained.inputs, configured("transformer", trained.config)).eval()
    weights = attention(network, laid_out(rows, trained.inputs, load("transformer").READS).batch(torch.arange(20)))
    assert len(weights) == 1 and torch.allclose(weights[0].sum(dim=2), torch.ones(()), atol=1e-5)


@pytest.mark.parametrize(("classes", "logits", "expected"), [(2, [1.0, 4.0], 3.0), (3, [1.0, 4.0, 3.0], 2.0)])
def test_a_margin_is_log_odds(classes: int, logits: list[float], expected: float) -> None:
    class Fixed(nn.Module):
        def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            return torch.tensor([logits])

    margin = Margin(Fixed(), ["table"], "classes")  # type: ignore[arg-type]
    assert margin(torch.zeros(1, 1), torch.tensor([1])).tolist() == [expected]

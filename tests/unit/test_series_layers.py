"""Layers over sequences: what pads a row's end, or stands beside it in a batch, changes nothing of the row."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from contracts.examples import Examples, Form, Inputs
from contracts.payloads import ragged
from models.families import cnn1d, cnn_rnn, rnn
from models.layers.recurrent import Attention, Recurrent, backwards
from models.layers.series import framed, mean_and_max
from models.params import TrainParams
from models.training import fit

LENGTH = torch.tensor([13, 1, 0, 8, 29])
FORM = Form(kind="sequence", channels=["a", "b"], longest=64)
ENCODERS: dict[str, Callable[[Inputs], nn.Module]] = {
    "cnn1d": lambda told: cnn1d.Encoder(told, cnn1d.Config(resolution=16)),
    "cnn-rnn": lambda told: cnn_rnn.Encoder(told, cnn_rnn.Config(resolution=16)),
    "cnn-rnn-last": lambda told: cnn_rnn.Encoder(told, cnn_rnn.Config(filters=(8,), cell="gru", pool="last")),
    "rnn": lambda told: rnn.Encoder(told, rnn.Config(layers=2)),
    "rnn-last": lambda told: rnn.Encoder(told, rnn.Config(pool="last", layers=2, resolution=8)),
    "rnn-forward": lambda told: rnn.Encoder(told, rnn.Config(pool="last", bidirectional=False, cell="rnn")),
}


def told(*columns: str) -> Inputs:
    return Inputs(columns=[], classes=["0", "1"], positive=1, payloads=dict.fromkeys(columns, FORM))


def padded(width: int = 2, beyond: int = 0) -> Tensor:
    """Rows of these lengths, zeros beyond them. Shape: (5, 29 + beyond, width)."""
    steps = torch.randn(5, 29 + beyond, width, generator=torch.Generator().manual_seed(1))
    return steps * (torch.arange(29 + beyond) < LENGTH[:, None])[..., None]


def batch(steps: Tensor, length: Tensor, *columns: str) -> dict[str, Tensor]:
    made = {f"sequence/{name}": steps for name in columns}
    return made | {f"length/{name}": length for name in columns}


@pytest.mark.parametrize("name", ENCODERS)
def test_a_row_is_embedded_alike_alone_and_beside_longer_ones(name: str) -> None:
    torch.manual_seed(0)
    encoder = ENCODERS[name](told("x")).eval()
    steps = padded(beyond=40)
    together = encoder(batch(steps, LENGTH, "x"))
    assert together.isfinite().all() and together.shape == (5, encoder.dim_out)
    for row, length in enumerate(LENGTH.tolist()):
        alone = encoder(batch(steps[row : row + 1, : max(length, 1)], LENGTH[row : row + 1], "x"))
        torch.testing.assert_close(together[row], alone[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_column_counts_and_rows_without_steps_train(name: str) -> None:
    torch.manual_seed(0)
    encoder = ENCODERS[name](told("x", "y"))
    steps = padded().requires_grad_()
    embedded = encoder(batch(steps, LENGTH, "x", "y"))
    assert embedded.shape == (5, encoder.dim_out)
    embedded.pow(2).sum().backward()
    assert steps.grad is not None and steps.grad.isfinite().all()
    assert all(weight.grad.isfinite().all() and weight.grad.any() for weight in encoder.parameters())
    empty = encoder(batch(torch.zeros(3, 1, 2), torch.zeros(3, dtype=torch.int64), "x", "y"))
    assert empty.isfinite().all()


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_both_directions_equal_packed_sequences(cell: Any) -> None:
    torch.manual_seed(0)
    ours = Recurrent(2, cell=cell, width=5, layers=2, bidirectional=True, dropout=0.0)
    torchs = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell](
        2, 5, num_layers=2, bidirectional=True, batch_first=True
    )
    weights = {
        f"{key}_l{depth}{'_reverse' * side}": weight
        for side, directions in enumerate((ours.onward, ours.reverse))
        for depth, direction in enumerate(directions)
        for key, weight in ((key.removesuffix("_l0"), weight) for key, weight in direction.named_parameters())
    }
    torchs.load_state_dict(weights)
    rows = LENGTH > 0
    steps, length = padded()[rows], LENGTH[rows]
    packed, hidden = torchs(pack_padded_sequence(steps, length, batch_first=True, enforce_sorted=False))
    expected, _ = pad_packed_sequence(packed, batch_first=True)
    states = ours(steps, length)
    own = (torch.arange(29) < length[:, None])[..., None]
    torch.testing.assert_close(states * own, expected)
    final = hidden[0] if cell == "lstm" else hidden
    torch.testing.assert_close(ours.last(states, length), torch.cat([final[2], final[3]], dim=1))


def test_only_own_steps_are_reversed() -> None:
    steps = torch.arange(8.0).view(2, 4, 1)
    assert backwards(steps, torch.tensor([3, 0]))[..., 0].tolist() == [[2, 1, 0, 3], [4, 5, 6, 7]]


def test_attention_weighs_own_steps_and_sums_to_one() -> None:
    torch.manual_seed(0)
    attention = Attention(2, width=4)
    weights = attention.weights(padded() + 5, LENGTH)
    torch.testing.assert_close(weights.sum(dim=1), (LENGTH > 0).float())
    assert ((weights > 0) == (torch.arange(29) < LENGTH[:, None])).all()
    assert attention(padded() + 5, LENGTH)[2].tolist() == [0, 0]


def test_frames_keep_every_step() -> None:
    frames, length = framed(padded(), LENGTH, 4)
    assert frames.shape == (5, 8, 8) and length.tolist() == [4, 1, 0, 2, 8]
    assert (frames.reshape(5, 32, 2)[:, :29] == padded()).all()


def test_mean_and_maximum_are_of_own_steps() -> None:
    steps = padded() - 9 * (torch.arange(29) < LENGTH[:, None])[..., None]
    pooled = mean_and_max(steps, LENGTH)
    row = steps[3, :8]
    torch.testing.assert_close(pooled[3], torch.cat([row.mean(dim=0), row.amax(dim=0)]))
    assert pooled[2].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "name, settings",
    [
        ("rnn", {"width": 16}),
        ("rnn", {"width": 16, "cell": "rnn", "pool": "last", "bidirectional": False}),
        ("cnn1d", {"filters": [16, 16], "width": 16, "kernel": 5}),
        ("cnn-rnn", {"filters": [16], "width": 16, "kernel": 5}),
    ],
)
def test_learns_what_only_the_order_of_steps_tells(name: str, settings: dict[str, object], tmp_path: Any) -> None:
    """The same two marks in every row; the class is which comes first."""

    def rows(count: int, seed: int) -> Examples:
        random = np.random.default_rng(seed)
        target = np.arange(count) % 2
        pieces = []
        for label in target:
            piece = random.normal(scale=0.1, size=(int(random.integers(6, 14)), 2)).astype(np.float32)
            first, second = np.sort(random.choice(len(piece), 2, replace=False))
            piece[first, label] += 2
            piece[second, 1 - label] += 2
            pieces.append(piece)
        payloads = {"x": ragged(pieces, None, ("a", "b"), like=pieces[0])}
        return Examples(table=np.zeros((count, 0), np.float32), payloads=payloads, target=target)

    model = fit(
        name,
        settings,
        TrainParams(epochs=10, batch_size=32, learning_rate=1e-2, monitor="loss"),
        inputs=told("x"),
        train=rows(320, 1),
        validation=rows(100, 2),
        checkpoints=tmp_path,
        history=lambda row: None,
    )
    new = rows(200, 3)
    assert (model.predict(new).argmax(axis=1) == new.target).mean() > 0.9


@pytest.mark.parametrize(
    "config, said",
    [
        (lambda: cnn1d.Config(kernel=4), "odd"),
        (lambda: cnn1d.Config(filters=()), "filter"),
        (lambda: cnn_rnn.Config(filters=()), "filter"),
        (lambda: cnn_rnn.Config(kernel=2), "odd"),
        (lambda: rnn.Config(layers=0), "layers"),
        (lambda: rnn.Config(dropout=1.0), "dropout"),
    ],
)
def test_settings_that_fit_nothing_are_refused(config: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        config()

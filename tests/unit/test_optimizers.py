"""Optimisers, schedules, penalties and averages, each against what its definition gives."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from models.averages import share_of_epoch, share_of_step, take_over
from models.optimizers import Steps, add_l1, optimizer, share_of_rate
from models.params import TrainParams
from models.shards import load_moments, moments

NAMES = ["adamw", "adam", "sgd", "momentum", "nesterov", "rmsprop", "full_batch"]
SCHEDULES = ["constant", "linear", "cosine", "one_cycle"]


def shares(steps_per_epoch: int = 10, **settings: object) -> list[float]:
    params = TrainParams(epochs=10, **settings)  # type: ignore[arg-type]
    return [share_of_rate(params, step, steps_per_epoch) for step in range(10 * steps_per_epoch)]


@pytest.mark.parametrize("name", NAMES)
def test_matrices_are_decayed_and_biases_are_not(name: str) -> None:
    network = nn.Linear(3, 2)
    network.weight.data.fill_(2.0)
    before = [tensor.detach().clone() for tensor in network.parameters()]
    params = TrainParams(optimizer=name, weight_decay=0.5)  # type: ignore[arg-type]
    taking = optimizer(network, params, 0.1)
    for tensor in network.parameters():
        tensor.grad = torch.zeros_like(tensor)
    taking.step()
    matrix, bias = network.parameters()
    assert (matrix.abs() < before[0].abs()).all()
    assert torch.equal(bias, before[1])


@pytest.mark.parametrize(("name", "second"), [("sgd", 1.0), ("full_batch", 1.0), ("momentum", 1.8), ("nesterov", 2.44)])
def test_two_steps_along_one_gradient(name: str, second: float) -> None:
    """Momentum 0.8 makes the second step 1.8 gradients long; Nesterov's are 1.8 and 1 + 0.8 × 1.8."""
    network = nn.Linear(1, 1, bias=False)
    taking = optimizer(network, TrainParams(optimizer=name, momentum=0.8, weight_decay=0), 0.1)  # type: ignore[arg-type]
    lengths = []
    for _ in range(2):
        before = network.weight.item()
        network.weight.grad = torch.ones(1, 1)
        taking.step()
        lengths.append((before - network.weight.item()) / 0.1)
    assert lengths == pytest.approx([1.8 if name == "nesterov" else 1.0, second], abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_those_of_torch_to_the_bit(name: str) -> None:
    """Also after other moments were loaded, and at a step that reaches not every weight."""
    params = TrainParams(optimizer=name, weight_decay=0.5)  # type: ignore[arg-type]
    networks = [nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3)) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    theirs, taking = (optimizer(network, params, 0.1) for network in networks)
    steps = Steps(taking)
    for number in range(12):
        gradients = [torch.randn_like(tensor) for tensor in networks[0].parameters()]
        steps.begin()
        for network in networks:
            for tensor, gradient in list(zip(network.parameters(), gradients, strict=True))[number == 4 :]:
                tensor.grad = gradient.clone()
        theirs.step()
        theirs.zero_grad()
        steps.take()
        if number == 8:
            load_moments(taking, moments(taking))
    assert all(torch.equal(one, other) for one, other in zip(*(n.parameters() for n in networks), strict=True))
    assert all(torch.equal(moments(theirs)[name], moment) for name, moment in moments(taking).items())


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_end_where_they_say_and_never_exceed_the_rate(schedule: str) -> None:
    found = shares(schedule=schedule, warmup=2)
    assert max(found) == pytest.approx(1, abs=1e-3)
    assert all(0 < share <= 1 for share in found)
    assert found[:20] == sorted(found[:20])
    assert found[20:] == sorted(found[20:], reverse=True)
    assert found[-1] == pytest.approx(1 if schedule == "constant" else 0, abs=0.02)
    assert found == shares(schedule=schedule, warmup=0.2)


def test_schedules_at_known_points() -> None:
    assert shares() == [1.0] * 100
    assert shares(schedule="linear")[50] == 0.5
    assert shares(schedule="cosine")[25] == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert shares(warmup=2)[:3] == [0.05, 0.1, 0.15]
    cycle = shares(schedule="one_cycle")
    assert cycle[0] < 0.05
    assert cycle.index(max(cycle)) == 29


@given(st.sampled_from(SCHEDULES), st.integers(1, 30), st.integers(1, 5), st.floats(0, 1))
def test_any_schedule_of_any_length_gives_shares(schedule: str, epochs: int, steps: int, warmup: float) -> None:
    params = TrainParams(epochs=epochs, schedule=schedule, warmup=warmup)  # type: ignore[arg-type]
    assert all(0 <= share_of_rate(params, step, steps) <= 1 for step in range(epochs * steps))


def test_l1_adds_the_weights_signs_and_spares_biases() -> None:
    network = nn.Linear(2, 1)
    network.weight.data = torch.tensor([[2.0, -3.0]])
    (network.weight.sum() * 0 + network.bias.sum() * 0).backward()  # type: ignore[no-untyped-call]
    add_l1(network, 0.5)
    assert network.weight.grad is not None and network.bias.grad is not None
    assert network.weight.grad.tolist() == [[0.5, -0.5]]
    assert network.bias.grad.tolist() == [0.0]


def averaged(values: list[float], **settings: object) -> float:
    """The average after weights of these values, an epoch of one step each."""
    params = TrainParams(epochs=len(values), **settings)  # type: ignore[arg-type]
    average, network = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    for number, value in enumerate(values, start=1):
        network.weight.data.fill_(value)
        take_over(average, network, share_of_step(params, number))
        take_over(average, network, share_of_epoch(params, number))
    return float(average.weight.item())


def test_swa_is_the_mean_of_the_epochs_after_its_start() -> None:
    assert averaged([9, 9, 1, 2, 3, 6], average="swa", average_start=2) == pytest.approx(3)
    assert averaged([9, 9, 1, 2, 3, 6], average="swa", average_start=0.5) == pytest.approx(11 / 3)
    assert averaged([9, 9, 1], average="swa", average_start=0) == pytest.approx(19 / 3)
    assert averaged([9, 7], average="swa", average_start=2) == pytest.approx(7)


def test_ema_forgets_by_its_decay() -> None:
    assert averaged([1.0] * 60, average="ema", average_decay=0.5) == pytest.approx(1, abs=1e-4)
    assert averaged([*[1.0] * 60, 0.0], average="ema", average_decay=0.5) == pytest.approx(0.5, abs=1e-4)
    assert averaged([*[1.0] * 60, 0.0], average="ema", average_decay=0.0) == 0

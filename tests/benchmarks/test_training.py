"""Training a multi-layer perceptron: medloop's loop against one written by hand, and two processes against one."""

import statistics
import time
from typing import Any

import pytest

from flows import workers
from tests.benchmarks.training_work import as_worker, by_hand, ours

ROWS, ROUNDS = 16_384, 3


def test_steps_against_a_loop_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """In the processor's time, of one thread: epochs of 256 steps, ours with validation and the averages of metrics."""
    found = [(ours(ROWS, {}, time.process_time), by_hand(ROWS, {}, time.process_time)) for _ in range(ROUNDS)]
    mine, hand = (statistics.median(times) / (ROWS / 64) * 1e3 for times in zip(*found, strict=True))
    with capsys.disabled():
        print(f"\nmlp, batch 64: {mine:.2f} ms a step, by hand {hand:.2f} ms: {mine / hand:.2f} times")


@pytest.mark.parametrize("strategy", ["ddp", "fsdp", "tensor"])
def test_two_processes_against_one(strategy: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By the clock on the wall, a thread each: batches of 1024 rows through layers of 1024 units."""
    config = {"width": 1024, "blocks": 2}
    common: dict[str, Any] = {"batch_size": 1024, "strategy": strategy}
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        for devices, taken in times.items():
            settings = {**common, "devices": devices}
            call = workers.call_together
            taken.append(call(devices, "a training", as_worker, ROWS, config, settings, say=lambda text: None))
    workers.end_all()
    one, two = (statistics.median(taken) for taken in times.values())
    with capsys.disabled():
        print(f"\n{strategy}: an epoch by one process {one:.2f} s, by two {two:.2f} s: {one / two:.2f} times as fast")

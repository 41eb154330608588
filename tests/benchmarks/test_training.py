"""Training: medloop's loop against those that people write and scikit-learn's, and two processes against one."""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from flows import workers
from tests.benchmarks.training_work import BATCH, WORKS, as_worker, by_hand, lightning, ours, scikit

ROUNDS = 3


@pytest.mark.parametrize("name", WORKS)
def test_steps_against_other_loops(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In the processor's time, of one thread, by turns; ours with validation, metrics and checkpoints."""
    work = WORKS[name]
    loops: dict[str, Callable[..., float]] = {"medloop": ours, "by hand": by_hand, "plain Lightning": lightning}
    if name == "mlp":
        loops["scikit-learn"] = scikit
    times: dict[str, list[float]] = {loop: [] for loop in loops}
    for _ in range(ROUNDS):
        for loop, run in loops.items():
            times[loop].append(run(work, time.process_time) / (work.rows / BATCH) * 1e3)
    mine, *others = ((loop, statistics.median(taken)) for loop, taken in times.items())
    told = ", ".join(f"{loop} {taken:.2f} ms ({taken / mine[1]:.2f} times)" for loop, taken in others)
    with capsys.disabled():
        print(f"\n{name}, a step of {BATCH} rows: medloop {mine[1]:.2f} ms; {told}")


@pytest.mark.parametrize("strategy", ["ddp", "fsdp", "tensor"])
def test_two_processes_against_one(strategy: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By the clock on the wall, a thread each: batches of 1024 rows through layers of 1024 units."""
    work = replace(WORKS["mlp"], config={"width": 1024, "blocks": 2})
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        for devices, taken in times.items():
            settings = {"batch_size": 1024, "strategy": strategy, "devices": devices}
            call = workers.call_together
            taken.append(call(devices, "a training", as_worker, work, settings, say=lambda text: None))
    workers.end_all()
    one, two = (statistics.median(taken) for taken in times.values())
    with capsys.disabled():
        print(f"\n{strategy}: an epoch by one process {one:.2f} s, by two {two:.2f} s: {one / two:.2f} times as fast")

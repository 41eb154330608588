"""What is said in a worker is heard here, and who hears can end the work."""

from typing import Any

import pytest

from flows.plan import Epoch, StoppedError
from flows.workers import Worker


def says(count: int, say: Any) -> int:
    """Work that says its number at each step."""
    for number in range(count):
        told = Epoch(f"epoch {number}")
        told.number, told.value = number, number / 2
        say(told)
    return count


def test_work_ends_at_its_next_word_when_who_listens_wants_no_more_and_the_worker_lives() -> None:
    worker, heard = Worker(), []

    def hear(text: str) -> None:
        assert isinstance(text, Epoch)
        heard.append((text.number, text.value))
        if text.number == 3:
            raise StoppedError("enough")

    try:
        with pytest.raises(StoppedError):
            worker.call("counting", says, 1_000_000, say=hear)
        assert heard[:4] == [(0, 0.0), (1, 0.5), (2, 1.0), (3, 1.5)]
        assert worker.alive
    finally:
        worker.end()

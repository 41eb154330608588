"""A training that dies in the middle, as a killed process does."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The training inside dies before the optimiser's step of this number, from 0; one that does not is a failure.

    The steps of the models that a model is made of count too.
    """
    from models.loop import Loop

    take, steps = Loop._step, dict[Loop, int]()

    def dying(self: Loop, rows: Any) -> Any:
        steps[self] = self.step + 1
        if sum(steps.values()) > step:
            raise SystemExit
        return take(self, rows)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Loop, "_step", dying)
        yield

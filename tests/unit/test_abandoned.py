from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from contracts.errors import MedloopError


class Silent:
    """A client of a server that answers none, or at last."""

    def __init__(self, failures: int) -> None:
        self.failures, self.asked = failures, 0

    def __call__(self, **_: object) -> "Silent":
        return self

    def __enter__(self) -> "Silent":
        self.asked += 1
        if self.asked <= self.failures:
            raise RuntimeError("Failed to reach API")
        return self

    def __exit__(self, *_: object) -> None: ...

    def read_flow_runs(self, **_: object) -> list[object]:
        return []

    read_task_runs = read_flow_runs


@pytest.fixture
def abandoned(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, where one run is known; it imports Prefect, which the other tests need not wait for."""
    from flows import abandoned

    monkeypatch.setattr(abandoned, "all_journals", lambda root: iter([SimpleNamespace(key="tiny-20261122-0315-k3f9")]))
    return abandoned


def test_a_server_that_is_slow_to_answer_is_asked_again(
    abandoned: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client = Silent(failures=2)
    monkeypatch.setattr(abandoned, "get_client", client)
    abandoned.end_abandoned(tmp_path)
    assert client.asked == 3


def test_a_server_that_never_answers_is_named(
    abandoned: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(abandoned, "get_client", Silent(failures=9))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    with pytest.raises(MedloopError, match="does not answer") as caught:
        abandoned.end_abandoned(tmp_path)
    assert caught.value.where == "http://127.0.0.1:4200/api"

"""What a stage may take: what is set, else what is free, in a container within its limit."""

from pathlib import Path

import pytest

from contracts.errors import MedloopError
from flows import memory


def test_what_is_set_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOOP_MEMORY", "1024")
    assert memory.available() == 1 << 30


@pytest.mark.parametrize("told", ["0", "1 GiB", "-5"])
def test_what_is_no_number_of_mebibytes_is_an_error(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOOP_MEMORY", told)
    with pytest.raises(MedloopError, match="no number of MiB"):
        memory.available()


@pytest.mark.parametrize(("limit", "bound"), [("4096\n", True), ("max\n", False)])
def test_a_container_has_no_more_than_its_limit(
    limit: str, bound: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setenv("MEDLOOP_MEMORY", "")
    monkeypatch.setattr(memory, "LIMITS", (tmp_path / "memory.max", tmp_path / "none"))
    assert (memory.available() == 4096) is bound

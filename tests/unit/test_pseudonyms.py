"""The key: made once, for its owner alone; another one is noticed."""

from pathlib import Path

import pytest

from contracts.errors import MedloopError
from flows.pseudonyms import VARIABLE, first_key, key_file, same_key
from pipelines.protect import key_mark


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOOP_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(VARIABLE, raising=False)


def test_the_key_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    key = first_key(tmp_path)
    assert first_key(tmp_path) == key == same_key(tmp_path, key_mark(key))
    assert len(key) == 64
    assert key_file(tmp_path).stat().st_mode & 0o777 == 0o600


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "e" * 32)
    assert first_key(tmp_path) == b"e" * 32
    assert not key_file(tmp_path).exists()
    monkeypatch.setenv(VARIABLE, "short")
    with pytest.raises(MedloopError, match="32 characters or more"):
        first_key(tmp_path)


def test_a_missing_or_another_key_is_told_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(MedloopError, match="no key here"):
        same_key(tmp_path, key_mark(b"k" * 32))
    assert not key_file(tmp_path).exists()
    made = first_key(tmp_path)
    with pytest.raises(MedloopError, match="another key") as error:
        same_key(tmp_path, key_mark(b"k" * 32))
    assert made.decode() not in str(error.value)

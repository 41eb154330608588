"""A run's journal: no flipped bit is believed, and no clock that is set back changes which run is the newest."""

import hashlib
from pathlib import Path

import pytest

from contracts.errors import MedloopError
from flows import journal, recovery
from flows.doctor import runs
from flows.home import checkpoints


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDLOOP_HOME", str(tmp_path / "home"))
    return tmp_path


def started(root: Path, at: str, patch: pytest.MonkeyPatch) -> str:
    patch.setattr(journal, "_now", lambda: at)
    run = journal.start(root, ["tiny"], {})
    run.recorded["tiny"] = "the same"
    journal.close(root, run, "completed")
    return run.key


def test_a_flipped_bit_anywhere_is_noticed_told_and_set_aside(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = journal.start(root, ["tiny"], {"imports": 1.5})
    journal.close(root, run, "completed")
    path = journal.path(root, run.key)
    kept = path.read_bytes()
    values = [at for at, byte in enumerate(kept) if chr(byte).isalnum()]
    for at in values:
        path.write_bytes(kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :])
        try:
            assert journal.read(path) == run, "a name that nobody reads any more"
        except MedloopError as error:
            assert error.where == str(path)
    assert not list(journal.all_journals(root))
    recovery.tell_damaged(root)
    assert path.name in "".join(capsys.readouterr().err.split())
    found = runs.journals(root)
    assert found.state == "fault" and str(path) in found.found
    assert found.remedy and ".damaged" in found.remedy()
    assert runs.journals(root).state == "well" and path.with_name(f"{path.name}.damaged").exists()


def test_a_damaged_checkpoint_is_told_before_training_goes_on_from_the_one_before(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = checkpoints(root) / "tiny" / "mlp" / "recipe"
    folder.mkdir(parents=True)
    (folder / f"1-{hashlib.sha256(b'whole').hexdigest()[:16]}.safetensors").write_bytes(b"whole")
    (folder / f"2-{hashlib.sha256(b'whole').hexdigest()[:16]}.safetensors").write_bytes(b"whome")
    recovery.tell_damaged(root)
    told = "".join(capsys.readouterr().err.split())
    assert "recipe/2-" in told and "recipe/1-" not in told


def test_a_journal_of_a_version_that_sealed_none_is_read(root: Path) -> None:
    run = journal.start(root, ["tiny"], {})
    journal.path(root, run.key).write_text(run.model_dump_json(exclude={"number"}))
    assert [found.key for found in journal.all_journals(root)] == [run.key]


def test_a_clock_that_is_set_back_changes_nothing_of_the_order(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = ("2026-11-23T02:15:00+00:00", "2026-11-24T02:15:00+00:00", "2026-11-20T02:15:00+00:00")
    keys = [started(root, at, monkeypatch) for at in times]
    first = next(run for run in journal.all_journals(root) if run.key == keys[0])
    journal.save(root, first)  # told to MLflow again, as after a backup
    assert [run.key for run in journal.all_journals(root)] == keys[::-1]

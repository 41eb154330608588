"""What killed processes leave of DVC's: cleared, and never in the way."""

import fcntl
import json
import os
import subprocess
import threading
from pathlib import Path

import pytest

from flows import journal, recovery, workspace
from flows.home import home, scratch


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDLOOP_HOME", str(tmp_path / "home"))
    made = tmp_path / "workspace"
    (made / ".dvc" / "tmp").mkdir(parents=True)
    (made / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    (made / "dvc.yaml").write_text("stages: {}\n")
    return made


def dead() -> int:
    """The number of a process that is gone."""
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def test_drafts_and_reservations_of_a_killed_run_are_cleared_and_others_stay(root: Path) -> None:
    crashed = journal.start(root, ["a"], {})
    crashed.pid = dead()
    journal.save(root, crashed)
    gone, other = {"pid": crashed.pid, "cmd": "medloop run"}, {"pid": os.getpid(), "cmd": "dvc repro"}
    reserved = root / ".dvc" / "tmp" / "rwlock"
    reserved.write_text(json.dumps({"read": {"x": [gone, other], "y": [gone]}, "write": {"z": gone, "w": other}}))
    cache = root / ".dvc" / "cache"
    key = cache / "runs" / "ab" / "abcd"
    key.mkdir(parents=True)
    (cache / "files" / "md5").mkdir(parents=True)
    drafts = [
        cache / "files" / "md5" / ".C-RgDkq2vNs6rk2Bh8bmbg.tmp",
        home(root) / "runs" / f".a.json.{crashed.pid}.tmp",
    ]
    mine = home(root) / "runs" / f".b.json.{os.getpid()}.tmp"
    for draft in (*drafts, mine):
        draft.write_text("half")
    recovery.recover(root)
    assert json.loads(reserved.read_text()) == {"read": {"x": [other]}, "write": {"w": other}}
    assert not [draft for draft in (*drafts, key) if draft.exists()]
    assert mine.exists()
    assert [found.state for found in journal.all_journals(root)] == ["crashed"]


def test_a_reservation_goes_that_a_plan_left_before_there_was_a_journal_and_one_of_a_number_that_is_anothers_now(
    root: Path,
) -> None:
    reserved = root / ".dvc" / "tmp" / "rwlock"
    killed, reborn = {"pid": dead(), "cmd": "medloop run"}, {"pid": os.getpid(), "cmd": "medloop run"}
    reserved.write_text(json.dumps({"read": {"x": [killed, reborn]}, "write": {"y": reborn}}))
    workspace.plan(root, [])
    assert json.loads(reserved.read_text()) == {"read": {"x": [reborn]}, "write": {"y": reborn}}
    os.utime(reserved, (1, 1))  # before this process began
    workspace.plan(root, [])
    assert json.loads(reserved.read_text()) == {"read": {}, "write": {}}


def test_a_recovery_that_is_killed_itself_leaves_the_next_one_nothing_undone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed = journal.start(root, ["a"], {})
    draft = root / ".dvc" / "cache" / "files" / "md5" / ".C-RgDkq2vNs6rk2Bh8bmbg.tmp"
    draft.parent.mkdir(parents=True)
    draft.write_text("half")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("flows.workspace.clear_leftovers", "flows.journal.reconcile"):
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(step, killed)
            recovery.recover(root)
    recovery.recover(root)
    assert not draft.exists()
    assert [(found.key, found.state) for found in journal.all_journals(root)] == [(crashed.key, "crashed")]


def test_what_a_run_left_that_failed_over_a_broken_disk_goes_too(root: Path) -> None:
    draft = root / ".dvc" / "cache" / "files" / "md5" / ".C-RgDkq2vNs6rk2Bh8bmbg.tmp"
    draft.parent.mkdir(parents=True)
    for state, left in (("completed", True), ("failed", False)):
        draft.write_text("half")
        journal.close(root, journal.start(root, ["a"], {}), state)  # type: ignore[arg-type]
        recovery.recover(root)
        assert draft.exists() == left


@pytest.mark.parametrize("damaged", ["", "null", "[]", '{"write": {"x": {"cmd": "dvc repro"}}}'])
def test_reservations_that_are_damaged_stop_nothing(root: Path, damaged: str) -> None:
    reserved = root / ".dvc" / "tmp" / "rwlock"
    reserved.write_text(damaged)
    assert workspace.plan(root, []) == []
    assert not reserved.exists()


def test_a_scratch_folder_of_a_killed_process_goes_with_the_next(root: Path) -> None:
    left = home(root) / "scratch" / f"{dead()}-abc"
    left.mkdir(parents=True)
    (left / "weights").write_text("x")
    with scratch(root) as folder:
        assert folder.is_dir()
        assert list(left.parent.iterdir()) == [folder]
    assert not list(left.parent.iterdir())


def test_the_holder_is_named_though_it_has_not_said_so_yet_and_the_one_before_was_killed(root: Path) -> None:
    lock = home(root) / "run.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(str(dead()))
    with lock.open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        says = threading.Timer(0.1, lambda: lock.write_text(str(os.getpid())))
        says.start()
        with pytest.raises(journal.HeldError, match=f"process {os.getpid()}"), journal.sole_run(root):
            pass
        says.join()
    with journal.sole_run(root):
        assert lock.read_text() == str(os.getpid())
    assert not lock.read_text()

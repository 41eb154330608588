"""What the doctor finds: each fault is planted, and named with what mends it. The real command: tests/func."""

import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections import namedtuple
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from types import SimpleNamespace

import pytest

from contracts.errors import MedloopError
from flows import databases, disk, journal, ledger, lockfile
from flows.doctor import findings, installed, machine, repository, running, runs, sentence, slots, stored
from flows.doctor.finding import Asked, Finding, State, well
from flows.home import home
from flows.ledger import Ledger, Slot
from flows.plan import Stage
from flows.workspace import shared_with
from tests.workspace import STUDY, Workspace

NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)
GONE = 99_999_999  # no process of this number
ENTRY = """schema: '2.0'
stages:
  clean@tiny:
    cmd: medloop stage clean tiny
    deps:
    - path: flows/home.py
      hash: md5
      md5: 00000000000000000000000000000000
      size: 7
    outs:
    - path: data/tiny/clean/samples.parquet
      hash: md5
      md5: {md5}
      size: 300000000
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MEDLOOP_HOME", raising=False)
    for key in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(key, raising=False)
    return tmp_path


def planted(root: Path, content: bytes = b"rows") -> tuple[Path, Path]:
    """A cache of one object that dvc.lock names; the cache and the object."""
    name = md5(content).hexdigest()
    cache = root / ".dvc" / "cache" / "files" / "md5"
    path = cache / name[:2] / name[2:]
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    (root / "dvc.lock").write_text(ENTRY.format(md5=name))
    return cache, path


def only(found: Iterable[Finding], state: State = "fault") -> Finding:
    (one,) = (each for each in found if each.state == state)
    return one


def test_a_flipped_byte_in_the_cache_is_named_and_can_be_removed(root: Path) -> None:
    cache, path = planted(root)
    assert [one.state for one in stored.cache(root, cache, Asked())] == ["well"]
    path.write_bytes(b"rowz")
    found = only(stored.cache(root, cache, Asked()))
    assert "1 of 1 objects" in found.found and "data/tiny/clean/samples.parquet" in found.found
    assert "medloop doctor --mend" in found.mend
    assert found.remedy
    assert "1 damaged" in found.remedy()
    assert not path.exists()


def test_the_next_look_goes_on_where_time_ran_out(root: Path) -> None:
    cache, _ = planted(root)
    for number in range(4):
        planted(root, f"{number}".encode())
    seen: list[str] = []
    asked = Asked(say=seen.append)
    for _ in range(5):
        assert "1 of 5 objects" in stored.hashed(root, cache, {}, asked, limit_s=-1).found
    mark = json.loads((home(root) / stored.NOTE).read_text())["through"]
    assert mark == max(path.parent.name + path.name for path in cache.glob("*/*"))
    assert "5 objects" in stored.hashed(root, cache, {}, Asked(everything=True), limit_s=-1).found


def test_an_object_that_is_missing_is_a_fault_only_where_what_it_held_is_here(root: Path) -> None:
    cache, path = planted(root)
    path.unlink()
    assert "of tiny is not on this machine" in only(stored.cache(root, cache, Asked()), "note").found
    (root / "data" / "tiny" / "clean").mkdir(parents=True)
    (root / "data" / "tiny" / "clean" / "samples.parquet").touch()
    assert "1 objects are missing" in only(stored.cache(root, cache, Asked(quick=True))).found


def test_a_truncated_lock_is_a_fault(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, _ = planted(root)
    lock = root / lockfile.NAME
    lock.write_text(lock.read_text()[:-60])
    monkeypatch.setattr(stored.workspace, "objects", lambda root: cache)
    found = only(stored.check(root, Asked(quick=True)))
    assert found.check == "dvc.lock"
    assert "git checkout dvc.lock" in found.mend


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")(1 << 40, 1 << 40, 600 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


def test_a_disk_that_a_run_would_fill_is_told_before_it_begins(root: Path, full: None) -> None:
    planted(root)
    stage = Stage(name="clean@tiny", arguments=("clean", "tiny"), after=(), stale=("it is",), outputs="")
    with pytest.raises(MedloopError, match=r"needs about 1\.1 GiB on the disk, and 600 MiB are free") as error:
        disk.require(root, [stage])
    assert "medloop gc" in error.value.mend
    found = machine.room(root)
    assert (found.state, found.expected) == ("fault", "1.1 GiB, what a run of everything would take")


def test_a_disk_without_room_for_more_files_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "files_left", lambda path: 7)
    assert "7 more files fit" in machine.room(root).found


def test_a_clock_that_was_set_back_is_told(root: Path) -> None:
    ledger.save(root, "tiny", Ledger(through=NOW))
    assert machine.clock(root, NOW).state != "fault"
    found = machine.clock(root, NOW - timedelta(hours=1))
    assert (found.state, found.found[:16]) == ("fault", "2026-03-29 11:00")
    assert "timedatectl" in found.mend


def test_what_is_another_users_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home(root).mkdir()
    assert machine.owners(root).state == "well"
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert "chown" in machine.owners(root).mend


def test_a_dead_server_that_is_remembered_is_told(root: Path) -> None:
    home(root).mkdir()
    (home(root) / "servers.json").write_text(json.dumps({"mlflow": {"pid": GONE, "port": 5003, "started": 1.0}}))
    found = only(running.check(root, Asked()))
    assert found.found == f"process {GONE}, which served http://127.0.0.1:5003, is gone"
    assert (found.check, found.mend) == ("mlflow", "medloop up")


def test_a_server_that_is_up_and_silent_is_told(root: Path) -> None:
    import psutil

    home(root).mkdir()
    own = {"pid": os.getpid(), "port": 1, "started": psutil.Process().create_time()}
    (home(root) / "servers.json").write_text(json.dumps({"prefect": own}))
    assert "does not answer at http://127.0.0.1:1/api/health" in only(running.check(root, Asked())).found


def test_a_teams_server_that_is_away_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://team:secret@127.0.0.1:1")
    found = only(running.check(root, Asked()))
    assert found.found == "http://127.0.0.1:1 does not answer"


def a_database(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path)
    connection.executescript("create table t (a text); insert into t select hex(randomblob(4000)) from t;")
    connection.executemany("insert into t values (?)", [(f"{n} " * 900,) for n in range(40)])
    connection.commit()
    connection.close()
    return path


def test_a_damaged_database_is_told_and_an_old_backup_noted(root: Path) -> None:
    path = a_database(root / "mlflow" / "mlflow.db")
    databases.back_up(root, "mlflow", path, NOW, 3)
    assert stored.database(root, "mlflow", path, quick=False).state == "well"
    later = datetime.now(UTC) + timedelta(days=9)
    assert "9 days old" in stored.database(root, "mlflow", path, quick=False, now=later).found
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 9000)
    found = stored.database(root, "mlflow", path, quick=False)
    assert (found.state, found.mend) == ("fault", "medloop restore mlflow")


def test_a_damaged_checkpoint_is_told(root: Path) -> None:
    folder = home(root) / "checkpoints" / "tiny" / "mlp" / "recipe"
    folder.mkdir(parents=True)
    (folder / "000000000007-0123456789abcdef.safetensors").write_bytes(b"weights")
    assert "tiny/mlp/recipe/000000000007" in stored.unfinished(root).found


def test_a_remote_that_cannot_be_written_to_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(root: Path) -> None:
        raise PermissionError(13, "Permission denied", "/mnt/team")

    monkeypatch.setattr(stored.workspace, shared_with.__name__, lambda root: "/mnt/team")
    monkeypatch.setattr(stored.workspace, "try_remote", refuse)
    assert stored.remote(root, Asked()).found == "/mnt/team: Permission denied"
    assert stored.remote(root, Asked(quick=True)).state == "well"


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=tester", "-c", "user.email=tester@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


def test_git_is_told_of_as_it_stands(root: Path) -> None:
    assert "git init" in only(repository.check(root, Asked())).mend
    git(root, "init", "-q")
    git(root, "commit", "-q", "--allow-empty", "-m", "begun")
    assert repository.state(root).state == "well"
    (root / "new.py").touch()
    assert "not committed: new.py" in repository.state(root).found
    git(root, "remote", "add", "origin", str(root / "away"))
    assert "does not appear to be a git repository" in repository.origin(root).found or repository.origin(root).found
    assert repository.origin(root).state == "fault"
    git(root, "checkout", "-q", "--detach")
    assert "no branch" in repository.state(root).found
    lock = root / ".git" / "index.lock"
    lock.touch()
    os.utime(lock, (1, 1))
    assert f"rm {lock}" in repository.state(root).mend


def test_a_study_that_cannot_be_read_is_named(root: Path) -> None:
    (root / "studies").mkdir()
    shutil.copyfile(Path(__file__).parents[2] / "params.yaml", root / "params.yaml")
    workspace = Workspace(root)
    workspace.write_study()
    assert repository.studies(root).state == "well"
    shared = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(shared.replace("  runs: 30", "  runs: many"))
    assert "params.yaml, keep.runs" in repository.studies(root).found
    (root / "params.yaml").write_text(shared)
    workspace.write_study(lambda study: study["clean"].update(colums={}), "other")
    found = repository.studies(root)
    assert (found.state, "colums" in found.found) == ("fault", True)
    assert STUDY["clean"] == {}


def test_a_run_that_died_is_told_and_closed(root: Path) -> None:
    opened = journal.start(root, ["tiny"], {})
    found = only(runs.check(root, Asked()))
    assert opened.key in found.found
    assert found.remedy
    assert found.remedy() == "1 runs count as crashed"
    assert "crashed: the process ended" in runs.journals(root).found
    with journal.sole_run(root):
        opened = journal.start(root, ["tiny"], {})
        assert all(one.state != "fault" for one in runs.check(root, Asked()))  # what is held goes on


def test_runs_that_mlflow_shows_as_running_are_told_and_closed(root: Path) -> None:
    own = journal.start(root, ["tiny"], {}).key
    ended: list[tuple[str, str]] = []
    ours, theirs = ({"medloop.run": key} for key in (own, "another-20260101-0000-abcd"))
    found = [
        SimpleNamespace(info=SimpleNamespace(run_id=n), data=SimpleNamespace(tags=t))
        for n, t in (("1", ours), ("2", theirs))
    ]
    client = SimpleNamespace(
        search_experiments=lambda: [],
        search_runs=lambda experiments, clause: found,
        set_terminated=lambda run, state: ended.append((run, state)),
    )
    told = runs.in_mlflow(root, client)
    assert told.state == "fault"
    assert told.remedy
    told.remedy()
    assert ended == [("1", "KILLED")]


def test_a_server_that_nobody_knows_any_more_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    info = {"cmdline": ["python", "-m", "mlflow", "server"], "cwd": str(home(root) / "logs")}
    left = SimpleNamespace(pid=4711, info=info, parent=lambda: None)
    monkeypatch.setattr(psutil, "process_iter", lambda wanted: [left])
    assert runs.orphans(root).mend == "kill 4711"


def test_a_lock_that_cannot_be_read_or_is_anothers_is_told_and_removed(root: Path) -> None:
    path = root / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    found = runs.locks(root)
    assert found.state == "fault"
    assert found.remedy
    found.remedy()
    assert not path.exists()
    path.write_text(json.dumps({"write": {"data": {"pid": os.getpid(), "cmd": "medloop"}}}))
    assert runs.locks(root).found == "1 held"
    os.utime(path, (1, 1))
    assert "another by now" in runs.locks(root).found


def test_what_a_killed_process_left_is_told_and_removed(root: Path) -> None:
    folder = home(root) / "runs"
    folder.mkdir(parents=True)
    left, going = folder / f".a.json.{GONE}.tmp", folder / f".b.json.{os.getpid()}.tmp"
    for path in (left, going):
        path.write_text("{")
        os.utime(path, (time.time() - 3600,) * 2)
    (home(root) / "clones" / f"0123456789ab-{GONE}").mkdir(parents=True)
    os.utime(home(root) / "clones" / f"0123456789ab-{GONE}", (1, 1))
    found = runs.leftovers(root)
    assert "2 unfinished files and clones" in found.found
    assert found.remedy
    found.remedy()
    assert going.exists() and not left.exists()


def test_schedules_that_nobody_serves_and_slots_that_wait_are_told(root: Path) -> None:
    (root / "studies").mkdir()
    study = "source: {kind: file, path: patients.csv}\nschedule: {every: 1 day}\n"
    (root / "studies" / "tiny.yaml").write_text(study)
    assert only(slots.check(root, Asked()), "note").found == "tiny: never served"
    ledger.save(root, "tiny", Ledger(through=NOW, slots=[Slot(at=NOW - timedelta(hours=3), state="due")]))
    found = {one.check: one for one in slots.check(root, Asked())}
    assert "nobody serves tiny" in found["schedules"].found
    assert "1 due since" in found["slots tiny"].found
    failed = Slot(at=NOW, state="failed", attempts=1, told="no such file\nmore")
    ledger.save(root, "tiny", Ledger(through=NOW, slots=[failed]))
    with journal.sole_service(root):
        (found_now,) = (one for one in slots.check(root, Asked()) if one.state == "fault")
    assert found_now.found.endswith("failed: no such file")


def test_packages_that_are_not_as_they_should_be_are_named() -> None:
    assert "fastapi 0.160.0 instead of" in installed.declared({"fastapi": "0.160.0"}, ["fastapi>=0.139,<0.151"]).found
    assert "python 3.9.1 instead of" in installed.declared({}, [], python="3.9.1").found
    assert installed.declared({"fastapi": "0.140.1"}, ["fastapi>=0.139,<0.151"]).state == "well"
    assert "numpy 2.0 instead of 2.4" in installed.as_locked("numpy==2.4", {"numpy": "2.0"}).found
    assert installed.as_locked(None, {}).state == "note"


def test_an_accelerator_that_torch_does_not_see_is_told() -> None:
    assert installed.accelerator(["NVIDIA H200"], "2.13.0+cpu", None).state == "fault"
    assert installed.accelerator(["NVIDIA H200"], "2.13.0", lambda: False).state == "fault"
    assert installed.accelerator(["NVIDIA H200"], "2.13.0", lambda: True).state == "well"
    assert installed.accelerator([], "2.13.0+cpu", None).state == "well"


def test_little_memory_and_too_many_threads_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(installed.memory(100 << 20)).found == "100 MiB free"
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert "OMP_NUM_THREADS=64 on 8 cores" in only(installed.memory(8 << 30, 8), "note").found


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(root: Path, asked: Asked) -> Iterable[Finding]:
        raise ZeroDivisionError

    checks = {"first": breaks, "second": lambda root, asked: [well("second", "fine")]}
    monkeypatch.setattr("flows.doctor.CHECKS", checks)
    found = list(findings(root, Asked()))
    assert [one.state for one in found] == ["fault", "well"]
    assert "ZeroDivisionError" in found[0].found
    assert sentence(found) == "1 thing needs you."

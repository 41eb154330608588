"""Databases backed up while they are written, restored and tidied; logs begun anew; the nightly slots of all that."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.errors import MedloopError
from flows import databases, journal, ledger, upkeep
from flows.home import home
from flows.ledger import Outcome
from flows.nightly import NAME, Nightly
from flows.policy import Keep

NOW = datetime(2026, 12, 1, 4, tzinfo=UTC)
DAY, STEP = timedelta(days=1), timedelta(hours=4)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MEDLOOP_HOME", "MLFLOW_TRACKING_URI", "PREFECT_API_URL", databases.TEAM):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "params.yaml").write_text("keep: {backups: 2}\n")
    return tmp_path


@pytest.fixture
def mlflow(root: Path) -> Iterator[sqlite3.Connection]:
    """MLflow's database as its server has it open: write-ahead logging, and some rows not written back yet."""
    path = home(root) / "mlflow" / "mlflow.db"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as server:
        server.execute("PRAGMA journal_mode=WAL")
        server.execute("create table runs (name text)")
        server.executemany("insert into runs values (?)", [(f"run {n}" * 40,) for n in range(3000)])
        server.commit()
        yield server


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("select count(*) from runs").fetchone()[0])


def test_a_backup_holds_what_was_committed_and_the_newest_are_kept(root: Path, mlflow: sqlite3.Connection) -> None:
    (path,) = databases.local(root).values()
    mlflow.execute("insert into runs values ('not committed')")
    for night in range(4):
        copy = databases.back_up(root, "mlflow", path, NOW + night * DAY, keep=2)
    assert [kept.name for kept in databases.backups(root, "mlflow")] == [
        "mlflow-20261204-040000.db",
        "mlflow-20261203-040000.db",
    ]
    assert rows(copy) == 3000
    assert {file.name for file in copy.parent.iterdir()} == {kept.name for kept in databases.backups(root, "mlflow")}


def test_a_backup_that_is_made_after_the_clock_was_set_back_is_the_newest(
    root: Path, mlflow: sqlite3.Connection
) -> None:
    (path,) = databases.local(root).values()
    databases.back_up(root, "mlflow", path, NOW + 1000 * DAY, keep=1)
    newest = databases.back_up(root, "mlflow", path, NOW, keep=1)
    assert databases.backups(root, "mlflow") == [newest]


def test_a_damaged_database_is_no_backup_and_the_good_one_is_put_back(root: Path, mlflow: sqlite3.Connection) -> None:
    (path,) = databases.local(root).values()
    good = databases.back_up(root, "mlflow", path, NOW, keep=1)
    mlflow.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    mlflow.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 20000)
    with pytest.raises(MedloopError, match="not whole") as error:
        databases.back_up(root, "mlflow", path, NOW + DAY, keep=1)
    assert error.value.mend.startswith("medloop restore mlflow")
    assert databases.backups(root, "mlflow") == [good]
    assert databases.whole_backup(root, "mlflow", None) == good
    aside = databases.restore(root, "mlflow", good, NOW)
    assert rows(path) == 3000
    assert b"\xff" * 20000 in aside.read_bytes()
    with pytest.raises(MedloopError, match="no whole backup") as unknown:
        databases.whole_backup(root, "mlflow", "mlflow-2025.db")
    assert good.name in unknown.value.mend


def test_a_second_restore_keeps_what_the_first_set_aside(root: Path, mlflow: sqlite3.Connection) -> None:
    (path,) = databases.local(root).values()
    good = databases.back_up(root, "mlflow", path, NOW, keep=1)
    mlflow.execute("insert into runs values ('since then')")
    mlflow.commit()
    first = databases.restore(root, "mlflow", good, NOW)  # whose log of writes is set aside with it
    second = databases.restore(root, "mlflow", good, NOW + STEP)
    assert (rows(first), rows(second)) == (3001, 3000)
    assert databases.backups(root, "mlflow") == [good]


def test_a_champion_that_a_backup_does_not_know_is_told(root: Path) -> None:
    tables = """
        CREATE TABLE registered_model_aliases (alias, version, name);
        CREATE TABLE model_versions (name, version, run_id);
        CREATE TABLE tags (key, value, run_uuid);
        INSERT INTO registered_model_aliases VALUES ('champion', {n}, 'stroke'), ('challenger', 3, 'stroke');
        INSERT INTO model_versions VALUES ('stroke', 1, 'run1'), ('stroke', 2, 'run2'), ('stroke', 3, 'run3');
        INSERT INTO tags SELECT 'medloop.run', 'key-' || run_id, run_id FROM model_versions;
        INSERT INTO tags SELECT 'medloop.model', 'mlp', run_id FROM model_versions;
    """
    for n in (1, 2):
        with closing(sqlite3.connect(root / f"{n}.db")) as database:
            database.executescript(tables.format(n=n))
    one, two = (databases.champions(root / f"{n}.db") for n in (1, 2))
    assert (one, two) == ({"stroke": "version 1 (key-run1/mlp)"}, {"stroke": "version 2 (key-run2/mlp)"})
    (said,) = upkeep._moved(two, one)
    assert said.startswith("stroke: version 2 (key-run2/mlp) was the champion, and version 1 (key-run1/mlp) is now")
    assert list(upkeep._moved(one, one)) == [] and len(list(upkeep._moved(one, {}))) == 1
    (root / "broken.db").write_bytes(b"not a database" * 100)
    assert databases.champions(root / "broken.db") == {}


def test_what_was_freed_is_given_back_while_the_server_has_it_open(root: Path, mlflow: sqlite3.Connection) -> None:
    (path,) = databases.local(root).values()
    mlflow.execute("delete from runs where rowid > 100")
    mlflow.commit()
    mlflow.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.stat().st_size
    assert "written anew" in databases.tidy(path)
    assert path.stat().st_size < before / 4
    assert path.with_name("mlflow.db-wal").stat().st_size == 0
    assert mlflow.execute("select count(*) from sqlite_stat1").fetchone()[0] >= 0  # ANALYZE made it
    assert "written anew" not in databases.tidy(path)


def test_a_teams_database_is_left_alone(root: Path, mlflow: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    assert databases.local(root) == {}
    with pytest.raises(MedloopError, match="a team's"):
        databases.whole_backup(root, "mlflow", None)


def test_a_large_log_is_begun_anew_and_its_server_writes_on(root: Path) -> None:
    logs = home(root) / "logs"
    logs.mkdir(parents=True)
    (logs / "prefect.log").write_text("little")
    with (logs / "mlflow.log").open("ab", buffering=0) as server:
        server.write(b"x" * 2000)
        assert upkeep.rotate(root, 1000) == "mlflow.log"
        server.write(b"goes on")
    assert (logs / "mlflow.log").read_bytes() == b"goes on"
    assert (logs / "mlflow.log.1").stat().st_size == 2000
    assert upkeep.rotate(root, 1000) == "none is large"


def test_one_task_that_fails_keeps_no_other_from_being_done(
    root: Path, mlflow: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **named: object) -> None:
        raise MedloopError("MLflow does not answer")

    monkeypatch.setattr(upkeep.collecting, "collect_now", broken)
    monkeypatch.setattr(upkeep, "_closed", lambda root: "none")
    said: dict[str, str] = {}
    faults = upkeep.see_to(root, NOW, lambda name, text: said.update({name: text}))
    assert [fault.problem for fault in faults] == ["MLflow does not answer"]
    assert list(said) == ["backup of mlflow", "runs left open", "collection", "database of mlflow", "logs"]
    assert said["collection"] == "failed: MLflow does not answer"
    assert said["logs"] == "none is large"


class Night:
    """Upkeep that ends at once, as told."""

    def __init__(self, came: Outcome | None) -> None:
        self.came, self.stopped, self.settled = came, False, list[Outcome]()

    def outcome(self) -> Outcome | None:
        return self.came

    def stop(self) -> None:
        self.stopped = True

    def settle(self, came: Outcome) -> None:
        self.settled.append(came)


class Clock:
    """A machine's clock and what upkeep comes to."""

    def __init__(self, root: Path) -> None:
        self.root, self.now, self.begun, self.said = root, NOW - DAY / 2, list[Night](), list[str]()
        self.comes: Outcome | None = Outcome(state="ran")

    def boot(self) -> Nightly:
        def start() -> Night:
            self.begun.append(Night(self.comes))
            return self.begun[-1]

        tell = lambda name, text: self.said.append(text)  # noqa: E731
        seconds = lambda: (self.now - NOW).total_seconds()  # noqa: E731
        return Nightly(self.root, start, wall=lambda: self.now, steady=seconds, tell=tell)

    def states(self) -> list[str]:
        known = ledger.read(self.root, NAME)
        assert known
        return [slot.state for slot in known.slots]

    def serve(self, nightly: Nightly, span: timedelta, *, idle: bool = True) -> None:
        for _ in range(int(span / STEP)):
            self.now += STEP
            nightly.tick(idle=idle)
            nightly.tick(idle=idle)


@pytest.fixture
def clock(root: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    return Clock(root)


def test_upkeep_comes_once_a_night_when_no_study_runs(clock: Clock) -> None:
    nightly = clock.boot()
    clock.serve(nightly, 2 * DAY, idle=False)
    assert (clock.states(), clock.begun) == (["missed", "due"], [])
    clock.serve(nightly, 10 * DAY)
    assert clock.states() == ["missed"] + ["ran"] * 11
    assert len(clock.begun) == 11


def test_upkeep_that_fails_or_is_killed_stops_nothing(clock: Clock) -> None:
    clock.comes = Outcome(state="failed", told="the disk")
    clock.serve(clock.boot(), DAY)
    clock.comes = None
    clock.serve(clock.boot(), DAY)
    assert clock.states() == ["failed", "running"]
    clock.comes = Outcome(state="ran")
    clock.serve(clock.boot(), DAY)
    assert clock.states() == ["failed", "ran", "ran"]


def test_upkeep_waits_for_a_workspace_that_is_held_and_is_ended_with_serving(clock: Clock) -> None:
    clock.comes = Outcome(state="due", told="held")
    nightly = clock.boot()
    clock.serve(nightly, DAY)
    assert clock.states() == ["due"]
    assert len(clock.begun) > 1
    clock.comes = None
    clock.serve(nightly, STEP)
    nightly.close()
    assert clock.begun[-1].stopped
    assert clock.states() == ["due"]


def test_a_year_of_nights_with_kills_and_outages_is_accounted_for(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "KEPT", 40)
    chance = random.Random(0)
    nightly = clock.boot()
    for _ in range(365):
        event = chance.random()
        clock.comes = Outcome(state="failed" if event < 0.05 else "ran") if event > 0.02 else None
        clock.serve(nightly, DAY, idle=event < 0.97)
        if event < 0.1:  # killed, in its midst or not, and started again at once or days later
            clock.now += DAY * chance.choice([0, 0, 1.3, 6])
            nightly = clock.boot()
    clock.comes = Outcome(state="ran")
    clock.serve(nightly, 2 * DAY)
    known = ledger.read(clock.root, NAME)
    assert known
    nights = (clock.now - NOW).days + 1
    assert sum(known.totals().values()) == nights > 365
    assert [slot.at for slot in known.slots] == [NOW + number * DAY for number in range(nights - 40, nights)]
    assert set(known.totals()) == {"ran", "failed", "missed"}
    assert known.totals()["ran"] > 300


def test_a_wrong_policy_leaves_the_default_schedule(clock: Clock) -> None:
    (clock.root / "params.yaml").write_text("keep: {schedule: {cron: nightly}}\n")
    clock.serve(clock.boot(), DAY)
    assert clock.states() == ["ran"]
    assert "five fields" in clock.said[0]
    assert Keep().schedule.cron == "0 4 * * *"


def test_the_process_that_serves_is_told_what_upkeep_came_to(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(upkeep, "find_root", lambda: root)
    monkeypatch.setattr(upkeep.slot, "end_with_parent", lambda: None)
    monkeypatch.setattr(upkeep.servers, "prepare_environment", lambda root: None)
    monkeypatch.setattr(upkeep, "see_to", lambda root, now, say: [MedloopError("the disk"), MedloopError("the net")])
    upkeep.work(tmp_path / "note")
    assert '"the disk; the net"' in (tmp_path / "note").read_text()
    with journal.sole_run(root):
        upkeep.work(tmp_path / "note")
    assert '"due"' in (tmp_path / "note").read_text()

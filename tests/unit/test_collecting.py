"""What may go and what stays: journals, pins, objects and stages made up, removed by the real code paths."""

import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.errors import MedloopError
from flows import collecting, journal, past_runs, workspace
from flows.collecting import Waste, collect_now, sentence
from flows.git import git, pins
from flows.home import home
from flows.journal import Journal
from flows.past_runs import Registered
from flows.policy import Keep, policy

NOW = datetime(2026, 12, 1, tzinfo=UTC)
WHO = {f"GIT_{role}_{what}": "tester@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Machine:
    """A workspace whose nightly runs are made up: each a journal, a pin, a lock and the objects that it names."""

    def __init__(self, root: Path) -> None:
        self.root, self.cache = root, root / ".dvc" / "cache"
        for arguments in (["init", "-q", "-b", "main"], ["commit", "-q", "--allow-empty", "-m", "begun"]):
            subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)

    def object(self, content: bytes, end: str = "") -> str:
        name = md5(content).hexdigest() + end
        path = self.cache / "files" / "md5" / name[:2] / name[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return name

    def folder(self, *contents: bytes) -> str:
        """An object that lists files."""
        entries = [{"md5": self.object(each), "relpath": f"{n}.parquet"} for n, each in enumerate(contents)]
        return self.object(json.dumps(entries).encode(), ".dir")

    def there(self) -> set[str]:
        return {path.parent.name + path.name for path in (self.cache / "files" / "md5").glob("*/*")}

    def run(self, at: datetime, *contents: bytes, study: str = "tiny", models: dict[str, str] | None = None) -> str:
        """A run of this moment that wrote these files; its key."""
        (key,) = self.runs([(at, contents)], study)
        found = json.loads(journal.path(self.root, key).read_text())
        journal.save(self.root, Journal.model_validate({**found, "mlflow_runs": models or {}}))
        return key

    def runs(
        self, nights: list[tuple[datetime, tuple[bytes, ...]]], study: str = "tiny", trials: bool = False
    ) -> list[str]:
        """The same for several, told to Git at once."""
        text, keys = "", []
        for number, (at, contents) in enumerate(nights, 1):
            key = f"{study}-{at:%Y%m%d-%H%M}-aaaa"
            lock = f"schema: '2.0'\nstages:\n  clean@{study}:\n    cmd: x\n    outs:\n    - path: data/{study}/clean\n"
            lock += f"      hash: md5\n      md5: {self.folder(*contents)}\n"
            text += f"blob\nmark :{2 * number}\ndata {len(lock)}\n{lock}\n"
            text += (
                f"commit refs/exps/00/{key[:8]}/{key}\nmark :{2 * number + 1}\ncommitter t <t@example.org> 0 +0000\n"
            )
            text += f"data 3\nrun\nM 644 :{2 * number} dvc.lock\n\n"
            keys.append(key)
        subprocess.run(["git", "fast-import", "--quiet"], cwd=self.root, input=text.encode(), check=True)
        pinned = pins(self.root)
        for (at, _), key in zip(nights, keys, strict=True):
            commit, began = pinned[key][0], at.isoformat()
            ran = Journal(key=key, studies=[study], pid=1, started=began, state="completed", experiment=commit)
            journal.save(self.root, ran.model_copy(update={"recorded": {} if trials else {study: key}}))
        return keys

    def tried(self, age: timedelta, name: str) -> Path:
        path = self.cache / "runs" / "aa" / ("a" * 64) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"cmd: x\nouts:\n- path: data\n  md5: {name}\n")
        os.utime(path, ((NOW - age).timestamp(),) * 2)
        return path

    def collect(self, remove: bool = True, now: datetime = NOW, **keep: Any) -> dict[str, Waste]:
        gone, _ = collect_now(self.root, Keep.model_validate(keep), now, remove=remove)
        return {one.kind: one for one in gone if one.number}

    def known(self) -> set[str]:
        return {run.key for run in journal.all_journals(self.root)}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    for name in ("MEDLOOP_HOME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in WHO.items():
        monkeypatch.setenv(name, value)
    made = Machine(tmp_path)

    class Held:
        def __enter__(self) -> Path:
            return made.cache

        def __exit__(self, *rest: object) -> None: ...

    monkeypatch.setattr(workspace, "holding_cache", lambda root: Held())
    return made


def days(number: float) -> timedelta:
    return timedelta(days=number)


def test_the_newest_and_the_young_runs_stay_with_all_that_they_need(machine: Machine) -> None:
    keys = [machine.run(NOW - days(age), b"shared", b"of %d" % age) for age in (100, 50, 40, 3)]
    before = machine.there()
    told = machine.collect(remove=False, runs=1, days=30)
    assert machine.there() == before and machine.known() == set(keys)
    assert told["pinned runs"].number == told["journals"].number == 3
    assert told["objects of DVC's cache"].number == 6
    assert sum(one.size for one in told.values()) > 0
    machine.collect(runs=1, days=30)
    assert machine.known() == {keys[-1]}
    kept = {md5(each).hexdigest() for each in (b"shared", b"of 3")}
    assert kept < machine.there() and len(machine.there()) == 3
    assert keys[-1] in pins(machine.root) and keys[0] not in pins(machine.root)
    assert machine.collect(runs=1, days=30) == {}


def test_each_study_has_its_own_newest_and_what_failed_or_was_a_trial_does_not_count(machine: Machine) -> None:
    first = machine.run(NOW - days(200), b"a", study="seldom")
    old = machine.run(NOW - days(150), b"b")
    machine.runs([(NOW - days(110 + n), (b"trial",)) for n in range(2)], trials=True)
    for age in range(100, 105):
        key = f"tiny-{NOW - days(age):%Y%m%d-%H%M}-fail"
        failed = Journal(key=key, studies=["tiny"], pid=1, started=(NOW - days(age)).isoformat(), state="failed")
        journal.save(machine.root, failed)
    assert machine.collect(runs=1)["journals"].number == 7
    assert machine.known() == {first, old}


def test_what_any_branch_lock_clone_sweep_or_recent_stage_names_stays(machine: Machine) -> None:
    names = [machine.object(b"object %d" % n) for n in range(7)]
    line = "outs:\n  md5: {}\n".format
    (machine.root / "dvc.lock").write_text(line(names[0]))
    git(machine.root, "add", "dvc.lock")
    git(machine.root, "commit", "-q", "-m", "first")
    (machine.root / "dvc.lock").write_text(line(names[1]))
    (machine.root / "table.csv.dvc").write_text(line(names[2]))
    for place, name in (
        (machine.root / ".dvc/tmp/sweeps/tiny", names[3]),
        (home(machine.root) / "clones/a-1", names[4]),
    ):
        place.mkdir(parents=True)
        (place / "dvc.lock").write_text(line(name))
    (home(machine.root) / "clones/a-1").rename(home(machine.root) / f"clones/a-{os.getpid()}")
    machine.tried(days(1), names[5])
    long_ago = machine.tried(days(20), names[6])
    told = machine.collect(tried=14)
    assert machine.there() == set(names[:6])
    assert (told["objects of DVC's cache"].number, told["stages that were only tried"].number) == (1, 1)
    assert not long_ago.exists()


def test_a_collection_that_is_killed_is_finished_by_the_next(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = machine.run(NOW, b"kept")
    machine.run(NOW - days(300), b"old", b"older")
    for breaks_at in range(3, -1, -1):
        machine.run(NOW - days(300 + breaks_at), b"%d" % breaks_at)
        left = breaks_at

        def unlink(path: Path, missing_ok: bool = False) -> None:
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            os.remove(path)  # noqa: PTH107

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Path, "unlink", unlink)
            machine.collect(runs=1)
    machine.collect(runs=1)
    assert machine.known() == {kept}
    assert len(machine.there()) == 2
    assert machine.collect(runs=1) == {}


def test_a_run_of_another_workspace_and_one_under_way_stay(machine: Machine) -> None:
    machine.run(NOW, b"newest")
    for key, state, experiment in (("other", "completed", "f" * 40), ("going", "running", None)):
        journal.save(
            machine.root,
            Journal(
                key=key,
                studies=["tiny"],
                pid=1,
                started="2020-01-01T00:00:00+00:00",
                state=state,
                experiment=experiment,
            ),
        )
    assert machine.collect(runs=1) == {}


def test_where_mlflow_was_lost_no_run_that_it_knew_goes(machine: Machine) -> None:
    machine.run(NOW, b"new")
    key = machine.run(NOW - days(300), b"old", models={"tiny/mlp": "a-run"})
    assert machine.collect(runs=1) == {}
    assert key in machine.known()


def test_a_damaged_list_of_a_folder_stops_it(machine: Machine) -> None:
    name = machine.folder(b"rows")
    (machine.root / "dvc.lock").write_text(f"outs:\n  md5: {name}\n")
    (machine.cache / "files" / "md5" / name[:2] / name[2:]).write_text("[]")
    with pytest.raises(MedloopError, match="nothing is removed"):
        machine.collect()


def test_a_cache_that_others_may_use_is_left(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.object(b"of others")
    monkeypatch.setattr(machine, "cache", None)
    assert "objects of DVC's cache" not in machine.collect()


def registry(root: Path, champions: list[str], names: dict[str, str]) -> Any:
    """MLflow with versions 1 to 4 of `tiny`, the champion 2; runs r1 to r4 of these keys, and their files."""
    version = lambda n: SimpleNamespace(name="tiny", version=str(n), run_id=f"r{n}")  # noqa: E731
    tags = {"medloop.champions": json.dumps(champions)}
    listed: Callable[[list[Any]], Any] = lambda found: type("Page", (list,), {"token": None})(found)  # noqa: E731
    said: dict[str, dict[str, str]] = {run: {"medloop.run": key} for run, key in names.items()}
    place = root / ".medloop" / "mlflow" / "artifacts" / "tiny"
    for run in names:
        (place / run / "model").mkdir(parents=True)
        (place / run / "model" / "weights").write_text("weights")

    def run_of(run: str) -> Any:
        info = SimpleNamespace(artifact_uri=f"file://{place / run}", run_id=run)
        return SimpleNamespace(info=info, data=SimpleNamespace(tags=said[run]))

    return SimpleNamespace(
        search_registered_models=lambda page_token: listed(
            [SimpleNamespace(name="tiny", aliases={"champion": 2}, tags=tags)]
        ),
        search_model_versions=lambda clause, page_token: listed([version(n) for n in (1, 2, 3, 4)]),
        get_run=run_of,
        set_tag=lambda run, key, value: said[run].update({key: value}),
        delete_model_version=lambda name, number: None,
        search_experiments=lambda view_type=0: [],
        search_runs=lambda everywhere, clause, run_view_type=0: [
            run_of(run) for run in names if f"'{run}'" in clause or ("start_time < 1788" in clause and run == "drift")
        ],
        said=said,
        place=place,
    )


def test_the_registry_keeps_all_versions_or_the_newest_and_every_champion(tmp_path: Path) -> None:
    mlflow = registry(tmp_path, ["1", "2"], {f"r{n}": f"key-{n}" for n in (1, 2, 3, 4)})
    assert past_runs.registered(mlflow, Keep()).runs == {"r1", "r2", "r3", "r4"}
    found = past_runs.registered(mlflow, Keep(versions=1))
    assert (found.runs, found.dropped) == ({"r1", "r2", "r4"}, (("tiny", "3"),))
    assert found.keys == {"key-1", "key-2", "key-4"}


def test_files_in_mlflow_go_with_their_run_unless_another_run_has_the_same_model(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {f"r{n}": "elsewhere" for n in (1, 2, 3, 4)} | {"same": "x", "alone": "x", "drift": ""}
    mlflow = registry(machine.root, ["2"], names)
    old = machine.run(NOW - days(300), b"old", models={"tiny/a": "same", "tiny/b": "alone", "tiny/c": "r3"})
    machine.run(NOW, b"new", models={"tiny/a": "same"})
    commits = {commit for commit, _ in pins(machine.root).values()}
    found = past_runs.sort(list(journal.all_journals(machine.root)), Keep(runs=1), NOW, Registered(), commits)
    assert [run.key for run in found.go] == [old]
    monkeypatch.setattr(collecting.references, "comparisons", lambda mlflow, key: [])
    gone = collecting._recorded(machine.root, mlflow, found, Registered(runs=frozenset({"r3"})), Keep(), NOW)
    assert (gone.number, gone.size) == (2, 2 * len("weights"))
    gone.remove()
    assert mlflow.said["alone"]["medloop.collected"].startswith("2026-12-01")
    assert not (mlflow.place / "drift").exists()
    assert not (mlflow.place / "alone").exists() and (mlflow.place / "same").exists() and (mlflow.place / "r3").exists()


def test_a_year_of_nightly_runs_stays_within_bounds_and_loses_nothing_that_is_needed(machine: Machine) -> None:
    begin, sizes = NOW, list[int]()
    for month in range(13):
        nights = [begin + days(28 * month + night) for night in range(28)]
        machine.runs([(at, (b"%d rows" % at.timestamp(), b"the same each night")) for at in nights])
        machine.collect(now=nights[-1], runs=10, days=30)
        sizes.append(len(machine.there()))
        assert len(machine.known()) == len(git(machine.root, "for-each-ref", "refs/exps").splitlines()) <= 31
    assert max(sizes) == sizes[-1] <= 2 * 31 + 1
    for run in journal.all_journals(machine.root):
        at = datetime.fromisoformat(run.started)
        assert md5(b"%d rows" % at.timestamp()).hexdigest() in machine.there()


def test_the_policy_is_read_and_a_wrong_key_named(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("keep: {runs: 3, versions: 5, schedule: {every: 1 day}}\n")
    assert (policy(tmp_path).runs, policy(tmp_path).versions, policy(tmp_path).days) == (3, 5, 90)
    for wrong, said in (
        ("{rnus: 3}", "did you mean runs"),
        ("{runs: 0}", "greater"),
        ("{schedule: {corn: x}}", "did you mean cron"),
        ("{days: 99999999999}", "less than or equal to 36500"),
        ("{versions: 0}", "`all` or a number from 1 on"),
    ):
        params.write_text(f"keep: {wrong}\n")
        with pytest.raises(MedloopError, match=said) as error:
            policy(tmp_path)
        assert "params.yaml, keep." in error.value.where


def test_the_answer_says_whether_anything_is_gone() -> None:
    some = [Waste(kind="journals", number=2, size=3 << 30, remove=lambda: None)]
    assert sentence(some, gone_already=False) == "3.0 GiB may go; medloop gc --yes removes them."
    assert sentence(some, gone_already=True) == "3.0 GiB are removed."
    assert sentence([], gone_already=True).startswith("Nothing may go")

"""`medloop doctor`, `gc`, `upkeep` and `restore` by the real command, on a workspace with real runs."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flows import databases, journal, tracking
from flows.git import pins
from tests.func.conftest import Outcome
from tests.workspace import Workspace

Medloop = Callable[..., Outcome]


def a_home_of_its_own(root: Path, shared: Path, place: Path, keys: list[str], patch: pytest.MonkeyPatch) -> None:
    """What the shared home has of these runs, so that nothing of other tests can be removed."""
    for key in keys:
        (place / "runs").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(shared / "runs" / f"{key}.json", place / "runs" / f"{key}.json")
    database = databases.local(root)["mlflow"]
    copy = databases.back_up(root, "mlflow", database, datetime.now(UTC), 1)
    (place / "mlflow").mkdir()
    copy.replace(place / "mlflow" / "mlflow.db")
    patch.setenv("MEDLOOP_HOME", str(place))


def ran(outcome: Outcome) -> str:
    assert outcome.code == 0, outcome.text
    return outcome.printed.split("\nrun ")[1].split()[0]


def test_what_is_kept_can_be_had_again_after_a_collection_and_faults_are_found_and_mended(
    finished: Workspace,
    copy: Workspace,
    servers: Path,
    tmp_path: Path,
    medloop: Medloop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    second = ran(medloop(copy, "run", "tiny", "-S", "evaluate.resamples=100"))
    a_home_of_its_own(copy.root, servers, tmp_path / "home", [finished.key, second], monkeypatch)
    long_ago = journal.read(journal.path(copy.root, second))
    long_ago.number, long_ago.started = 0, "2020-01-01T00:00:00+00:00"
    journal.save(copy.root, long_ago)
    unneeded = copy.root / ".dvc" / "cache" / "files" / "md5" / "00" / ("0" * 30)
    unneeded.parent.mkdir(exist_ok=True)
    unneeded.write_text("of a run that is gone")
    mlflow = tracking.client(copy.root)
    for version in mlflow.search_model_versions("name = 'tiny'"):  # nobody needs the second run's model any more
        if mlflow.get_run(version.run_id).data.tags["medloop.run"] == second:
            mlflow.delete_model_version("tiny", version.version)
    params = YAML().load(copy.root / "params.yaml")
    params["keep"] = {"runs": 1, "days": 0, "tried": 0}
    YAML().dump(params, copy.root / "params.yaml")
    told = medloop(copy, "gc")
    assert "medloop gc --yes removes" in told.text and "runs to go 1" in told.text
    assert second in pins(copy.root)
    assert "are removed." in medloop(copy, "gc", "--yes").text
    assert second not in pins(copy.root)
    assert {run.key for run in journal.all_journals(copy.root)} == {finished.key}
    assert not unneeded.exists()
    assert "Nothing may go" in medloop(copy, "gc").text
    assert "stages are up to date" in medloop(copy, "status", "tiny").text
    again = medloop(copy, "reproduce", f"{finished.key}/logistic")
    assert (again.code, "bit-identical" in again.text) == (0, True), again.text

    assert medloop(copy, "upkeep").code == 0
    (backup,) = databases.backups(copy.root, "mlflow")
    well = medloop(copy, "doctor", "--json")
    answer = json.loads(well.printed)
    assert [one for one in answer["findings"] if one["state"] == "fault" and one["check"] != "python"] == []
    a_champions_damaged_weights_are_packed_again(copy, medloop)
    damaged = next((copy.root / ".dvc" / "cache" / "files").rglob("[0-9a-f]*.dir"))
    damaged.chmod(0o644)
    whole = damaged.read_bytes()
    damaged.write_text("flipped")
    opened = journal.start(copy.root, ["tiny"], {})
    found = medloop(copy, "doctor")
    assert found.code == 1
    assert f"{opened.key} still counts as running" in found.text and str(damaged) in found.text
    mended = medloop(copy, "doctor", "--mend")
    assert "1 damaged objects are removed" in mended.text and "1 runs count as crashed" in mended.text
    back = medloop(copy, "restore", "mlflow")
    assert back.code == 0 and backup.name in back.text
    assert "there is no database" in medloop(copy, "restore", "mlfow").text

    damaged.write_bytes(whole)
    what_the_backup_does_not_know_is_told_again(copy, finished.key, tmp_path / "home")


def a_champions_damaged_weights_are_packed_again(workspace: Workspace, medloop: Medloop) -> None:
    run = tracking.client(workspace.root).get_model_version_by_alias("tiny", "champion").run_id
    place = Path(tracking.client(workspace.root).get_run(run).info.artifact_uri.removeprefix("file://"))
    weights = place / "model" / "weights" / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused = medloop(workspace, "predict", "tiny@champion", "patients.csv", "--out", "predictions.csv")
    assert refused.code == 1 and "weights/weights.safetensors" in refused.text and "doctor --mend" in refused.text
    assert "packed again, as recorded" in medloop(workspace, "doctor", "--mend").text
    assert weights.read_bytes() == whole


def what_the_backup_does_not_know_is_told_again(workspace: Workspace, key: str, home: Path) -> None:
    """The command in a process of its own, which never saw the former database."""
    tracking._make_database(home / "backups" / "mlflow-20200101-000000.db")  # that knows of nothing
    told = workspace.medloop("restore", "mlflow", "mlflow-20200101-000000.db")
    assert told.returncode == 0 and key in told.stdout, told.stdout + told.stderr
    with sqlite3.connect(home / "mlflow" / "mlflow.db") as known:
        runs = {run for (run,) in known.execute("select run_uuid from tags where key = 'medloop.recipe'")}
        assert known.execute("select count(*) from metrics where key = 'test_auroc'").fetchone() == (3,)
        assert known.execute("select version from registered_model_aliases").fetchall() == [(1,)]
        began = {start // 1000 for (start,) in known.execute("select start_time from runs")}
        ended = {end // 1000 for (end,) in known.execute("select end_time from runs")}
    run = journal.read(journal.path(workspace.root, key))
    assert runs == set(run.mlflow_runs.values())
    assert [began, ended] == [{datetime.fromisoformat(str(at)).timestamp()} for at in (run.started, run.ended)]

"""What MLflow is told."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from contracts.errors import MedloopError
from flows import record, servers, tracking
from flows.home import home


def test_a_damaged_database_is_an_error_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MEDLOOP_HOME"):
        monkeypatch.delenv(name, raising=False)
    database = home(tmp_path) / "mlflow" / "mlflow.db"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"no database" * 1000)
    with pytest.raises(MedloopError, match="file is not a database") as stopped:
        tracking.client(tmp_path)
    assert stopped.value.where == str(database)


class FakeMlflow:
    """MLflow's client as far as these tests need it: runs by their id with status and tags."""

    def __init__(self, runs: dict[str, tuple[str, dict[str, str]]]) -> None:
        self.runs = {
            name: SimpleNamespace(info=SimpleNamespace(run_id=name, status=status), data=SimpleNamespace(tags=tags))
            for name, (status, tags) in runs.items()
        }

    def get_run(self, run_id: str) -> SimpleNamespace:
        return self.runs[run_id]

    def search_runs(self, experiments: list[str], clause: str) -> list[SimpleNamespace]:
        return [run for run in self.runs.values() if f"'{run.data.tags.get('medloop.run')}'" in clause]

    def set_terminated(self, run_id: str, status: str) -> None:
        self.runs[run_id].info.status = status

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self.runs[run_id].data.tags[key] = value

    def statuses(self) -> dict[str, str]:
        return {name: run.info.status for name, run in self.runs.items()}


def test_what_a_killed_run_left_open_is_ended_and_its_models_come_under_the_next_page() -> None:
    gone, other = {"medloop.run": "gone"}, {"medloop.run": "other"}
    mlflow = FakeMlflow(
        {
            "page": ("FINISHED", {**gone, "medloop.kind": "comparison"}),
            "half": ("RUNNING", {**gone, "medloop.kind": "model", tracking.PARENT: "page"}),
            "whole": ("FINISHED", {**gone, "medloop.kind": "model", tracking.PARENT: "page"}),
            "theirs": ("RUNNING", {**other, "medloop.kind": "model"}),
        }
    )
    record.adopt(mlflow, "whole", {"medloop.run": "next"}, "next's page")
    assert mlflow.runs["whole"].data.tags["medloop.run"] == "gone"  # its page is whole: it stays there
    record.end_cut_short(mlflow, "1", ["gone"])
    assert mlflow.statuses() == {"page": "KILLED", "half": "KILLED", "whole": "FINISHED", "theirs": "RUNNING"}
    record.adopt(mlflow, "whole", {"medloop.run": "next"}, "next's page")
    assert mlflow.runs["whole"].data.tags == {
        "medloop.run": "next",
        "medloop.kind": "model",
        tracking.PARENT: "next's page",
    }


def test_a_page_that_was_opened_twice_since_the_server_died_over_it_does_not_stay_open() -> None:
    own, other = {"medloop.run": "own", "medloop.kind": "comparison"}, {"medloop.run": "other"}
    mlflow = FakeMlflow({"page": ("FINISHED", own), "twin": ("RUNNING", own), "theirs": ("RUNNING", other)})
    record.end_doubled(mlflow, "1", "own")
    assert mlflow.statuses() == {"page": "FINISHED", "twin": "KILLED", "theirs": "RUNNING"}


def test_a_run_that_could_not_be_filled_is_shown_as_failed() -> None:
    mlflow = FakeMlflow({"run": ("RUNNING", {})})
    with pytest.raises(OSError, match="full"), tracking.failed_otherwise(mlflow, "run"):
        raise OSError("full")
    assert mlflow.statuses() == {"run": "FAILED"}


@pytest.mark.parametrize("original", ["stays", "goes"])
def test_a_workspace_that_was_copied_or_moved_reads_and_writes_its_own_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, original: str
) -> None:
    for name in ("MEDLOOP_HOME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    before, after, given = tmp_path / "before", tmp_path / "after", tmp_path / "given.txt"
    mlflow = tracking.client(before)
    run = tracking.open_run(mlflow, tracking.experiment_id(mlflow, before, "tiny"), "one", {})
    given.write_text("a model")
    mlflow.log_artifact(run, str(given))
    (shutil.copytree if original == "stays" else shutil.move)(before, after)
    there = tracking.client(after)
    (uri,) = {there.get_run(run).info.artifact_uri}
    assert uri.startswith(servers.artifacts(after).as_uri())
    assert [one.path for one in there.list_artifacts(run)] == ["given.txt"]
    again = tracking.open_run(there, tracking.experiment_id(there, after, "tiny"), "two", {})
    assert there.get_run(again).info.artifact_uri.startswith(servers.artifacts(after).as_uri())


def test_a_workspace_reached_through_a_link_keeps_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MEDLOOP_HOME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    mlflow = tracking.client(tmp_path / "it")
    run = tracking.open_run(mlflow, tracking.experiment_id(mlflow, tmp_path / "it", "tiny"), "one", {})
    servers.artifacts(tmp_path / "it").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "it")
    named = mlflow.get_run(run).info.artifact_uri
    assert tracking.client(tmp_path / "link").get_run(run).info.artifact_uri == named

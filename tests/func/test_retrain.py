"""`medloop retrain`, `promote` and `rollback` by the real command, on a workspace that has run."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from tests.func.conftest import Outcome
from tests.workspace import Workspace, patients

Medloop = Callable[..., Outcome]


@pytest.fixture
def champion(copy: Workspace, finished: Workspace, servers: Path, medloop: Medloop) -> Iterator[str]:
    """The version that the finished run registered, champion while the test lasts: other workspaces share the name."""

    runs = json.loads((servers / "runs" / f"{finished.key}.json").read_text())["mlflow_runs"].values()
    with closing(sqlite3.connect(servers / "mlflow" / "mlflow.db")) as mlflow:
        versions = dict(mlflow.execute("select run_id, version from model_versions where name = 'tiny'"))
        ((before,),) = mlflow.execute(
            "select version from registered_model_aliases where alias = 'champion' and name = 'tiny'"
        )
    own = str(next(versions[run] for run in runs if run in versions))
    assert medloop(copy, "promote", "tiny", own).code == 0
    yield own
    medloop(copy, "promote", "tiny", str(before))


def more_patients(workspace: Workspace) -> None:
    new = patients(120, seed=5)
    new["record"] = [f"{i:05d}" for i in range(1001, 1121)]
    new["patient"] = "new-" + new["patient"]
    new.loc[100:, "ill"] = ""  # not yet known
    workspace.write_data(pd.concat([patients(), new]))


def study(workspace: Workspace, *, margin: object, smoker: bool = True) -> None:
    """A recipe that is worse: it calls nobody ill. The gate is no stage's: to change it makes nothing stale."""

    def change(of: dict) -> None:
        of["models"], of["train"] = {"logistic": {}}, {"threshold": 0.99}
        metric = {"metric": "balanced_accuracy", "margin": margin, "calibration": None, "subgroups": {"sex": []}}
        of["gate"] = {**metric, "subgroup_margin": 0.9, "decision": "promote"}
        if not smoker:
            of["drop"] = {"smoker": "not asked any more"}
            del of["columns"]["smoker"]

    workspace.write_study(change)


def kept(servers: Path) -> dict:
    newest = max((servers / "gates" / "tiny").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    return json.loads(newest.read_text())


def test_a_challenger_is_blocked_kept_promoted_and_rolled_back(
    copy: Workspace, champion: str, servers: Path, medloop: Medloop
) -> None:
    copy.write_data(patients().rename(columns={"smoker": "smokes"}))
    told = medloop(copy, "retrain", "tiny")
    assert told.code == 5 and "smokes – not named by the study smoker categorical not in the source" in told.text, (
        told.text
    )
    more_patients(copy)
    study(copy, margin="better", smoker=False)
    told = medloop(copy, "retrain", "tiny")
    assert told.code == 5, told.text
    assert "The schema has changed: smoker is gone" in told.text and "train@" not in told.text

    study(copy, margin="better")
    told = medloop(copy, "retrain", "tiny")
    assert told.code == 3, told.text
    assert f"Kept: version {champion} (" in told.text
    assert "next " not in told.text, "nobody is advised to promote a worse model"
    assert "No drift: nothing of 4 columns" in told.text
    told = medloop(copy, "drift", "tiny")
    assert told.code == 0 and "in 120 new rows of 60 patients" in told.text and "train@" not in told.text, told.text
    assert "20 of the new rows have no label yet" in told.text
    assert [path.suffix for path in sorted((servers / "drift" / "tiny").iterdir())] == [".html", ".json"]
    rows, split = kept(servers)["rows"], pd.read_parquet(copy.data("split", "split.parquet"))
    assert rows["frozen"] and rows["new"]
    assert rows["frozen"] + rows["new"] + rows["left_out"] == (split["@part"] == "test").sum()

    study(copy, margin=0.9)
    told = medloop(copy, "retrain", "tiny")
    assert told.code == 0 and "train@" not in told.text, told.text
    verdicts = list((servers / "gates" / "tiny").glob(f"{kept(servers)['key']}-*.json"))
    assert len(verdicts) == 2, "what kept it is not written over by what promoted it"
    gate = kept(servers)
    assert gate["champion"]["version"] == champion and gate["verdict"] == "promoted"
    promoted = gate["challenger"]["version"]
    assert f"Promoted: version {promoted} (logistic) takes the place of version {champion}" in told.text
    assert f"Nothing new: version {promoted}" in medloop(copy, "retrain", "tiny").text

    back = medloop(copy, "rollback", "tiny", "--why", "alarms")
    assert f"tiny version {champion} (" in back.text and f"not version {promoted}" in back.text


def test_without_mlflow_nothing_is_begun(copy: Workspace, medloop: Medloop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    before = (copy.root / "dvc.lock").read_bytes()
    for command in (["retrain", "tiny"], ["promote", "tiny"], ["rollback", "tiny"]):
        told = medloop(copy, *command)
        assert told.code == 1 and "MLflow does not answer" in told.text
    assert (copy.root / "dvc.lock").read_bytes() == before

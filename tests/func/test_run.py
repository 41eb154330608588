"""One whole run of a small study, by the real command: Prefect, DVC, Great Expectations, Lightning, MLflow."""

import json
import re
import shutil
import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from tests.workspace import Workspace, make_workspace, patients, run

ALL = [
    "ingest",
    "validate",
    "clean",
    "split",
    "impute",
    "normalize",
    "balance",
    "audit",
    "train",
    "evaluate",
    "compare",
]


@pytest.fixture
def copy(finished: Workspace, tmp_path: Path) -> Workspace:
    """The finished workspace, to be changed."""
    shutil.copytree(finished.root, tmp_path / "copy", symlinks=True)
    return Workspace(tmp_path / "copy")


def journal(home: Path) -> dict:
    newest = max((home / "runs").glob("tiny-*.json"), key=lambda p: p.stat().st_mtime)
    return json.loads(newest.read_text())


def test_the_run_is_known_to_all_by_one_key(finished: Workspace, servers: Path) -> None:
    told = journal(servers)
    assert told["state"] == "completed"
    assert {stage["name"].split("@")[0] for stage in told["stages"]} == {*ALL, "record"}
    assert told["key"] in finished.dvc("exp", "list").stdout
    with sqlite3.connect(servers / "prefect" / "prefect.db") as prefect:
        assert prefect.execute("select name, state_type from flow_run").fetchall() == [(told["key"], "COMPLETED")]
    with sqlite3.connect(servers / "mlflow" / "mlflow.db") as mlflow:
        tagged = mlflow.execute("select count(*) from tags where key = 'medloop.run' and value = ?", [told["key"]])
        assert tagged.fetchone() == (4,)


def test_the_best_model_is_registered_with_its_fitted_steps(finished: Workspace, servers: Path) -> None:
    with sqlite3.connect(servers / "mlflow" / "mlflow.db") as mlflow:
        versions = mlflow.execute("select name, version from model_versions").fetchall()
        (location,) = mlflow.execute("select artifact_location from experiments where name = 'tiny'").fetchone()
    assert versions == [("tiny", 1)]
    bundles = [p.parent for p in Path(location.removeprefix("file://")).rglob("manifest.json")]
    assert len(bundles) == 3
    for bundle in bundles:
        assert {"imputer.json", "normalizer.json", "schema.json", "declaration.json"} <= {
            p.name for p in bundle.iterdir()
        }


def test_no_value_of_a_patient_reaches_the_tracker(finished: Workspace, servers: Path) -> None:
    """Every id is distinctive; none may be in a recorded text or in the pages."""
    ids = patients()["patient"].unique()
    texts = [p.read_text(errors="ignore") for p in (servers / "mlflow").rglob("*") if p.suffix in (".json", ".html")]
    texts += [p.read_text() for p in (servers / "runs").glob("*.json")]
    assert texts
    assert not [i for i in ids if any(i in text for text in texts)]


def test_metrics_have_intervals_and_every_model_stands_on_the_same_rows(finished: Workspace) -> None:
    board = json.loads(finished.data("compare", "leaderboard.json").read_text())
    assert {row["model"] for row in board["rows"]} == {"mlp", "logistic", "boosting"}
    for row in board["rows"]:
        auroc = row["metrics"]["auroc"]
        assert 0 <= auroc["low"] <= auroc["value"] <= auroc["high"] <= 1
    assert board["verdict"]


def test_the_certificate_is_clean_and_seals_the_test_set(finished: Workspace) -> None:
    certificate = json.loads(finished.data("audit", "certificate.json").read_text())
    split = pd.read_parquet(finished.data("split", "split.parquet"))
    assert certificate["verdict"] == "clean"
    assert certificate["parts"]["test"]["count"] == (split["@part"] == "test").sum()


def test_a_second_run_does_nothing(finished: Workspace, servers: Path) -> None:
    before = journal(servers)["key"]
    result = finished.medloop("run", "tiny")
    assert result.returncode == 0, result.stderr
    assert "Nothing to do" in result.stdout
    assert journal(servers)["key"] == before


def test_dvc_agrees(finished: Workspace) -> None:
    assert "up to date" in finished.dvc("status").stdout
    assert "auroc" in finished.dvc("metrics", "show").stdout


def test_status_says_what_is_stale_and_why(copy: Workspace) -> None:
    copy.write_study(lambda s: s.update(normalize={"numeric": "robust"}))
    told = copy.medloop("status", "tiny").stdout
    stale = set(re.findall(r"stale (\w+)@", told))
    assert stale == {"normalize", "balance", "audit", "train", "evaluate", "compare"}
    assert "normalize" in told.split("normalize@tiny")[1].splitlines()[0]


def test_fewer_epochs_make_only_training_and_what_follows_stale(copy: Workspace) -> None:
    copy.write_study(lambda s: s.update(train={"epochs": 2}))
    told = copy.medloop("status", "tiny").stdout
    assert set(re.findall(r"stale (\w+)@", told)) == {"train", "evaluate", "compare"}


def test_adding_a_model_makes_nothing_else_stale(copy: Workspace) -> None:
    copy.write_study(lambda s: s.update(models={"logistic": {}, "boosting": {}}))
    told = copy.medloop("status", "tiny").stdout
    assert set(re.findall(r"stale (\w+)@", told)) <= {"compare"}


def test_a_damaged_object_is_made_again_not_used(copy: Workspace) -> None:
    target = copy.data("split", "split.parquet")
    shutil.rmtree(copy.data("split"))
    objects = [p for p in (copy.root / ".dvc" / "cache" / "files").rglob("*") if p.is_file()]
    import hashlib

    wanted = hashlib.md5((copy.root / "dvc.lock").read_bytes(), usedforsecurity=False)
    assert wanted
    for path in objects:
        path.chmod(0o644)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        path.chmod(0o444)
    assert copy.medloop("run", "tiny").returncode == 0
    pd.read_parquet(target)


def test_repro_and_run_leave_the_same_lock(finished: Workspace, tmp_path: Path) -> None:
    """`dvc repro` alone, stage by stage in children, against `medloop run` in one process."""
    twin = make_workspace(tmp_path / "twin")
    shutil.copyfile(finished.root / "studies.yaml", twin.root / "studies.yaml")
    result = twin.dvc("repro", "--quiet")
    assert result.returncode == 0, result.stderr
    assert (twin.root / "dvc.lock").read_bytes() == (finished.root / "dvc.lock").read_bytes()


def test_new_rows_are_scored_and_none_is_lost(finished: Workspace, tmp_path: Path) -> None:
    rows = patients(50, seed=9).drop(columns=["ill", "patient"])
    rows.loc[3, "glucose"] = "high"
    rows.to_csv(tmp_path / "new.csv", index=False)
    out = tmp_path / "scores.parquet"
    result = finished.medloop("predict", "tiny", str(tmp_path / "new.csv"), "--out", str(out))
    assert result.returncode == 0, result.stderr
    scores = pd.read_parquet(out)
    assert len(scores) == 50
    failed = scores[scores["reason"].fillna("") != ""]
    assert len(failed) == 1
    assert "glucose" in failed["reason"].iloc[0]
    assert scores.drop(failed.index)["probability=yes"].between(0, 1).all()


def test_scores_of_the_test_rows_are_those_of_the_run(finished: Workspace, servers: Path, tmp_path: Path) -> None:
    key, out = journal(servers)["key"], tmp_path / "scores.parquet"
    data = str(finished.root / "patients.csv")
    assert finished.medloop("predict", f"{key}/mlp", data, "--out", str(out)).returncode == 0
    again = pd.read_parquet(out).set_index("@id")["probability=yes"]
    first = pd.read_parquet(finished.data("evaluate", "mlp", "predictions.parquet")).set_index("@id")[
        "@probability=yes"
    ]
    pd.testing.assert_series_equal(again.loc[first.index], first, check_names=False, rtol=1e-5)


def test_a_csv_of_scores_cannot_run_in_a_spreadsheet(finished: Workspace, tmp_path: Path) -> None:
    rows = patients(3, seed=9)
    rows["record"] = ["=cmd|' /C calc'!A0", "00002", "00003"]
    rows.to_csv(tmp_path / "new.csv", index=False)
    assert (
        finished.medloop("predict", "tiny", str(tmp_path / "new.csv"), "--out", str(tmp_path / "s.csv")).returncode == 0
    )
    assert "\n'=cmd" in (tmp_path / "s.csv").read_text() or ",'=cmd" in (tmp_path / "s.csv").read_text()


def test_a_leak_that_is_planted_back_is_caught_and_nothing_is_registered(copy: Workspace, servers: Path) -> None:
    table = patients()
    table["pills"] = table["ill"].map({"yes": "1", "no": ""})
    copy.write_data(table)
    copy.write_study(lambda s: s["columns"].update(pills={"type": "categorical"}))
    result = copy.medloop("run", "tiny")
    assert result.returncode == 0, result.stderr
    assert "pills" in result.stdout
    assert "not registered" in result.stdout
    certificate = json.loads(copy.data("audit", "certificate.json").read_text())
    assert certificate["verdict"] == "suspect"


def test_the_draft_of_a_study_runs(copy: Workspace) -> None:
    drafted = copy.medloop("init", "patients.csv", "--target", "ill", "--group", "patient", "--name", "drafted")
    assert drafted.returncode == 0, drafted.stderr
    assert "units" in drafted.stdout
    for stage in ALL[:8]:
        result = copy.medloop("stage", stage, "drafted")
        assert result.returncode == 0, result.stderr


def test_help_is_quick_because_it_imports_nothing_heavy(finished: Workspace) -> None:
    code = (
        "import sys, flows.cli; print([m for m in ('torch', 'pandas', 'prefect', 'dvc', 'mlflow') if m in sys.modules])"
    )
    from tests.workspace import MEDLOOP

    assert run([str(MEDLOOP.with_name("python")), "-c", code], finished.root).stdout.strip() == "[]"

"""One whole run of a small study, by the real command: Prefect, DVC, Great Expectations, Lightning, MLflow."""

import json
import re
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pandas as pd
import pytest

from tests.func.conftest import Outcome
from tests.workspace import LEVEL, MEDLOOP, NUMBER, RECORD, Workspace, make_workspace, patients, run

BEFORE_TRAINING = ["ingest", "validate", "clean", "split", "impute", "normalize", "balance", "audit"]
ALL = [*BEFORE_TRAINING, "train", "explain", "evaluate", "compare"]
Medloop = Callable[..., Outcome]


def journal(finished: Workspace, home: Path) -> dict:
    return json.loads((home / "runs" / f"{finished.key}.json").read_text())


def stale(told: Outcome) -> set[str]:
    return set(re.findall(r"stale (\w+)@", told.text))


def test_the_run_is_known_to_all_by_one_key(finished: Workspace, servers: Path) -> None:
    told = journal(finished, servers)
    assert told["state"] == "completed"
    assert {stage["name"].split("@")[0] for stage in told["stages"]} == {*ALL, "record"}
    assert finished.key in finished.dvc("exp", "list").stdout
    query, waits_until = "select state_type from flow_run where name = ?", time.monotonic() + 30
    with sqlite3.connect(servers / "prefect" / "prefect.db") as prefect:
        while (state := prefect.execute(query, [finished.key]).fetchall()) == [("RUNNING",)]:
            assert time.monotonic() < waits_until, state
            time.sleep(0.2)  # once it was not there yet as soon as the run had ended
    assert state == [("COMPLETED",)]
    with sqlite3.connect(servers / "mlflow" / "mlflow.db") as mlflow:
        tagged = mlflow.execute("select count(*) from tags where key = 'medloop.run' and value = ?", [finished.key])
        assert tagged.fetchone() == (4,)


def test_prefects_pages_ask_the_server_that_shows_them(finished: Workspace, servers: Path) -> None:
    address = f"http://127.0.0.1:{json.loads((servers / 'servers.json').read_text())['prefect']['port']}"
    with build_opener(ProxyHandler({})).open(f"{address}/ui-settings") as answer:
        assert json.load(answer)["api_url"] == f"{address}/api"


def test_the_best_model_is_registered_with_its_fitted_steps(finished: Workspace, servers: Path) -> None:
    best = json.loads(finished.data("compare", "leaderboard.json").read_text())["rows"][0]["model"]
    run_id = journal(finished, servers)["mlflow_runs"][f"tiny/{best}"]
    with sqlite3.connect(servers / "mlflow" / "mlflow.db") as mlflow:
        assert ("tiny", 1, run_id) in mlflow.execute("select name, version, run_id from model_versions").fetchall()
    bundle = servers / "mlflow" / "artifacts" / "tiny" / run_id / "artifacts" / "model"
    found = {p.name for p in bundle.iterdir()}
    assert {"imputer.json", "normalizer.json", "schema.json", "declaration.json", "manifest.json"} <= found


def test_no_value_of_a_patient_reaches_the_tracker(finished: Workspace, servers: Path) -> None:
    """Every byte of what MLflow, Prefect, the journals and the logs keep, databases and their write-ahead logs too."""
    kept = [p for folder in ("mlflow", "prefect", "runs", "logs") for p in (servers / folder).rglob("*") if p.is_file()]
    names = {p.name for p in kept}
    assert {"mlflow.db", "prefect.db", f"{finished.key}.json", "leaderboard.html"} <= names
    for marker in ("patient-[0-9]{4}", RECORD, re.escape(NUMBER)):
        assert not holding(kept, marker), marker
    # To score new rows a model must know its levels: the fitted steps list them, the weights name an input after each.
    fitted = {"normalizer.json", "model.json"}
    assert holding(kept, LEVEL) == fitted


def holding(files: list[Path], pattern: str) -> set[str]:
    """The names of files with such bytes, read by another process.

    Closing a file ends all POSIX locks of this process on it, SQLite's too: to read a database here would break it.
    """
    found = subprocess.run(["grep", "-laE", "-e", pattern, "--", *map(str, files)], capture_output=True, text=True)
    # Prefect's server is at work: a write-ahead log may have gone since it was listed.
    assert not [line for line in found.stderr.splitlines() if "No such file" not in line]
    return {Path(line).name for line in found.stdout.splitlines()}


def test_metrics_have_intervals(finished: Workspace) -> None:
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


def test_a_second_run_does_nothing(finished: Workspace, servers: Path, medloop: Medloop) -> None:
    before = sorted((servers / "runs").glob("*.json"))
    told = medloop(finished, "run", "tiny")
    assert told.code == 0
    assert "Nothing to do" in told.text
    assert sorted((servers / "runs").glob("*.json")) == before


def test_an_editors_lock_beside_a_study_is_no_study(copy: Workspace, medloop: Medloop) -> None:
    (copy.root / "studies" / ".#tiny.yaml").symlink_to("someone@somewhere")
    copy.write_study()  # the same again, but later: it is checked anew
    told = medloop(copy, "run", "tiny")
    assert told.code == 0, told.text
    assert told.text.startswith("✓ Nothing to do")


def test_dvc_shows_the_metrics_and_nothing_stale(finished: Workspace) -> None:
    assert "up to date" in finished.dvc("status").stdout
    assert "auroc" in finished.dvc("metrics", "show").stdout


def test_status_says_what_is_stale_and_why(copy: Workspace, medloop: Medloop) -> None:
    copy.write_study(lambda s: s.update(normalize={"numeric": "robust"}))
    told = medloop(copy, "status", "tiny")
    assert stale(told) == {"normalize", "balance", "audit", "train", "explain", "evaluate", "compare"}
    assert "studies/tiny.yaml: normalize" in told.text


def test_fewer_epochs_make_only_training_and_what_follows_stale(copy: Workspace, medloop: Medloop) -> None:
    copy.write_study(lambda s: s.update(train={"epochs": 2}))
    assert stale(medloop(copy, "status", "tiny")) == {"train", "explain", "evaluate", "compare"}


def test_dropping_a_model_makes_nothing_stale_but_the_comparison(copy: Workspace, medloop: Medloop) -> None:
    copy.write_study(lambda s: s.update(models={"logistic": {}, "boosting": {}}))
    assert stale(medloop(copy, "status", "tiny")) == {"compare"}


def test_damaged_objects_are_made_again_not_used(copy: Workspace, medloop: Medloop) -> None:
    shutil.rmtree(copy.data("split"))
    for path in (copy.root / ".dvc" / "cache" / "files").rglob("*"):
        if path.is_file():
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.chmod(0o644)
            path.write_bytes(content)
            path.chmod(0o444)
    for stage in ("split", "impute"):
        shutil.rmtree(copy.data(stage), ignore_errors=True)
    told = medloop(copy, "run", "tiny")
    assert told.code == 0, told.text
    assert pd.read_parquet(copy.data("split", "split.parquet"))["@part"].nunique() == 3


def test_repro_and_run_leave_the_same_lock(finished: Workspace, tmp_path: Path) -> None:
    """`dvc repro` runs each stage in a child of its own and writes dvc.lock itself; `medloop run` does neither."""
    twin = make_workspace(tmp_path / "twin")
    shutil.copyfile(finished.root / "studies.yaml", twin.root / "studies.yaml")
    one_model = ["explain@tiny-logistic", "evaluate@tiny-logistic"]  # a child a stage takes its time
    result = twin.dvc("repro", "--quiet", *one_model)
    assert result.returncode == 0, result.stderr
    told = locked(twin)
    assert {*one_model, "ingest@tiny", "train@tiny-logistic"} <= told.keys()
    assert told.items() <= locked(finished).items()


def locked(workspace: Workspace) -> dict[str, str]:
    """What dvc.lock says of each stage, to the byte."""
    _, *stages = re.split(r"\n  (?=\S)", (workspace.root / "dvc.lock").read_text().removesuffix("\n"))
    return dict(stage.split(":\n", 1) for stage in stages)


def test_new_rows_are_scored_and_none_is_lost(finished: Workspace, tmp_path: Path, medloop: Medloop) -> None:
    rows = patients(50, seed=9).drop(columns=["ill", "patient"])
    rows.loc[3, "glucose"], rows.loc[4, "glucose"] = "high", "4711"
    rows.to_csv(tmp_path / "new.csv", index=False)
    out = tmp_path / "scores.parquet"
    told = medloop(finished, "predict", finished.key, str(tmp_path / "new.csv"), "--out", str(out))
    assert told.code == 0, told.text
    assert "49 rows scored, 1 could not be" in told.text
    assert "of 1 scored rows, cells were not taken as they are written, most often glucose: outside" in told.text
    scores = pd.read_parquet(out)
    failed = scores[scores["predicted"].isna()]
    assert len(scores) == 50
    assert "glucose" in failed["reason"].item()
    assert scores["reason"][4] == "glucose: outside the declared range, taken as missing"
    assert scores.drop(failed.index)["probability=yes"].between(0, 1).all()


@pytest.mark.parametrize("model", ["mlp", "boosting", "logistic"])
def test_scores_of_the_test_rows_are_those_of_the_run(
    model: str, finished: Workspace, tmp_path: Path, medloop: Medloop
) -> None:
    out = tmp_path / "scores.parquet"
    assert medloop(finished, "predict", f"{finished.key}/{model}", "patients.csv", "--out", str(out)).code == 0
    again = pd.read_parquet(out).set_index("id")["probability=yes"]
    first = pd.read_parquet(finished.data("evaluate", model, "predictions.parquet")).set_index("@id")
    pd.testing.assert_series_equal(again.loc[first.index], first["@probability=yes"], check_names=False, rtol=1e-5)


def test_a_csv_of_scores_cannot_run_in_a_spreadsheet(finished: Workspace, tmp_path: Path, medloop: Medloop) -> None:
    rows = patients(3, seed=9)
    rows["record"] = ["=cmd|' /C calc'!A0", "00002", "00003"]
    rows.to_csv(tmp_path / "new.csv", index=False)
    out = tmp_path / "scores.csv"
    assert medloop(finished, "predict", finished.key, str(tmp_path / "new.csv"), "--out", str(out)).code == 0
    assert "'=cmd" in out.read_text()
    assert not [cell for line in out.read_text().splitlines() for cell in line.split(",") if cell.startswith("=")]


def test_a_model_whose_files_were_changed_is_not_used(
    finished: Workspace, servers: Path, tmp_path: Path, medloop: Medloop
) -> None:
    run_id = journal(finished, servers)["mlflow_runs"]["tiny/logistic"]
    path = servers / "mlflow" / "artifacts" / "tiny" / run_id / "artifacts" / "model" / "imputer.json"
    before = path.read_text()
    path.write_text(before.replace("0.", "1.", 1))
    told = medloop(finished, "predict", run_id, "patients.csv", "--out", str(tmp_path / "s.csv"))
    path.write_text(before)
    assert told.code == 1
    assert "imputer.json" in told.text


def test_a_mistyped_study_is_told_where_all_settings_were_checked_before(finished: Workspace, medloop: Medloop) -> None:
    told = medloop(finished, "run", "tyny")
    assert told.code == 1
    assert "there is no study 'tyny' (did you mean tiny?)" in told.text


def test_a_leak_that_is_planted_is_caught_and_nothing_is_registered(copy: Workspace, medloop: Medloop) -> None:
    table = patients()
    table["pills"] = table["ill"].map({"yes": "1", "no": ""})
    copy.write_data(table)
    copy.write_study(lambda s: s["columns"].update(pills={"type": "categorical"}))
    told = medloop(copy, "run", "tiny")
    assert told.code == 0, told.text
    assert "pills" in told.text
    assert "not registered" in told.text
    assert json.loads(copy.data("audit", "certificate.json").read_text())["verdict"] == "suspect"


def test_the_draft_of_a_study_runs(copy: Workspace, medloop: Medloop) -> None:
    drafted = medloop(copy, "init", "patients.csv", "--target", "ill", "--group", "patient", "--name", "drafted")
    assert drafted.code == 0, drafted.text
    assert "units" in drafted.text
    for stage in BEFORE_TRAINING:
        told = medloop(copy, "stage", stage, "drafted")
        assert told.code == 0, told.text


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], ["torch", "pandas", "prefect", "dvc", "mlflow", "pydantic"]),
        (["run", "tiny"], ["torch", "pandas", "prefect", "mlflow", "great_expectations"]),
    ],
)
def test_what_has_nothing_to_do_imports_nothing_heavy(
    arguments: list[str], heavy: list[str], finished: Workspace, medloop: Medloop
) -> None:
    assert medloop(finished, "run", "tiny").code == 0
    code = f"""
import atexit, sys
from flows.cli import main
atexit.register(lambda: print("imported", [m for m in {heavy} if m in sys.modules]))
sys.argv = ["medloop", *{arguments}]
main()
"""
    told = run([str(MEDLOOP.with_name("python")), "-c", code], finished.root)
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip().endswith("imported []")

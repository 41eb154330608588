"""The stages split to audit in process, on a table written by hand: what they read and write fits together."""

import hashlib
import importlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contracts.errors import MedloopError
from contracts.study import Column
from contracts.tables import Schema
from flows.settings import load
from flows.stages import Context
from flows.store import write_json, write_payloads, write_table
from pipelines.split import SplitParams
from tests.workspace import REPOSITORY, Workspace

SCHEMA = Schema(
    features={
        "weight": Column(type="numeric"),
        "age": Column(type="numeric"),
        "ward": Column(type="categorical"),
        "stage": Column(type="ordinal", levels=("I", "II", "III")),
        "seen": Column(type="datetime"),
    },
    classes=("no", "yes"),
    positive="yes",
)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"@id": [f"r{i:03d}" for i in range(300)], "@group": [f"p{i // 2}" for i in range(300)]})
    table["@time"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(300) // 2, unit="D")
    table["@target"] = np.arange(300) // 2 % 3 // 2
    table["weight"] = rng.normal(70, 10, 300)
    table["age"] = rng.normal(50, 10, 300).round(1)
    table["ward"] = rng.choice(["a", "b"], 300)
    table["stage"] = rng.choice(["I", "II", "III"], 300)
    table["seen"] = table["@time"] - pd.to_timedelta(rng.integers(1, 900, 300), unit="D")
    features = list(SCHEMA.features)
    table[features] = table[features].mask(rng.random((300, 5)) < 0.1)
    shutil.copyfile(REPOSITORY / "params.yaml", tmp_path / "params.yaml")
    (tmp_path / "studies").mkdir()
    Workspace(tmp_path).write_study(lambda study: study["split"].update(folds=3))
    made = Context(root=tmp_path, settings=load(tmp_path, "tiny"))
    write_table(made.folder("clean") / "samples.parquet", table)
    write_json(made.folder("clean") / "schema.json", SCHEMA)
    for stage in ("ingest", "clean"):
        write_payloads(made.folder(stage) / "payloads", {})
    return made


def run(context: Context, *stages: str, split: SplitParams | None = None) -> str:
    if split:
        context = replace(context, settings=context.settings.model_copy(update={"split": split}))
    return [importlib.import_module(f"flows.stages.{stage}").run(context) for stage in stages][-1]


@pytest.mark.parametrize("method", ["stratified", "time"])
def test_what_is_stored_is_what_the_canary_fits_again(context: Context, method: str) -> None:
    split = SplitParams(method=method, folds=3 if method == "stratified" else None)
    told = run(context, "split", "impute", "normalize", "balance", "audit", split=split)
    assert told == "no leak found in 10 checks"
    certificate = json.loads((context.folder("audit") / "certificate.json").read_text())
    checks = {check["name"]: check for check in certificate["checks"]}
    assert checks["canary"]["evidence"]["otherwise"] == []
    assert checks["time order"]["evidence"]["by_time"] == (method == "time")


def test_an_imputer_that_is_not_what_training_gives_is_suspect(context: Context) -> None:
    run(context, "split", "impute")
    path = context.folder("impute") / "imputer.json"
    imputer = json.loads(path.read_text())
    imputer["fills"]["weight"] += 1
    path.write_text(json.dumps(imputer))
    assert "canary: imputation" in run(context, "normalize", "balance", "audit")


def test_a_split_file_is_pinned_by_its_hash(context: Context) -> None:
    run(context, "split")
    parts = pd.read_parquet(context.folder("split") / "split.parquet")
    frozen = context.root / "frozen.csv"
    parts.rename(columns={"@id": "id", "@part": "part"})[["id", "part"]].to_csv(frozen, index=False)
    with pytest.raises(MedloopError, match=found(frozen)):
        run(context, "split", split=SplitParams(method="file", file="frozen.csv"))
    run(context, "split", split=SplitParams(method="file", file="frozen.csv", file_sha256=found(frozen), seed=9))
    pd.testing.assert_frame_equal(
        pd.read_parquet(context.folder("split") / "split.parquet"), parts[["@id", "@part"]], check_dtype=False
    )


def test_a_split_file_without_its_columns_is_an_error(context: Context) -> None:
    frozen = context.root / "frozen.csv"
    frozen.write_text("id,set\nr001,test\n")
    with pytest.raises(MedloopError, match="no column part"):
        run(context, "split", split=SplitParams(method="file", file="frozen.csv", file_sha256=found(frozen)))


def found(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

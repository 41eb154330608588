"""One study of pictures, recordings, reports and a table, through the real command."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from flows.store import read_payloads
from tests import mixed
from tests.func.conftest import Outcome
from tests.workspace import Workspace, make_workspace


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, servers: object) -> Workspace:
    made = make_workspace(tmp_path_factory.mktemp("mixed") / "workspace")
    mixed.write(made)
    result = made.medloop("run", "mixed")
    assert result.returncode == 0, result.stdout + result.stderr
    return replace(made, key=result.stdout.split("\nrun ")[1].split()[0])


def of(run: Workspace, *parts: str):
    return run.root.joinpath("data", "mixed", *parts)


def test_payloads_are_decoded_once_and_stand_by_the_rows_of_each_part(run: Workspace) -> None:
    samples = pd.read_parquet(of(run, "clean", "samples.parquet"))
    decoded = read_payloads(of(run, "ingest", "payloads"))
    assert decoded["scan"].values.shape == (mixed.PATIENTS - 9, 1, 32, 32)
    assert decoded["scan"].values.dtype == np.uint8
    for part in ("train", "validation", "test"):
        rows = pd.read_parquet(of(run, "normalize", f"{part}.parquet"))
        ready = read_payloads(of(run, "normalize", "payloads", part))
        at = samples.set_index("@id").loc[rows["@id"], "scan"]
        assert len(ready["scan"]) == len(ready["gait"]) == len(ready["report"]) == len(rows)
        for place, position in enumerate(at):
            expected = 0 * ready["scan"][place] if pd.isna(position) else decoded["scan"][int(position)]
            assert (ready["scan"][place] == expected).all()
        assert np.isfinite(ready["gait"].values).all()


def test_made_rows_have_pictures_and_recordings_of_their_own(run: Workspace) -> None:
    table = pd.read_parquet(of(run, "balance", "train.parquet"))
    made = table[table["@id"] != table["@origin"]]
    payloads = read_payloads(of(run, "balance", "payloads"))
    assert len(made) == len(payloads["scan"]) == len(payloads["gait"]) > 0
    train = read_payloads(of(run, "normalize", "payloads", "train"))
    place = {row: at for at, row in enumerate(table["@id"])}
    for at, origin in enumerate(made["@origin"]):
        own = payloads["gait"][at]
        assert own.shape == train["gait"][place[origin]].shape
        assert not np.array_equal(own, train["gait"][place[origin]])
    figures = [name for name in made if name.startswith("gait ")]
    real = table.set_index("@id").loc[made["@origin"], figures].to_numpy()
    assert (made[figures].to_numpy() != real).any()


def test_the_certificate_looks_at_pictures_and_the_model_learns_from_all_kinds(run: Workspace) -> None:
    certificate = json.loads(of(run, "audit", "certificate.json").read_text())
    assert {"pictures and texts", "canary"} <= {check["name"] for check in certificate["checks"]}
    metrics = json.loads(of(run, "evaluate", "logistic", "metrics.json").read_text())
    assert metrics["auroc"] > 0.8


def test_new_rows_are_scored_and_one_without_its_file_is_listed(run: Workspace, medloop) -> None:
    rows = pd.read_csv(run.root / "mixed" / "visits.csv", dtype="str").drop(columns="ill").head(4)
    rows.loc[1, "scan"] = "scans/absent.png"
    rows.to_csv(run.root / "mixed" / "new.csv", index=False)
    done: Outcome = medloop(run, "predict", f"{run.key}/autoencoder", "mixed/new.csv", "--out", "scores.csv")
    scores = pd.read_csv(run.root / "scores.csv", dtype="str", keep_default_na=False)
    assert done.code == 0, done.printed
    assert (scores["predicted"] != "").tolist() == [True, False, True, True]
    assert "absent.png" in scores["reason"][1]
    assert list(scores)[-3:] == ["probability=yes", "unusual", "reason"]
    unusual = scores.loc[scores["predicted"] != "", "unusual"].astype(float)
    assert unusual.between(0, 1).all()

"""Which runs are compared on which rows: names, dvc.lock read by entry, rows that nobody learnt from."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contracts.errors import MedloopError
from flows.comparing import rows, show
from flows.comparing.files import entry, outputs
from flows.comparing.rows import Judged, shared
from flows.comparing.runs import Run, with_names
from flows.comparing.show import columns
from pipelines.evaluate import Entry, EvaluateParams, evaluate

LOCK = """schema: '2.0'
stages:
  evaluate@a-mlp:
    cmd: medloop stage evaluate a mlp
    deps:
    - path: data/a/train/mlp/model
      hash: md5
      md5: 11.dir
      size: 3
    outs:
    - path: data/a/evaluate/mlp/evaluation.json
      hash: md5
      md5: '22'
    - path: data/a/evaluate/mlp/predictions.parquet
      hash: md5
      md5: 33
      size: 3
  evaluate@a-mlp-large:
    cmd: medloop stage evaluate a mlp-large
    outs:
    - path: data/a/evaluate/mlp-large/evaluation.json
      hash: md5
      md5: 44
"""


def test_an_entry_of_the_lock_is_read_alone() -> None:
    found = outputs(LOCK, "evaluate a mlp")
    assert found["data/a/evaluate/mlp/predictions.parquet"] == "33"
    assert found["data/a/evaluate/mlp/evaluation.json"] == "22", "a hash of digits alone is quoted"
    assert list(outputs(LOCK, "evaluate a mlp-large").values()) == ["44"]
    assert outputs(LOCK, "train a mlp") == {} and entry(LOCK, "evaluate a m") == ""


def run(study: str, model: str, key: str = "", run_id: str = "") -> Run:
    return Run(reference="", study=study, model=model, run_id=run_id, tags={"medloop.run": key} if key else {})


def test_names_are_as_short_as_tells_them_apart() -> None:
    def names(*runs: Run) -> list[str]:
        return [one.name for one in with_names(runs)]

    assert names(run("a", "mlp", "k1"), run("a", "cnn", "k1")) == ["mlp", "cnn"]
    assert names(run("a", "mlp", "k1"), run("a", "mlp", "k2"), run("a", "cnn")) == ["mlp of k1", "mlp of k2", "cnn"]
    assert names(run("a", "mlp", "k1"), run("a", "mlp")) == ["mlp of k1", "mlp (present)"]
    assert names(run("a", "mlp"), run("b", "mlp")) == ["a/mlp", "b/mlp"]
    assert names(run("a", "mlp", "k", "1" * 32), run("a", "mlp", "k", "2" * 32)) == ["mlp 11111111", "mlp 22222222"]


def test_columns_and_where_they_are_cut() -> None:
    assert columns(["sex", "age=40,65"]) == {"sex": (), "age": (40.0, 65.0)}
    with pytest.raises(MedloopError, match="numbers were expected"):
        columns(["age=old"])


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch):
    """Makes a run of forty rows, two a patient; each is given its test rows and those it learnt from."""
    monkeypatch.setattr(rows, "_samples", lambda one, ids: pd.DataFrame({"@id": ids}))

    def make(name: str, tested: list[int], learnt: list[int], **other: object) -> Judged:
        ids = pd.Series([f"r{at}" for at in tested], dtype="str")
        group = np.array([f"p{at // 2}" for at in tested], dtype=object)
        target = np.array([at % 3 == 0 for at in tested]).astype(np.int64)
        score = np.linspace(0.1, 0.9, len(tested))
        probability = np.column_stack([1 - score, score])
        found = evaluate(
            target=target, probability=probability, group=group, threshold=0.5, classes=["no", "yes"], positive=1,
            params=EvaluateParams(resamples=100),
        )  # fmt: skip
        everyone = [(at, "test") for at in tested] + [(at, "train") for at in learnt]
        parts = pd.DataFrame(
            [{"@id": f"r{at}", "@group": f"p{at // 2}", "@part": part} for at, part in everyone]
        ).astype("str")
        certificate = SimpleNamespace(verdict="clean", intact=True, sentence="")
        made = Judged(
            run=Run(reference="", study="a", model=name, name=name), files=None, ids=ids, parts=parts, schema=None,
            entry=Entry(evaluation=found, target=target, predicted=probability, group=group),
            certificate=certificate, names={"id": "id", "group": "p"}, label=["ill"], data="d", split=name,
        )  # fmt: skip
        return replace(made, **other)

    return make


def test_only_rows_of_both_that_neither_learnt_from(judged) -> None:
    first = judged("a", [*range(20)], [*range(20, 40)])
    second = judged("b", [*range(10, 30)], [*range(5), *range(30, 40), 40])
    found = shared([first, second])
    assert list(found.rows["@id"]) == [f"r{at}" for at in range(10, 20)], "rows 20 to 29 taught the first"
    assert found.left_out == 20 and set(found.entries) == {"a", "b"}
    assert found.entries["b"].evaluation.counts.rows == 10
    assert (found.entries["a"].target == found.entries["b"].target).all()


def test_a_row_whose_patient_taught_the_other_is_left_out(judged) -> None:
    first = judged("a", [*range(10)], [20])
    second = judged("b", [0, *range(2, 10)], [1])
    assert list(shared([first, second]).rows["@id"]) == [f"r{at}" for at in range(2, 10)]


def test_a_changed_label_is_left_out_and_counted(judged) -> None:
    first, second = judged("a", [*range(10)], []), judged("b", [*range(10)], [])
    target = second.entry.target.copy()
    target[3] = 1 - target[3]
    found = shared([first, replace(second, entry=replace(second.entry, target=target))])
    assert found.relabelled == 1 and len(found.rows) == 9
    assert "1 of 10 shared test rows are left out" in found.cautions[0]


def test_a_label_that_was_defined_anew_is_a_caution(judged) -> None:
    first = judged("a", [*range(10)], [], target={"positive": "ill", "unit": ""})
    same, other = (judged(name, [*range(10)], [], target=first.target) for name in ("b", "c"))
    assert shared([first, same]).cautions == []
    (told,) = shared([first, same, replace(other, target={"positive": "dead", "unit": ""})]).cautions
    assert told.startswith("c learnt the label by another definition than a (target: positive)")


def test_the_stored_evaluation_stands_where_nothing_differs(judged) -> None:
    first, second = judged("a", [*range(10)], []), judged("b", [*range(10)], [])
    assert shared([first, second]).entries["b"].evaluation is second.entry.evaluation


def test_what_cannot_be_compared_is_said_why(judged) -> None:
    first = judged("a", [*range(10)], [])
    for other, why in (
        (judged("b", [*range(20, 30)], []), r"the test rows differ \(0 of 10 shared\)"),
        (judged("b", [*range(10)], [*range(11)]), "are training or validation rows of one of them"),
        (judged("b", [*range(10)], [], label=["dead"]), r"different labels \(dead, not ill\)"),
        (judged("b", [*range(10)], [], names={"id": "number", "group": "p"}), r"named otherwise \(id\)"),
    ):
        with pytest.raises(MedloopError, match=why):
            shared([first, other])
    third = judged("c", [*range(10)], [])
    found = shared([first, judged("b", [*range(20, 30)], []), third])
    assert set(found.entries) == {"a", "c"} and "b cannot be compared with a" in found.cautions[0]


def test_a_certificate_that_is_not_clean_is_a_caution(judged) -> None:
    bad = SimpleNamespace(verdict="leak", intact=True, sentence="a column gives the label away")
    found = shared([judged("a", [*range(10)], []), judged("b", [*range(10)], [], certificate=bad)])
    assert found.cautions == ["b: leak certificate leak: a column gives the label away"]


def test_stored_runs_are_read_off_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    from flows.comparing import stored

    (tmp_path / "mlflow").mkdir()
    path = tmp_path / "mlflow" / "mlflow.db"
    with sqlite3.connect(path) as database:
        database.executescript(
            """create table experiments (experiment_id integer, name text);
            create table runs (run_uuid text, experiment_id integer, start_time integer, lifecycle_stage text);
            create table tags (run_uuid text, key text, value text);
            create table params (run_uuid text, key text, value text);
            create table latest_metrics (run_uuid text, key text, value real);
            insert into experiments values (1, 'a');
            insert into runs values ('x', 1, 5, 'active'), ('y', 1, 6, 'deleted'), ('z', 1, 7, 'active');
            insert into tags values ('x', 'medloop.kind', 'model'), ('x', 'medloop.model', 'it''s'),
                                    ('z', 'medloop.kind', 'comparison');
            insert into params values ('x', 'train.seed', '1');
            insert into latest_metrics values ('x', 'test_auroc', 0.5);"""
        )
    monkeypatch.setattr(stored, "tracking_uri", lambda root: f"sqlite:///{path}")
    found = stored.by_ids(tmp_path, ["x", "y", "nosuch"])
    assert list(found) == ["x"] and found["x"].metrics == {"test_auroc": 0.5} and found["x"].study == "a"
    assert list(stored.alike(tmp_path, {"medloop.model": "it's"})) == ["x"]
    assert stored.alike(tmp_path, {"medloop.model": "' or 1=1 --"}) == {}


def test_the_terminals_metrics_stand_below_their_names_in_whatever_order_they_were_found() -> None:
    """Stored ones are sorted by name, those of the shared rows stand as they were computed."""

    def judged(**metrics: float) -> SimpleNamespace:
        return SimpleNamespace(evaluation=SimpleNamespace(metrics=metrics))

    stored = SimpleNamespace(entry=judged(accuracy=0.1, auroc=0.9, average_precision=0.2))
    place = SimpleNamespace(model="a", value=0.9, lead=None)
    of: Any = SimpleNamespace(
        metric="auroc",
        order=["a"],
        judged={"a": stored},
        standing=SimpleNamespace(places=[place]),
        shared=SimpleNamespace(entries={"a": judged(auroc=0.9, average_precision=0.25, accuracy=0.15)}),
    )
    assert show._others(of) == ["accuracy", "average_precision"]
    assert show._standing(of) == [["a", "0.9", "", "best", "0.15", "0.25"]]

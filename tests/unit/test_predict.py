"""Scoring new rows: every line comes out, in the source's order, read as the training rows were."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contracts.errors import MedloopError
from contracts.examples import Examples
from contracts.payloads import Payloads, ragged
from contracts.study import Column, Protection, Study, Target
from contracts.tables import Schema
from flows.bundle import _layout, _placeless, as_read, as_trained, forms
from flows.new_rows import read_new, without_label
from flows.predict import _write, predict, score
from flows.store import read_model, read_table, write_json
from pipelines.beyond import cut_off
from pipelines.clean import CleanParams, clean
from pipelines.impute import ImputeParams, apply_impute, fit_impute
from pipelines.normalize import NormalizeParams, fit_normalize
from pipelines.normalizer import apply_normalize
from pipelines.protect import protect
from pipelines.sources import FileSource, Layout, QuerySource, Raw, SqlSource, read

STUDY = Study(
    name="toy",
    title="Toy",
    id="id",
    target=Target(column="sick", classes=("no", "yes"), positive="yes"),
    columns={"né": Column(type="numeric"), "dose": Column(type="numeric")},
)
COLUMNS = ["row", "id", "predicted", "probability=no", "probability=yes", "reason"]


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Steps fitted on ten rows, and a model that says 0.25 of every row."""
    numbers = [str(n) for n in range(10)]
    raw = pd.DataFrame({"@row": numbers, "id": numbers, "né": numbers, "dose": numbers, "sick": ["no", "yes"] * 5})
    cleaned = clean(raw, STUDY, CleanParams())
    folder = tmp_path / "bundle"
    write_json(folder / "schema.json", cleaned.schema)
    schema = read_model(folder / "schema.json", Schema)  # its columns sorted, as the stages take it
    imputer = fit_impute(cleaned.samples, schema, ImputeParams())
    normalizer = fit_normalize(apply_impute(imputer, cleaned.samples), imputer.after, NormalizeParams())
    parts = {"declaration": STUDY, "clean": CleanParams(), "imputer": imputer, "normalizer": normalizer}
    for name, part in parts.items():
        write_json(folder / f"{name}.json", part)

    def predict(examples: Examples) -> np.ndarray:
        return np.tile([0.75, 0.25], (len(examples), 1))

    told = SimpleNamespace(classes=("no", "yes"), positive=1, task="classes")
    own = {"pretrained": False, "is_ensemble": False}
    trained = SimpleNamespace(told=lambda rows: (predict(rows), None), threshold=0.5, inputs=told, **own)
    monkeypatch.setattr("models.store.load", lambda _: trained)
    return folder


def scored(bundle: Path, data: Path) -> pd.DataFrame:
    raw = read(FileSource(path=str(data), ragged="quarantine"), root=data, cache=data)
    return score(bundle, raw)


def test_an_ensemble_tells_how_far_its_members_differ(bundle: Path, tmp_path: Path) -> None:
    from models import store

    model: Any = store.load(bundle)
    alone, model.is_ensemble = model.told, True
    model.told = lambda rows: (alone(rows)[0], np.full(len(rows), 0.1))
    (tmp_path / "new.csv").write_text("id,né,dose\na,1,2\nb,high,2\n")
    scores = scored(bundle, tmp_path / "new.csv")
    assert list(scores) == [*COLUMNS[:-1], "spread", "reason"]
    assert scores["spread"].fillna(-1).tolist() == [0.1, -1]


def test_every_line_comes_out_in_the_order_of_the_source(bundle: Path, tmp_path: Path) -> None:
    lines = ["a,1,2", "b,high,2", "c,1", *(f"d{n},1,2" for n in range(7))]
    (tmp_path / "new.csv").write_text("id,ne\u0301,dose\n" + "\n".join(lines) + "\n")
    scores = scored(bundle, tmp_path / "new.csv")
    assert list(scores) == COLUMNS
    assert scores["row"].tolist() == [str(line) for line in range(2, 12)]
    assert scores["id"].tolist()[:4] == ["a", "b", "", "d0"]
    assert (scores["reason"] != "").tolist() == [False, True, True] + 7 * [False]
    assert scores["probability=yes"].isna().tolist() == [False, True, True] + 7 * [False]
    _write(scores, tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "out.parquet"), scores)
    _write(scores, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[0] == ",".join(COLUMNS)


def test_rows_of_a_folder_are_told_by_file_and_columns_stay_where_none_is_scored(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "1.csv").write_text("id,né,dose\na,high,2\nb,1\n")
    (tmp_path / "new" / "2.csv").write_text("id,né,dose\nc,high,2\n")
    scores = scored(bundle, tmp_path / "new")
    assert list(scores) == COLUMNS
    assert scores["row"].tolist() == ["1.csv:2", "1.csv:3", "2.csv:2"]
    assert (scores["reason"] != "").all()


def test_a_scored_row_names_what_was_not_taken_as_written(bundle: Path, tmp_path: Path) -> None:
    dose = Column(type="numeric", range=(0, 20))
    declared = STUDY.model_copy(update={"columns": {**STUDY.columns, "dose": dose}})
    schema = read_model(bundle / "schema.json", Schema)
    write_json(bundle / "declaration.json", declared)
    write_json(bundle / "schema.json", schema.model_copy(update={"features": declared.columns}))
    (tmp_path / "new.csv").write_text("id,né,dose\na,1,2\nb,1,4711\nc,high,4711\n")
    scores = scored(bundle, tmp_path / "new.csv")
    assert scores["predicted"].notna().tolist() == [True, True, False]
    kept, altered, failed = scores["reason"]
    assert kept == ""
    assert altered == "dose: outside the declared range, taken as missing"
    assert "né: not readable" in failed
    assert "4711" not in scores.to_csv()
    write_json(bundle / "clean.json", CleanParams(out_of_range="clip"))
    assert scored(bundle, tmp_path / "new.csv")["reason"][1] == "dose: outside the declared range, set to its bound"


def test_a_number_in_another_unit_is_told_where_no_range_is_declared(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("id,né,dose\na,1,2\nb,1,4711\nc,-4711,4711\n")
    scores = scored(bundle, tmp_path / "new.csv")
    cut = "far beyond the training rows, and cut"
    assert scores["reason"].tolist() == ["", f"dose: {cut}", f"dose: {cut}; né: {cut}"]
    assert scores["predicted"].notna().all()


def test_a_recording_in_another_unit_is_told_by_its_figures() -> None:
    def recordings(rows: pd.DataFrame, unit: float) -> dict[str, Payloads]:
        beats = (np.random.default_rng(0).normal(size=(len(rows), 40, 1)) * unit).astype(np.float32)
        return {"ecg": ragged(list(beats), channels=("v1",), like=beats[0])}

    rows = pd.DataFrame({"@id": [f"{n:02}" for n in range(20)], "ecg": pd.array(range(20), dtype="Int64")})
    rows["@group"], rows["@target"] = rows["@id"], [0, 1] * 10
    schema = Schema(features={"ecg": Column(type="sequence")}, classes=("no", "yes"))
    normalizer = fit_normalize(rows, schema, NormalizeParams(), recordings(rows, 1))
    reasons = [cut_off(normalizer, apply_normalize(normalizer, rows, recordings(rows, unit))) for unit in (1, 1000)]
    assert set(reasons[0]) == {""}
    assert reasons[1].str.match(r"ecg: far beyond the training rows by its v1 .* more, and cut").all()


def test_new_rows_are_protected_as_the_training_rows_were(bundle: Path, tmp_path: Path) -> None:
    protected = {"id": Protection(hash=True), "dose": Protection(cap=4), "phone": Protection(drop=True)}
    write_json(bundle / "declaration.json", STUDY.model_copy(update={"protect": protected}))
    (tmp_path / "new.csv").write_text("id,né,dose,phone\n7,1,97,555-234-4567\n8,1,9O,555-234-4568\n")
    raw = read(FileSource(path=str(tmp_path / "new.csv")), root=tmp_path, cache=tmp_path)
    scores = score(bundle, raw, b"k" * 32)
    hidden, _ = protect(raw.table, Study.model_validate({**STUDY.model_dump(), "protect": protected}), b"k" * 32)
    assert scores["id"].tolist() == hidden["id"].tolist() != ["7", "8"]
    assert scores["predicted"].notna().tolist() == [True, False]
    assert "dose: not readable" in scores["reason"][1]


def test_a_bundle_keeps_how_its_source_lay_and_no_place() -> None:
    source = FileSource(path="/home/x/t.txt", separator="|", encoding="gbk", decimal=",", ragged="quarantine")
    nothing: dict[str, object] = {"sheet": None, "labels": None, "files": None, "fields": {}, "folder": None}
    assert _layout(source) == {"separator": "|", "encoding": "gbk", "decimal": ",", **nothing}
    assert _layout(source.model_copy(update={"folder": "scans"}))["folder"] == "scans"
    for place in ("/home/x/scans", "s3://ward/scans"):
        assert _layout(source.model_copy(update={"folder": place}))["folder"] is None
    assert _layout(SqlSource(url="sqlite:///t.db", table="t")) == {}


JOINED = QuerySource.model_validate(
    {
        "tables": {
            "people": {"kind": "file", "path": "/home/x/people.csv", "separator": ";"},
            "doses": {"kind": "sql", "url": "postgresql://db.example.org/ward", "table": "doses"},
            "beats": {"kind": "file", "path": "data/beats.csv"},
        },
        "query": """
            SELECT id, "né", dose, CASE WHEN days IS NOT NULL THEN days < 90 END AS sick -- the doctor's "yes"
            FROM people JOIN doses USING (id)""",
        "sequences": {"beat": {"query": "SELECT * FROM beats", "id": "id", "key": "id", "time": "t", "values": ["v"]}},
    }
)
PEOPLE = "id;né;days\na;1;\nb;2;\n"


def joined(bundle: Path, folder: Path, people: str = PEOPLE) -> Raw:
    """New rows of a study that joins three tables, read from a folder in which they go by name."""
    write_json(bundle / "query.json", _placeless(JOINED))
    folder.mkdir(exist_ok=True)
    (folder / "people.csv").write_text(people)
    pd.DataFrame({"id": ["a", "b"], "dose": ["2", "3"]}).to_parquet(folder / "doses.parquet")
    (folder / "beats.tsv").write_text("id\tt\tv\na\t0\t5\na\t1\t6\n")
    return read_new(bundle, folder.name, folder.parent).raw


def test_new_rows_of_joined_tables_come_as_a_folder_of_them(bundle: Path, tmp_path: Path) -> None:
    raw = joined(bundle, tmp_path / "new")
    assert raw.payloads["beat"][0].ravel().tolist() == [5, 6]
    assert raw.table["beat"].tolist() == ["0", ""]
    scores = score(bundle, raw)
    assert scores["id"].tolist() == ["a", "b"]
    assert scores["predicted"].notna().all()
    assert not {"home", "db.example.org", "data/beats"} & set(
        re.findall(r"[\w./]+", _placeless(JOINED).model_dump_json())
    )


def test_a_table_or_a_column_that_new_rows_lack_is_told(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    for people, problem, mend in [
        ("id;né\na;1\n", "needs the column days", "leave its cells blank"),
        ("id;days\na;1\n", "needs the column né", "add it"),  # not the word "né" for each
        ("id;né;days\nz;1;\n", "leaves out every new row", "AS sick"),
    ]:
        with pytest.raises(MedloopError, match=problem) as told:
            joined(bundle, folder, people)
        assert mend in told.value.mend
        assert "new" in told.value.where and "/" not in told.value.where
    (folder / "doses.parquet").unlink()
    with pytest.raises(MedloopError, match="none is doses") as told:
        read_new(bundle, "new", tmp_path)
    assert "beats, doses, people" in told.value.mend


def test_new_files_are_brought_to_the_form_of_the_training_files(bundle: Path, tmp_path: Path) -> None:
    steps = ragged([np.zeros((3, 2), np.float32)], channels=("ax", "ay"), like=np.zeros((0, 2), np.float32))
    pictures = Payloads(values=np.zeros((2, 3, 8, 6), np.uint16))
    write_json(bundle / "forms.json", forms({"walk": steps, "scan": pictures}, {"walk": {"rate": 20.0}}))
    held = {"walk": Column(type="sequence", missing=("-9",)), "scan": Column(type="image", colour="grey")}
    assert as_trained({**held, "x": Column(type="text")}, bundle) == {
        "walk": Column(type="sequence", missing=("-9",), channels=("ax", "ay"), rate=20),
        "scan": Column(type="image", size=(8, 6), colour="grey", depth=16),
        "x": Column(type="text"),
    }


def test_a_channel_that_no_new_row_has_is_a_gap_and_keeps_its_place(bundle: Path, tmp_path: Path) -> None:
    long = {"query": "SELECT * FROM labs", "id": "id", "key": "id", "time": "t", "channel": "test", "value": "value"}
    tables = {"labs": {"kind": "file", "path": "labs"}}
    query = QuerySource.model_validate(
        {"tables": tables, "query": "SELECT DISTINCT id FROM labs", "sequences": {"lab": long}}
    )
    write_json(bundle / "query.json", query)
    write_json(bundle / "forms.json", {"lab": {"channels": ["alt", "crp"], "rate": None}})
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "labs.csv").write_text("id,t,test,value\na,0,crp,7\na,0,new,1\n")
    payloads = read_new(bundle, "new", tmp_path).raw.payloads["lab"]
    assert payloads.channels == ("alt", "crp")
    assert np.isnan(payloads[0][0, 0]) and payloads[0][0, 1] == 7


@pytest.mark.parametrize("folder", ["yes/", ""])
def test_new_files_lie_as_in_training_or_without_the_folder_of_the_label(
    bundle: Path, tmp_path: Path, folder: str
) -> None:
    write_json(bundle / "layout.json", Layout(files="{sick}/{id}.txt"))
    (tmp_path / "new" / folder).mkdir(parents=True)
    for name in ("a.txt", "b.txt", "about.pdf"):
        (tmp_path / "new" / folder / name).write_text("a report")
    new = read_new(bundle, "new", tmp_path)
    assert new.raw.table["id"].tolist() == ["a", "b"]
    assert new.raw.table["sick"].tolist() == [folder.rstrip("/")] * 2
    assert new.raw.opened and new.raw.opened(new.raw.table["file"][0]) == b"a report"
    assert new.others == 1
    write_json(bundle / "layout.json", Layout(files="{sick}/{id}.jpg"))
    with pytest.raises(MedloopError, match="no file matches") as told:
        read_new(bundle, "new", tmp_path)
    assert "{id}.jpg" in told.value.mend


def test_only_a_folder_that_is_the_label_alone_may_be_left_out() -> None:
    assert without_label("{sick}/{patient}/{scan}.jpg", "sick") == "{patient}/{scan}.jpg"
    assert without_label("all/{patient}_{sick}/{scan}.jpg", "sick") == "all/{patient}_{sick}/{scan}.jpg"
    assert without_label("{scan}_{sick}.jpg", "sick") == "{scan}_{sick}.jpg"


def test_predictions_are_never_written_over_the_rows_they_are_of(tmp_path: Path) -> None:
    rows = tmp_path / "new.csv"
    rows.write_text("age\n70\n")
    with pytest.raises(MedloopError, match="over the rows"):
        predict(tmp_path, "ward@champion", str(rows), rows)
    assert rows.read_text() == "age\n70\n"


@pytest.mark.parametrize("name", ["new.csv", "NEW.CSV", "new.tsv.gz"])
def test_texts_to_be_tagged_come_as_one_table_whatever_its_ending_looks_like(tmp_path: Path, name: str) -> None:
    target = Target(column="spans", task="tagging", classes=("drug",))
    write_json(
        tmp_path / "declaration.json",
        Study(name="notes", title="notes", target=target, columns={"text": Column(type="text")}),
    )
    write_json(
        tmp_path / "query.json", QuerySource(kind="query", tables={"marks": FileSource(path="m.csv")}, query="SELECT 1")
    )
    sign = "\t" if "tsv" in name else ","
    pd.DataFrame({"id": ["a"], "text": ["of one"]}).to_csv(tmp_path / name, sep=sign, index=False)
    assert read_new(tmp_path, name, tmp_path).raw.table["text"].tolist() == ["of one"]


def test_new_rows_have_the_labels_taken_that_ingest_took() -> None:
    """A few rows may have other codes, of which all have labels or some have none."""
    open_, said = FileSource(path="p.sav"), FileSource(path="p.sav", labels=("ward",))
    assert as_read(open_, {"labelled": ["sex"]})["labels"] == ["sex"]
    assert as_read(open_, {})["labels"] is None
    assert as_read(said, {"labelled": ["sex"]})["labels"] == ("ward",)

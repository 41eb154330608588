"""Scoring new rows: every line comes out, in the source's order, read as the training rows were."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from contracts.examples import Examples
from contracts.study import Column, Protection, Study, Target
from contracts.tables import Schema
from flows.bundle import _layout
from flows.predict import _write, score
from flows.store import read_model, read_table, write_json
from pipelines.clean import CleanParams, clean
from pipelines.impute import ImputeParams, apply_impute, fit_impute
from pipelines.normalize import NormalizeParams, fit_normalize
from pipelines.protect import protect
from pipelines.sources import FileSource, SqlSource, read

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
    imputer = fit_impute(cleaned.samples, cleaned.schema, ImputeParams())
    normalizer = fit_normalize(apply_impute(imputer, cleaned.samples), imputer.after, NormalizeParams())
    folder = tmp_path / "bundle"
    parts = {"declaration": STUDY, "clean": CleanParams(), "schema": cleaned.schema}
    for name, part in {**parts, "imputer": imputer, "normalizer": normalizer}.items():
        write_json(folder / f"{name}.json", part)

    def predict_proba(examples: Examples) -> np.ndarray:
        return np.tile([0.75, 0.25], (len(examples), 1))

    trained = SimpleNamespace(
        predict_proba=predict_proba, threshold=0.5, inputs=SimpleNamespace(classes=("no", "yes"), positive=1)
    )
    monkeypatch.setattr("models.store.load", lambda _: trained)
    return folder


def scored(bundle: Path, data: Path) -> pd.DataFrame:
    raw = read(FileSource(path=str(data), ragged="quarantine"), root=data, cache=data)
    return score(bundle, raw.table, raw.quarantine)


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
    dose = Column(type="numeric", range=(0, 100))
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


def test_new_rows_are_protected_as_the_training_rows_were(bundle: Path, tmp_path: Path) -> None:
    protected = {"id": Protection(hash=True), "dose": Protection(cap=4), "phone": Protection(drop=True)}
    write_json(bundle / "declaration.json", STUDY.model_copy(update={"protect": protected}))
    (tmp_path / "new.csv").write_text("id,né,dose,phone\n7,1,97,555-234-4567\n8,1,9O,555-234-4568\n")
    raw = read(FileSource(path=str(tmp_path / "new.csv")), root=tmp_path, cache=tmp_path)
    scores = score(bundle, raw.table, raw.quarantine, b"k" * 32)
    hidden, _ = protect(raw.table, Study.model_validate({**STUDY.model_dump(), "protect": protected}), b"k" * 32)
    assert scores["id"].tolist() == hidden["id"].tolist() != ["7", "8"]
    assert scores["predicted"].notna().tolist() == [True, False]
    assert "dose: not readable" in scores["reason"][1]


def test_a_bundle_keeps_how_its_source_lay() -> None:
    source = FileSource(path="t.txt", separator="|", encoding="gbk", decimal=",", sheet="s", ragged="quarantine")
    assert _layout(source) == {"separator": "|", "encoding": "gbk", "decimal": ",", "sheet": "s"}
    assert _layout(SqlSource(url="sqlite:///t.db", table="t")) == {}

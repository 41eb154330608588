"""Files, folders and addresses: their rows, their provenance, and no secret of theirs told."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from contracts.errors import MedloopError
from contracts.study import Column, Study, Target
from pipelines.clean import CleanParams, clean
from pipelines.ingest import IngestParams, ingest
from pipelines.sources import FileSource, UnreachableError, fingerprint
from pipelines.sources.file import shown_path
from pipelines.validate import ValidateParams, validate
from tests.unit.sources import PLAIN, read_path


def test_a_folder_is_one_table_with_the_file_of_each_row(tmp_path: Path) -> None:
    (tmp_path / "2.csv").write_bytes(b"b,a\n4,3\n")
    (tmp_path / "1.tsv").write_bytes(b"a\tb\n1\t2\n")
    (tmp_path / "README.md").write_bytes(b"not a table")
    raw = read_path(tmp_path)
    assert raw.table.to_dict("list") == {"@row": ["1.tsv:2", "2.csv:2"], "a": ["1", "3"], "b": ["2", "4"]}
    (tmp_path / "3.csv").write_bytes(b"a,c\n1,2\n")
    with pytest.raises(MedloopError, match=r"3\.csv lacks b and adds c"):
        read_path(tmp_path)


def test_a_line_set_aside_in_one_file_costs_no_row_of_another(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_bytes(b"id,x,sick\na,1,no\nb,2,yes\n")
    (tmp_path / "2.csv").write_bytes(b"id,x,sick\nc,3,no\nd,4\ne,5,yes\n")
    raw = read_path(tmp_path, ragged="quarantine")
    assert raw.quarantine["@row"].tolist() == ["2.csv:3"]
    study = Study(
        name="toy",
        title="Toy",
        id="id",
        target=Target(column="sick", classes=("no", "yes"), positive="yes"),
        columns={"x": Column(type="numeric")},
    )
    ingested = ingest(raw, IngestParams(), study)
    validated = validate(ingested.table, study, ValidateParams(), missing=())
    assert validated.verdict == "pass"
    cleaned = clean(ingested.table, study, CleanParams(), set_aside=ingested.quarantine)
    assert cleaned.samples["@id"].tolist() == ["a", "b", "c", "e"]
    with pytest.raises(MedloopError, match=r"2\.csv:2"):
        clean(ingested.table.replace({"x": {"3": "high"}}), study, CleanParams())


def test_provenance_is_plain_repeatable_and_tells_nothing_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(PLAIN)
    told = json.dumps(read_path(tmp_path / "t.csv").provenance)
    assert told == json.dumps(read_path(tmp_path / "t.csv").provenance)
    assert str(tmp_path) not in told
    assert json.loads(told) == {
        "kind": "file",
        "path": "t.csv",
        "sha256": sha256(PLAIN).hexdigest(),
        "bytes": len(PLAIN),
        "rows": 2,
        "columns": 3,
        "encoding": "utf-8",
        "separator": ",",
    }


def test_a_fingerprint_changes_with_the_data(tmp_path: Path) -> None:
    source = FileSource(path="t.csv")
    (tmp_path / "t.csv").write_bytes(PLAIN)
    before = fingerprint(source, root=tmp_path)
    assert fingerprint(source, root=tmp_path) == before
    (tmp_path / "t.csv").write_bytes(PLAIN.replace(b"61", b"62"))
    assert fingerprint(source, root=tmp_path) != before


def test_a_file_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "visits.csv").write_bytes(PLAIN)
    with pytest.raises(MedloopError, match=r"did you mean visits\.csv"):
        read_path(tmp_path / "visit.csv")


def test_remote_files_are_read_and_the_addresss_secrets_are_not_told() -> None:
    import fsspec

    fsspec.filesystem("memory").pipe("/lab/t.csv", PLAIN)
    raw = read_path("memory://lab/t.csv")
    assert len(raw.table) == 2
    assert fingerprint(FileSource(path="memory://lab/t.csv"), root=Path()) == {
        "size": len(PLAIN),
        "sha256": sha256(PLAIN).hexdigest(),
    }
    with pytest.raises(UnreachableError) as caught:
        read_path("http://127.0.0.1:9/t.csv?sig=xyz")
    assert "xyz" not in str(caught.value)
    assert shown_path("simplecache::https://host/t.csv?sig=xyz") == "https://host/t.csv"


@pytest.mark.parametrize("path", ["http://me:hunter2@host/t.csv", "s3://me:hunter2@host/t", "https://hunter2@host/t"])
def test_a_password_in_an_address_is_refused_and_not_shown(path: str) -> None:
    with pytest.raises(MedloopError, match="a password stands") as caught:
        FileSource(path=path)
    assert "hunter2" not in str(caught.value)

"""Databases: one SELECT, read-only, and no password told."""

import re
import sqlite3
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from contracts.errors import MedloopError
from pipelines.sources import FileSource, Raw, SqlSource, UnreachableError, fingerprint, read


@pytest.fixture
def database(tmp_path: Path) -> Path:
    connection = sqlite3.connect(tmp_path / "lab.db")
    connection.execute("CREATE TABLE visit (id TEXT, n INTEGER, x REAL)")
    connection.executemany("INSERT INTO visit VALUES (?, ?, ?)", [("b", None, 0.1), ("007", 12345678901234567, 2.0)])
    connection.commit()
    connection.close()
    return tmp_path


def test_a_database_given_as_a_file_is_told_with_its_declaration(database: Path) -> None:
    with pytest.raises(MedloopError, match="this is a SQLite database") as caught:
        read(FileSource(path="lab.db"), root=database, cache=database)
    declared = re.search(r"source: (\{.*?\})", caught.value.mend)
    assert declared is not None
    source = YAML(typ="safe").load(declared[1].replace("NAME", "visit"))
    assert len(ask(database, **source).table) == 2
    assert "export the rows" in caught.value.mend


def ask(root: Path, **source: str) -> Raw:
    return read(SqlSource.model_validate({"url": "sqlite:///lab.db", **source}), root=root, cache=root)


def test_a_database_gives_text_in_an_order_of_its_own(database: Path) -> None:
    table = ask(database, table="visit").table
    assert table.to_numpy().tolist() == [[1, "007", "12345678901234567", "2.0"], [2, "b", "", "0.1"]]
    assert ask(database, query="SELECT id, n FROM visit WHERE id LIKE '%;%' OR x > 1;").table["id"].tolist() == ["007"]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM visit",
        "SELECT 1; DROP TABLE visit",
        "WITH q AS (SELECT 1) DELETE FROM visit",
        "SELECT nope FROM visit",
    ],
)
def test_only_a_select_runs(database: Path, query: str) -> None:
    with pytest.raises(MedloopError):
        ask(database, query=query)
    assert len(ask(database, table="visit").table) == 2


def test_faults_of_an_address_are_told_without_the_password(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MedloopError, match="no such SQLite file"):
        ask(database, url="sqlite:///other.db", table="visit")
    assert not (database / "other.db").exists()
    with pytest.raises(MedloopError, match="a password stands") as plain:
        ask(database, url="postgresql://me:hunter2@host/db", table="visit")
    for url in ("postgresql://me@host/db?password=hunter2", "postgresql://me:${X}hunter2@host/db"):
        with pytest.raises(MedloopError, match="a password stands") as shown:
            ask(database, url=url, table="visit")
        assert "hunter2" not in str(shown.value)
    with pytest.raises(MedloopError, match="LAB_PASSWORD is not set"):
        ask(database, url="postgresql://me:${LAB_PASSWORD}@127.0.0.1:9/db", table="visit")
    monkeypatch.setenv("LAB_PASSWORD", "hunter2")
    with pytest.raises(UnreachableError) as away:
        ask(database, url="postgresql://me:${LAB_PASSWORD}@127.0.0.1:9/db", table="visit")
    assert "hunter2" not in f"{plain.value}{away.value}"


def test_a_databases_fingerprint_follows_its_rows(database: Path) -> None:
    source = SqlSource(url="sqlite:///lab.db", table="visit")
    before = fingerprint(source, root=database)
    assert fingerprint(source, root=database) == before
    connection = sqlite3.connect(database / "lab.db")
    connection.execute("UPDATE visit SET x = 3")
    connection.commit()
    connection.close()
    assert fingerprint(source, root=database) != before

"""Tables joined by SQL: cells come out as they went in, nothing but reading is permitted, long tables are sequences."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.errors import MedloopError
from pipelines.sources import QuerySource, Raw, fingerprint, query, read
from pipelines.sources.long import LongNames, sequences_of
from pipelines.sources.query import _bracketed, read_query

PATIENTS = "id,age,code,note\n007,61,250.10,a\n8,,1.50,b\n9,100,7,\n"
LABS = "id,days,test,value\n007,-5,na,140\n007,-10,k,4.5\n007,-5,k,4.0\n007,-5,k,5\n8,-1,na,?\n9,3,na,1\n77,-1,na,1\n"
SEQUENCE = {"query": "SELECT * FROM labs WHERE days <= 0", "id": "id", "key": "id", "time": "days"}
LONG = {**SEQUENCE, "channel": "test", "value": "value"}


def joined(folder: Path, select: str, *, tables: dict[str, object] | None = None, **options: object) -> Raw:
    (folder / "patients.csv").write_text(PATIENTS)
    (folder / "labs.csv").write_text(LABS)
    named = {name: {"kind": "file", "path": f"{name}.csv"} for name in ("patients", "labs")}
    source = QuerySource.model_validate({"tables": {**named, **(tables or {})}, "query": select, **options})
    return read(source, root=folder, cache=folder)


def cells(raw: Raw) -> list[list[str]]:
    return raw.table.iloc[:, 1:].to_numpy().tolist()


def test_cells_come_out_as_written(tmp_path: Path) -> None:
    raw = joined(tmp_path, "SELECT * FROM patients")
    rows = [["007", "61", "250.10", "a"], ["8", "", "1.50", "b"], ["9", "100", "7", ""]]
    assert cells(raw) == rows and raw.table["@row"].tolist() == ["query:1", "query:2", "query:3"]


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
        | st.from_regex(r"-?\d+\.?\d*(e-?\d)?", fullmatch=True)
    )
)
@settings(max_examples=25)
def test_any_text_comes_out_as_written(texts: list[str]) -> None:
    table = pd.DataFrame({"x": pd.Series(["a", *texts], dtype="str")})
    source = QuerySource.model_validate({"tables": {"t": {"kind": "file", "path": "t"}}, "query": "SELECT x FROM t"})
    assert sorted(read_query(source, {"t": Raw(table=table)}).table["x"]) == sorted(table["x"])


def test_numbers_compare_as_numbers_and_blanks_are_null(tmp_path: Path) -> None:
    assert cells(joined(tmp_path, "SELECT id, age / 2.0 AS half FROM patients WHERE age < 99")) == [["007", "30.5"]]
    assert cells(joined(tmp_path, "SELECT id FROM patients WHERE age IS NULL")) == [["8"]]
    select = "SELECT p.id, COUNT(*) AS n FROM patients p JOIN labs l ON l.id = p.id GROUP BY p.id"
    assert cells(joined(tmp_path, select)) == [["007", "4"], ["8", "1"], ["9", "1"]]


def test_regular_expressions(tmp_path: Path) -> None:
    select = "SELECT regexp_extract(code, '(\\d+)\\.(\\d+)', 2) AS d FROM patients WHERE code REGEXP '\\.'"
    assert cells(joined(tmp_path, select)) == [["10"], ["50"]]


@pytest.mark.parametrize(
    ("select", "told"),
    [
        ("SELECT id FROM patient", "no such table"),
        ("SELECT random() FROM patients", "random"),
        ("SELECT load_extension('x') FROM patients", "fails"),
        ("SELECT * FROM pragma_table_info('patients')", "fails"),
        ("WITH x AS (SELECT 1) DELETE FROM patients", "fails"),
        ("SELECT zeroblob(999999999) FROM patients", "fails"),
        ("SELECT id FROM patients WHERE id = 'x'", "no rows"),
        ("SELECT id, id FROM patients", "more than once"),
        ("SELECT regexp_extract(id, '(', 1) FROM patients", "fails"),
    ],
)
def test_a_query_reads_and_does_nothing_else(select: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(MedloopError, match=told):
        joined(tmp_path, select)


@pytest.mark.parametrize(
    "change",
    [
        {"query": "DELETE FROM t"},
        {"query": "SELECT 1; SELECT 2"},
        {"query": "ATTACH 'x' AS y"},
        {"tables": {}},
        {"tables": {"a b": {"kind": "file", "path": "t"}}},
        {"tables": {"t": {"kind": "query", "query": "SELECT 1", "tables": {}}}},
        {"sequences": {"labs": SEQUENCE}},
        {"sequences": {"labs": {**LONG, "values": ["a"]}}},
        {"sequences": {"labs": {**LONG, "query": "DROP TABLE t"}}},
    ],
)
def test_settings_that_cannot_be_are_errors(change: dict[str, object]) -> None:
    plain = {"tables": {"t": {"kind": "file", "path": "t.csv"}}, "query": "SELECT 1;"}
    assert QuerySource.model_validate(plain).query == "SELECT 1"
    with pytest.raises(ValidationError):
        QuerySource.model_validate({**plain, **change})


def test_a_runaway_query_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "LIMIT_SECONDS", 0.1)
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) FROM n"
    with pytest.raises(MedloopError, match="takes more than"):
        joined(tmp_path, endless)


def test_a_long_table_becomes_sequences(tmp_path: Path) -> None:
    raw = joined(tmp_path, "SELECT id FROM patients", sequences={"labs": LONG})
    assert cells(raw) == [["007", "0"], ["8", ""], ["9", ""]]
    labs = raw.payloads["labs"]
    assert labs.channels == ("k", "na") and labs.moments(0).tolist() == [-10, -5]  # type: ignore[union-attr]
    np.testing.assert_array_equal(labs[0], [[4.5, np.nan], [4.5, 140]])
    assert raw.quarantine.to_numpy().tolist() == [["labs:5", "a time or value is no number"]]
    facts = raw.provenance["sequences"]["labs"]  # type: ignore[index]
    assert [facts[key] for key in ("rows", "no_number", "without_row", "merged")] == [6, 1, 1, 1]
    assert raw.provenance["tables"]["labs"]["rows"] == 7  # type: ignore[index]


def test_channels_are_as_declared_and_absent_columns_told(tmp_path: Path) -> None:
    raw = joined(tmp_path, "SELECT id FROM patients", sequences={"labs": {**LONG, "channels": ["na", "ca"]}})
    np.testing.assert_array_equal(raw.payloads["labs"][0], [[140, np.nan]])
    assert raw.provenance["sequences"]["labs"]["other_channels"] == 3  # type: ignore[index]
    for change in ({"time": "day"}, {"key": "idd"}):
        with pytest.raises(MedloopError, match="did you mean"):
            joined(tmp_path, "SELECT id FROM patients", sequences={"labs": {**LONG, **change}})


def test_a_wide_table_becomes_sequences() -> None:
    rows = pd.DataFrame({"id": ["a", "a", "b"], "t": [2, 1, 1], "x": [1.5, None, 3], "y": ["7", 8, None]}, dtype=object)
    names = LongNames(id="id", time="t", values=("y", "x"))
    found = sequences_of(rows, pd.Series(["b", "a", "b", "c"], dtype="str"), names, where="")
    assert found.cells.tolist() == ["1", "0", "1", ""] and found.facts["merged"] == 0
    np.testing.assert_array_equal(found.payloads[0], [[8, np.nan], [7, 1.5]])
    np.testing.assert_array_equal(found.payloads[1], [[np.nan, 3]])


MEASURED = st.tuples(st.sampled_from("abc"), st.integers(-2, 2), st.sampled_from("xyz"), st.floats(-1e6, 1e6))


@given(st.lists(MEASURED, max_size=30), st.randoms(use_true_random=False))
@settings(max_examples=25)
def test_sequences_do_not_depend_on_the_order_of_rows(rows: list[tuple[object, ...]], random: object) -> None:
    def found(given: list[tuple[object, ...]]) -> tuple[object, ...]:
        frame = pd.DataFrame(given, columns=["id", "t", "c", "v"], dtype=object)
        names = LongNames(id="id", time="t", channel="c", value="v", channels=("x", "y"))
        long = sequences_of(frame, pd.Series(["a", "b"], dtype="str"), names, where="")
        held = long.payloads
        assert held.times is not None and held.offsets is not None
        return held.values.tobytes(), held.times.tobytes(), held.offsets.tobytes(), long.cells.tolist(), long.facts

    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert found(rows) == found(shuffled)
    means = pd.DataFrame(rows, columns=["id", "t", "c", "v"])
    means = means[means["id"].isin(["a", "b"]) & means["c"].isin(["x", "y"])]
    assert found(rows)[4]["steps"] == len(means[["id", "t"]].drop_duplicates())  # type: ignore[index]


def test_one_table_may_have_payloads(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/007.jpg").write_bytes(b"1")
    scans = {"kind": "file", "path": "scans", "files": "{id}.jpg"}
    select = "SELECT s.file, age FROM scans s JOIN patients p ON p.id = s.id"
    raw = joined(tmp_path, select, tables={"scans": scans})
    assert cells(raw) == [["007.jpg", "61"]] and raw.opened and raw.opened("007.jpg") == b"1"
    assert joined(tmp_path, "SELECT id FROM patients").opened is None
    with pytest.raises(MedloopError, match="scans and more"):
        joined(tmp_path, select, tables={"scans": scans, "more": scans})


def test_a_fingerprint_has_every_table(tmp_path: Path) -> None:
    joined(tmp_path, "SELECT id FROM patients")
    tables = {name: {"kind": "file", "path": f"{name}.csv"} for name in ("patients", "labs")}
    source = QuerySource.model_validate({"tables": tables, "query": "SELECT id FROM patients"})
    before = fingerprint(source, root=tmp_path)
    (tmp_path / "labs.csv").write_text(LABS + "9,1,k,1\n")
    after = fingerprint(source, root=tmp_path)
    assert before["patients"] == after["patients"] and before["labs"] != after["labs"]


def test_quoted_names_are_bracketed_and_texts_and_comments_stay() -> None:
    assert _bracketed("""SELECT "a b", 'it''s "x"' /* "c" */ -- it's "d"\n, "e]" """) == (
        """SELECT [a b], 'it''s "x"' /* "c" */ -- it's "d"\n, "e]" """
    )

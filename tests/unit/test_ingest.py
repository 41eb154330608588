"""Every column of a source is declared or dropped, and nothing else travels on."""

import pandas as pd
import pytest
from ruamel.yaml import YAML

from contracts.errors import MedloopError
from contracts.study import Column, Study, Target
from contracts.tables import feature_names
from pipelines.ingest import Ingested, Ingestion, IngestParams, ingest
from pipelines.sources import Raw


def study(**change: object) -> Study:
    declared = {
        "name": "toy",
        "title": "toy",
        "id": "id",
        "target": Target(column="sick", classes=("0", "1"), positive="1"),
        "columns": {"âge": Column(type="numeric"), "site": Column(type="categorical")},
        "drop": {"name": "identifier"},
    }
    return Study.model_validate({**declared, **change})


def run(columns: list[str], *, declared: Study | None = None, undeclared: str = "fail") -> Ingested:
    table = pd.DataFrame({"@row": [2, 3], **{name: ["1", "0"] for name in columns}})
    params = IngestParams.model_validate({"undeclared": undeclared})
    return ingest(Raw(table=table, provenance={"kind": "file"}), params, declared or study())


SOURCE = ["id", "sick", "âge", "site", "name"]


def test_declared_columns_travel_on_and_dropped_ones_do_not() -> None:
    ingested = run(SOURCE)
    assert list(ingested.table) == ["@row", "id", "sick", "âge", "site"]
    assert ingested.provenance == {
        "kind": "file",
        "dropped": ["name"],
        "undeclared": [],
        "protected": {},
        "decoded": {},
    }


def test_a_dropped_column_that_is_absent_is_no_fault() -> None:
    assert "site" in run(SOURCE[:-1]).table


def test_a_dropped_column_that_the_cohort_asks_for_stays() -> None:
    assert "name" in run(SOURCE, declared=study(cohort={"name": {"among": ["1"]}})).table


def test_names_match_whatever_their_composition() -> None:
    decomposed = study(columns={"a\u0302ge": Column(type="numeric"), " site ": Column(type="categorical")})
    assert list(run(SOURCE, declared=decomposed).table)[3:] == ["a\u0302ge", " site "]


def test_absent_columns_are_told_with_the_nearest() -> None:
    with pytest.raises(MedloopError, match=r"site \(did you mean sites\?\)"):
        run(["id", "sick", "âge", "sites"])
    with pytest.raises(MedloopError, match=r"(?s)1 column that the source.*column id"):
        run(SOURCE[1:])


def test_undeclared_columns_are_a_fault_unless_the_study_says_otherwise() -> None:
    with pytest.raises(MedloopError, match="extra"):
        run([*SOURCE, "extra"])
    ingested = run([*SOURCE, "extra"], undeclared="drop")
    assert "extra" not in ingested.table
    assert ingested.provenance["undeclared"] == ["extra"]


PEOPLE = 30
CELLS = {
    "phone": [f"(555) 234-{i:04d}" for i in range(PEOPLE)],
    "col17": [f"p{i}@mail.org" for i in range(PEOPLE)],
    "visit": [f"2020-01-{1 + i % 28:02d}" for i in range(PEOPLE)],
    "age": [str(65 + i) for i in range(PEOPLE)],
}


def people(cells: dict[str, list[str]], **change: object) -> Ingested:
    table = {"id": [f"R-{i:05d}" for i in range(PEOPLE)], "sick": ["0", "1"] * (PEOPLE // 2), **cells}
    types = {"visit": "datetime", "age": "numeric"}
    columns = {name: {"type": types.get(name, "categorical")} for name in cells}
    declared = study(**{"columns": columns, "drop": {}, **change})
    raw = Raw(table=pd.DataFrame({"@row": range(PEOPLE), **table}))
    return ingest(raw, IngestParams(), declared, b"k" * 32)


def test_identifying_columns_stop_at_the_door_with_the_yaml_that_lets_them_in() -> None:
    with pytest.raises(MedloopError, match="4 columns may identify people") as error:
        people(CELLS)
    assert "phone: a telephone number, by name and content (30 of 30 filled cells)" in error.value.where
    assert "col17: an e-mail address, by content (30 of 30 filled cells)" in error.value.where
    assert "age: an age over 89, by name and content (5 of 30 filled cells)" in error.value.where
    assert not [cell for cells in CELLS.values() for cell in cells[:5] if cell in str(error.value)]
    yaml = error.value.mend.split("into the study: ")[1].split("; instead")[0]
    decided = YAML(typ="safe", pure=True).load(yaml)["protect"]
    assert decided == {"phone": "drop", "col17": "drop", "visit": {"shift_dates": 182}, "age": {"cap": 89}}
    ingested = people(CELLS, protect=decided)
    assert list(ingested.table) == ["@row", "id", "sick", "visit", "age"]
    told = ingested.provenance["protected"]
    assert {name: (t["how"], t["cells"]) for name, t in told.items()} == {  # type: ignore[attr-defined]
        "phone": ("drop", 30),
        "col17": ("drop", 30),
        "visit": ("shift_dates", 30),
        "age": ("cap", 4),
    }


def test_a_kept_column_stays_as_it_is_with_its_reason() -> None:
    ingested = people({"col17": CELLS["col17"]}, protect={"col17": {"keep": "made-up people"}})
    assert ingested.table["col17"].tolist() == CELLS["col17"]
    assert ingested.provenance["protected"]["col17"]["why"] == "made-up people"  # type: ignore[index]


def test_an_id_may_be_a_record_number_but_no_email() -> None:
    assert people({"age": ["7"] * PEOPLE}).provenance["protected"] == {}
    with pytest.raises(MedloopError, match="1 column may") as error:
        people({"col17": CELLS["col17"]}, group="col17", columns={})
    assert "protect: {col17: hash}" in error.value.mend


def test_a_column_dropped_for_identifying_need_not_be_declared() -> None:
    cells = {"age": ["7"] * PEOPLE, "phone": CELLS["phone"]}
    columns = {"age": {"type": "numeric"}}
    assert "phone" not in people(cells, columns=columns, protect={"phone": "drop"}).table


def in_pieces(table: pd.DataFrame, size: int, declared: Study) -> tuple[pd.DataFrame, dict[str, object]] | str:
    ingestion = Ingestion(IngestParams(), declared, b"key")
    pieces = [Raw(table=table[at : at + size].reset_index(drop=True)) for at in range(0, len(table), size)]
    try:
        tables = list(ingestion.tables(pieces))
    except MedloopError as error:
        return str(error)
    return pd.concat(
        [table.astype(dict.fromkeys(feature_names(table), "str")) for table in tables], ignore_index=True
    ), ingestion.provenance()


@pytest.mark.parametrize("ages", [["97", "9o", "60"] * 5, ["9o"] * 15, ["9o"] * 14 + ["97"]])
@pytest.mark.parametrize("names", [["Ada Lovelace", "x", "x"] * 5, ["s1"] * 14 + ["ada@mail.org"], ["s1"] * 15])
def test_pieces_are_judged_and_treated_as_one_table(ages: list[str], names: list[str]) -> None:
    declared = study(protect={"âge": {"cap": 89}, "id": "hash"}, columns={**study().columns, "note": {"type": "text"}})
    cells = {"id": [str(i) for i in range(15)], "sick": "0", "âge": ages, "site": names, "name": "", "note": "seen"}
    table = pd.DataFrame({"@row": range(2, 17), **cells})
    table = table.astype(dict.fromkeys(cells, "str"))
    whole = in_pieces(table, 15, declared)
    for size in (1, 4, 7):
        got = in_pieces(table, size, declared)
        if isinstance(whole, str) or isinstance(got, str):
            assert got == whole
        else:
            pd.testing.assert_frame_equal(got[0], whole[0])
            assert got[1] == whole[1]


def test_a_column_of_too_many_texts_to_count_is_judged_by_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.watch.MANY", 8)
    sites = [f"s{i}" for i in range(12)] * 2 + ["ada@mail.org", "bob@mail.org"]
    table = pd.DataFrame({"@row": range(26), "id": "1", "sick": "0", "âge": "1", "site": sites, "name": ""})
    told = in_pieces(table.astype({"site": "str"}), 4, study())
    assert "site: an e-mail address, by content (2 of 26 filled cells)" in told
    assert isinstance(in_pieces(table[:24].astype({"site": "str"}), 4, study()), tuple)

"""Every column of a source is declared or dropped, and nothing else travels on."""

import pandas as pd
import pytest

from contracts.errors import MedloopError
from contracts.study import Column, Study, Target
from pipelines.ingest import Ingested, IngestParams, ingest
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
    assert ingested.provenance == {"kind": "file", "dropped": ["name"], "undeclared": []}


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
    with pytest.raises(MedloopError, match="columns id"):
        run(SOURCE[1:])


def test_undeclared_columns_are_a_fault_unless_the_study_says_otherwise() -> None:
    with pytest.raises(MedloopError, match="extra"):
        run([*SOURCE, "extra"])
    ingested = run([*SOURCE, "extra"], undeclared="drop")
    assert "extra" not in ingested.table
    assert ingested.provenance["undeclared"] == ["extra"]

"""Tables take columns of any name, also of that which pandas' `assign` has for the table."""

from pathlib import Path

import pandas as pd

from contracts.frames import with_columns
from contracts.study import Study
from flows.store import read_table, write_table
from pipelines.protect import treat
from pipelines.sources.decimals import settle_decimal

TABLE = pd.DataFrame({"id": ["1", "2"], "self": ["1,5", "2,5"]}, dtype="str")


def test_a_column_called_self_is_replaced_and_the_table_stays() -> None:
    changed = with_columns(TABLE, {"self": [1.5, 2.5], "new": ["a", "b"]})
    assert changed.to_dict("list") == {"id": ["1", "2"], "self": [1.5, 2.5], "new": ["a", "b"]}
    assert TABLE["self"].tolist() == ["1,5", "2,5"]


def test_a_column_called_self_is_read_treated_and_written(tmp_path: Path) -> None:
    read = settle_decimal(TABLE, ",", where="t.csv")
    assert read["self"].tolist() == ["1.5", "2.5"]
    target = {"column": "y", "classes": [0, 1], "positive": 1}
    columns = {"self": {"type": "numeric"}}
    told = {
        "name": "t",
        "title": "t",
        "id": "id",
        "target": target,
        "columns": columns,
        "protect": {"self": {"bin": 1}},
    }
    assert treat(read, Study.model_validate(told))[0]["self"].tolist() == ["1", "2"]
    write_table(tmp_path / "t.parquet", read.astype({"self": "category"}))
    assert read_table(tmp_path / "t.parquet")["self"].tolist() == ["1.5", "2.5"]

"""Tables as they are written and read again."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contracts.errors import MedloopError
from flows.store import blocks, read_table, write_blocks, write_table

TABLE = pd.DataFrame(
    {
        "@id": pd.Series(["1", "", "007"], dtype="str"),
        "age": [1.5, np.nan, -0.0],
        "scan": pd.array([0, None, 2], dtype="Int64"),
        "seen": pd.to_datetime(["2020-01-01", None, "1999-12-31"]),
        "masked": [True, False, True],
    }
)


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", TABLE)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), TABLE)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet", ["@id", "scan"]), TABLE[["@id", "scan"]])


@pytest.mark.parametrize("fault", ["absent", "cut"])
def test_a_table_that_is_absent_or_cut_short_is_told(fault: str, tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", TABLE)
    path = tmp_path / "t.parquet"
    path.unlink() if fault == "absent" else path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(MedloopError, match=r"is not there|damaged parquet"):
        read_table(path)


def test_a_table_in_blocks_is_read_as_one(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_blocks(path, iter([TABLE]))
    assert blocks(path) == [path]
    write_blocks(path, iter([TABLE, TABLE.iloc[:1], TABLE]))
    assert [block.name for block in blocks(path)] == ["00000.parquet", "00001.parquet", "00002.parquet"]
    pd.testing.assert_frame_equal(read_table(path), pd.concat([TABLE, TABLE.iloc[:1], TABLE], ignore_index=True))
    write_blocks(path, iter([TABLE]))
    pd.testing.assert_frame_equal(read_table(path), TABLE)


def test_what_was_there_stays_when_a_later_block_fails(tmp_path: Path) -> None:
    def failing() -> Iterator[pd.DataFrame]:
        yield TABLE
        yield TABLE
        raise MedloopError("in piece 3")

    for before in ([TABLE], [TABLE, TABLE]):
        write_blocks(tmp_path / "t.parquet", iter(before))
        with pytest.raises(MedloopError, match="piece 3"):
            write_blocks(tmp_path / "t.parquet", failing())
        assert len(blocks(tmp_path / "t.parquet")) == len(before)
        assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_texts_that_repeat_are_read_as_categoricals_where_asked(tmp_path: Path) -> None:
    texts = {"@id": [f"{n}" for n in range(40)], "ward": ["a", "", "b", "a"] * 10}
    table = pd.DataFrame(texts, dtype="str").assign(age=1.5)
    write_table(tmp_path / "t.parquet", table)
    coded = read_table(tmp_path / "t.parquet", coded=True)
    assert [str(kind) for kind in coded.dtypes] == ["str", "category", "float64"]
    pd.testing.assert_frame_equal(coded.astype({"ward": "str"}), table)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), table)


def test_categoricals_are_written_as_the_texts_in_use_and_read_as_either(tmp_path: Path) -> None:
    table = pd.DataFrame({"@id": ["1", "2", "3"], "ward": ["a", None, "c"]}, dtype="str")
    coded = table.assign(ward=pd.Categorical(table["ward"], ["c", "Ada, of other rows", "a"]))
    write_table(tmp_path / "t.parquet", coded)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), table)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), table)
    assert list(read_table(tmp_path / "t.parquet", coded=True)["ward"].cat.categories) == ["c", "a"]

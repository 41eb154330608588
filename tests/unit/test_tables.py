"""What the tables' conventions promise."""

import hashlib

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from contracts.tables import rows_seen
from pipelines.table import Held, Table


@given(st.lists(st.text(max_size=4), max_size=8))
def test_rows_seen_is_the_hash_of_the_sorted_ids(ids: list[str]) -> None:
    seen = rows_seen(pd.Series(ids, dtype="str"))
    assert seen.count == len(ids)
    assert seen.sha256 == hashlib.sha256("\0".join(sorted(ids)).encode()).hexdigest()


def test_blocks_whose_texts_are_coded_apart_are_one_column() -> None:
    parts = [pd.Series(cells, dtype="str") for cells in (["a", "b"], ["b", "c", ""], ["a"])]
    expected = pd.concat(parts, ignore_index=True)
    for last in ("category", "str"):
        kinds = ("category", "category", last)
        blocks = [Held(pd.DataFrame({"x": part.astype(kind)})) for part, kind in zip(parts, kinds, strict=True)]
        assert Table(tuple(blocks))["x"].astype("str").tolist() == expected.tolist()

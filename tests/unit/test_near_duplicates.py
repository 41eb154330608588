"""Samples that share a picture or a text count as one patient's, whatever the order of the rows."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from contracts.payloads import Payloads
from contracts.study import Column
from contracts.tables import Schema
from pipelines.clean_payloads import grouped
from pipelines.near_duplicates import joined_groups, near_pairs
from pipelines.rows import Change

pairs_of = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=12)


@given(st.lists(st.integers(0, 5), min_size=12, max_size=12), pairs_of)
def test_paired_rows_share_a_patient_and_no_patient_is_torn(patients: list[int], pairs: list[tuple[int, int]]) -> None:
    group = pd.Series([f"p{p}" for p in patients])
    joined = joined_groups(group, np.array(pairs, dtype=np.int64).reshape(-1, 2))
    assert all(joined[a] == joined[b] for a, b in pairs)
    assert pd.DataFrame({"before": group, "after": joined}).drop_duplicates()["before"].is_unique
    assert set(joined) <= set(group)
    apart = {frozenset((group[a], group[b])) for a, b in pairs if group[a] != group[b]}
    assert joined.nunique() >= group.nunique() - len(apart)


def pictures() -> Payloads:
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 255, (4, 1, 8, 8), dtype=np.uint8).repeat(8, axis=2).repeat(8, axis=3)
    brighter = np.clip(drawn[:1].astype(int) + 6, 0, 255).astype(np.uint8)
    return Payloads(values=np.concatenate([drawn, brighter]), channels=("grey",))


LONG = "The heart is of normal size and the lungs are clear without any focal consolidation effusion or pneumothorax"


def samples() -> tuple[pd.DataFrame, Schema]:
    table = pd.DataFrame(
        {
            "@id": list("abcde"),
            "@group": list("ABCDE"),
            "scan": pd.array([0, 1, 2, None, 4], dtype="Int64"),
            "findings": [LONG, "Large effusion.", "", LONG, None],
            "advice": ["none", "none", "", "none", None],
        }
    )
    kinds = {"scan": Column(type="image"), "findings": Column(type="text"), "advice": Column(type="text")}
    return table, Schema(features=kinds, classes=("no", "yes"))


def test_pictures_and_whole_texts_are_compared_and_a_short_one_alone_is_not() -> None:
    table, schema = samples()
    found = near_pairs(table, schema, {"scan": pictures()})
    assert {tuple(sorted(p)) for p in found["scan"].tolist()} == {(0, 4)}
    assert {tuple(sorted(p)) for p in found["texts"].tolist()} == {(0, 3)}


def test_the_ledger_counts_what_was_brought_together() -> None:
    table, schema = samples()
    ledger: list[Change] = []
    group = grouped(table, schema, {"scan": pictures()}, ledger)
    assert group.tolist() == ["A", "B", "C", "A", "A"]
    assert {change.column: change.rows for change in ledger} == {"scan": 1, "texts": 1}

"""Which rows a champion and its challenger are compared on: none that the champion, or its patient, was taught by."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import MedloopError
from contracts.study import Column
from contracts.tables import ASIDE, PARTS, Schema
from flows.champion import _judged, comparable, counted, refuse_renumbered
from pipelines.compare import CompareParams
from pipelines.gate import GateParams
from pipelines.results import Entry, EvaluateParams
from pipelines.tasks import regression

SCHEMA = Schema(features={"a": Column(type="numeric"), "scan": Column(type="image")}, classes=("no", "yes"))


def rows(**columns: str) -> pd.DataFrame:
    """`ids="a b"` and the like as `@id`."""
    names = {"ids": "@id", "groups": "@group", "parts": "@part"}
    return pd.DataFrame({names[name]: text.split() for name, text in columns.items()}, dtype="str")


def test_frozen_new_and_left_out() -> None:
    then = rows(ids="a b c d e", groups="p p q r s", parts="train train test test validation")
    tested = rows(ids="b c d f g h", groups="p q r p s t")
    frozen, new = comparable(tested, then)
    assert tested["@id"][frozen].tolist() == ["c", "d"]
    assert tested["@id"][new].tolist() == ["h"], "f and g are new rows of patients that the champion learnt from"
    assert counted(tested, frozen, new).model_dump() == {"frozen": 2, "new": 1, "patients": 3, "left_out": 3}


ROW = st.tuples(st.integers(0, 30), st.integers(0, 9))


@settings(max_examples=40)
@given(
    then=st.lists(st.tuples(ROW, st.sampled_from([*PARTS, ASIDE])), max_size=20),
    tested=st.lists(ROW, max_size=20),
)
def test_no_row_or_patient_that_was_learnt_from_is_ever_compared(
    then: list[tuple[tuple[int, int], str]], tested: list[tuple[int, int]]
) -> None:
    old = pd.DataFrame(
        [(str(i), str(g), part) for (i, g), part in then], columns=["@id", "@group", "@part"], dtype="str"
    )
    now = pd.DataFrame([(str(i), str(g)) for i, g in tested], columns=["@id", "@group"], dtype="str")
    frozen, new = comparable(now, old)
    taught = old[old["@part"].isin(["train", "validation"])]
    assert not (frozen & new).any()
    for chosen in (now[frozen], now[new]):
        assert not set(chosen["@id"]) & set(taught["@id"]) and not set(chosen["@group"]) & set(taught["@group"])
    assert set(now["@id"][frozen]) <= set(old.loc[old["@part"] == "test", "@id"])
    assert not set(now["@id"][new]) & set(old["@id"])


def numbered(values: list[float]) -> pd.DataFrame:
    ids = [str(i + 1) for i in range(len(values))]
    return pd.DataFrame({"@id": ids, "a": values, "scan": range(len(values)), "@target": 0})


def test_rows_known_by_number_alone_must_be_the_rows_of_then() -> None:
    then = numbered([1.0, np.nan, 3.0])
    refuse_renumbered(then, numbered([1.0, np.nan, 3.0, 4.0]), SCHEMA)
    for now in ([0.0, 1.0, np.nan, 3.0], [1.0, np.nan]):
        with pytest.raises(MedloopError, match="the study names no id"):
            refuse_renumbered(then, numbered(now), SCHEMA)


def test_numbers_are_compared_by_their_own_metrics() -> None:
    """A second model that is off by some 0.1 where the first is off by some 1."""
    random, group = np.random.default_rng(0), np.arange(60)
    number, params = random.normal(10, 1, 60), EvaluateParams(resamples=100)

    def entry(off: float) -> Entry:
        told = number + off * random.uniform(0.9, 1.1, 60)
        predicted = np.column_stack([told, told - 2, told + 2])
        found = regression.evaluate(target=number, predicted=predicted, group=group, unit="kg", aim=0.9, params=params)
        return Entry(evaluation=found, target=number, predicted=predicted, group=group)

    class Regression:
        settings = SimpleNamespace(gate=GateParams(margin=0.05), compare=CompareParams(metric="mae"))

    tested = pd.DataFrame({"@id": group.astype(str), "@group": group.astype(str)})
    parts = {"all": group < 50, "frozen": group < 30, "new": (group >= 30) & (group < 50)}
    rows = counted(tested, parts["frozen"], parts["new"])
    found = _judged(Regression(), tested, entry(1.0), entry(0.1), parts, [], rows)  # type: ignore[arg-type]
    assert {one.name: one.state for one in found.criteria} == {"metric": "met", "calibration": "met"}
    assert {name: [one.metric for one in of] for name, of in found.differences.items()} == {
        "all": ["mae", "rmse", "r2", "coverage"],
        "frozen": ["mae"],
        "new": ["mae"],
    }

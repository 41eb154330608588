import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contracts.errors import MedloopError
from contracts.tables import Schema
from pipelines.folds import draw_folds, nested, with_fold_tested, with_folds
from pipelines.split import SplitParams, split
from tests.unit.test_split import samples, studies

SCHEMA = Schema(features={}, classes=("no", "yes"), positive="yes")


def drawn(table: pd.DataFrame, **settings: int) -> pd.DataFrame:
    params = SplitParams(**settings)
    return with_folds(split(table, SCHEMA, params), table, params)


def test_without_folds_the_split_stays_as_it_is() -> None:
    table = samples()
    assert drawn(table).columns.tolist() == ["@id", "@part"]


def test_folds_cover_training_and_validation_and_repeats_differ() -> None:
    parts = drawn(samples(), folds=5, repeats=2)
    assert parts.columns.tolist() == ["@id", "@part", "@fold_0", "@fold_1"]
    assert (parts["@fold_0"].isna() == (parts["@part"] == "test")).all()
    assert set(parts["@fold_0"].dropna()) == {0, 1, 2, 3, 4}
    assert (parts["@fold_0"] != parts["@fold_1"]).sum() > 500
    assert "@fold" in drawn(samples(), folds=5)


@given(studies(), st.integers(2, 5), st.integers(0, 99))
@settings(max_examples=25)
def test_patients_are_whole_and_folds_alike_in_size_and_classes(table: pd.DataFrame, folds: int, seed: int) -> None:
    fold = draw_folds(table, folds, str(seed))
    by_patient = fold.groupby(table["@group"])
    assert by_patient.nunique().max() == 1
    classes = table.groupby("@group")["@target"].first()
    counts = pd.crosstab(by_patient.first(), classes)
    assert counts.shape == (folds, 2)
    assert (counts.max() - counts.min()).max() <= 1
    turned = draw_folds(table[::-1], folds, str(seed))
    assert turned.sort_index().tolist() == fold.tolist()


def test_patients_that_come_later_move_few_of_the_others() -> None:
    before, after = (draw_folds(samples(rows, share=300 / rows), 5, "0") for rows in (1000, 1050))
    assert (before.to_numpy() != after.to_numpy()[:1000]).sum() < 100


def test_a_class_of_fewer_patients_than_folds_is_an_error() -> None:
    with pytest.raises(MedloopError, match="the rarest has 3"):
        draw_folds(samples(100, share=0.03), 5, "0")


def test_inner_folds_lie_within_what_their_outer_fold_trains_on() -> None:
    table = samples(per_patient=2)
    parts = drawn(table, folds=4)
    inner = nested(table, parts["@fold"], 3, seed=0)
    assert inner.columns.tolist() == [0, 1, 2, 3]
    for k in inner:
        trained = parts["@fold"].notna() & (parts["@fold"] != k)
        assert (inner[k].notna() == trained).all()
        assert inner[k].value_counts().max() - inner[k].value_counts().min() <= 4
        assert inner[k].groupby(table["@group"]).nunique().max() == 1
    assert not np.array_equal(inner[0].dropna().to_numpy()[:100], inner[1].dropna().to_numpy()[:100])


@given(studies(), st.integers(2, 4), st.integers(0, 99))
@settings(max_examples=15)
def test_a_tested_fold_takes_the_place_of_the_test_set_which_is_set_aside(
    table: pd.DataFrame, folds: int, seed: int
) -> None:
    try:
        own = drawn(table, folds=folds, repeats=2, seed=seed)
        turns = [
            with_fold_tested(own, table, SCHEMA, SplitParams(folds=folds, repeats=2, seed=seed, fold=k, repeat=1))
            for k in range(folds)
        ]
    except MedloopError as fault:
        assume("class" not in fault.problem)
        raise
    for k, parts in enumerate(turns):
        assert ((parts["@part"] == "aside") == (own["@part"] == "test")).all()
        assert ((parts["@part"] == "test") == own["@fold_1"].eq(k).fillna(False)).all()
        assert parts.groupby(table["@group"])["@part"].nunique().max() == 1
        assert {"train", "validation"} < set(parts["@part"])
    assert sum((parts["@part"] == "test").astype(int) for parts in turns).max() == 1
    tested_once = pd.concat([parts.loc[parts["@part"] == "test", "@id"] for parts in turns])
    assert sorted(tested_once) == sorted(own.loc[own["@part"] != "test", "@id"])


def test_validation_is_drawn_anew_for_each_fold() -> None:
    table = samples()
    own = drawn(table, folds=3)
    first, second = (with_fold_tested(own, table, SCHEMA, SplitParams(folds=3, fold=k)) for k in (0, 1))
    validated = [set(parts.loc[parts["@part"] == "validation", "@id"]) for parts in (first, second)]
    assert len(validated[0]) == pytest.approx(0.15 * 800 * 2 / 3, abs=3)
    assert len(validated[0] & validated[1]) < len(validated[0]) / 2
    pd.testing.assert_frame_equal(with_fold_tested(own, table, SCHEMA, SplitParams(folds=3)), own)


@pytest.mark.parametrize("wrong", [{"fold": 0}, {"folds": 3, "fold": 3}, {"folds": 3, "fold": 0, "repeat": 1}])
def test_a_fold_that_is_not_drawn_cannot_be_tested(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="count from 0"):
        SplitParams(**wrong)

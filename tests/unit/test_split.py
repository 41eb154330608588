import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contracts.answers import packed
from contracts.errors import MedloopError
from contracts.follow_up import signed
from contracts.study import Column
from contracts.tables import Schema
from pipelines import split as stage
from pipelines.split import SplitParams, refuse_unlearnable, split

SCHEMA = Schema(features={}, classes=("no", "yes"), positive="yes")


def samples(rows: int = 1000, *, per_patient: int = 1, share: float = 0.1) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "@id": [f"r{i}" for i in range(rows)],
            "@group": [f"p{i // per_patient}" for i in range(rows)],
            "@time": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.permutation(rows), unit="h"),
            "@target": (np.arange(rows) < share * rows).astype(int),
        }
    )


def test_parts_have_their_shares_of_each_class() -> None:
    table = samples()
    parts = split(table, SCHEMA, SplitParams())
    assert parts["@id"].tolist() == table["@id"].tolist()
    assert pd.crosstab(parts["@part"], table["@target"]).to_dict("index") == {
        "train": {0: 585, 1: 65},
        "validation": {0: 135, 1: 15},
        "test": {0: 180, 1: 20},
    }


@pytest.mark.parametrize("method", ["stratified", "patient", "time"])
def test_patients_named_by_categories_are_drawn_as_by_texts(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "AT_ONCE", 16)
    table = samples(per_patient=3)
    names = pd.CategoricalDtype(sorted(table["@group"].unique(), reverse=True))
    params = SplitParams(method=method)
    pd.testing.assert_frame_equal(split(table.astype({"@group": names}), SCHEMA, params), split(table, SCHEMA, params))


@pytest.mark.parametrize("method", ["stratified", "patient", "time"])
def test_a_patient_is_in_one_part(method: str) -> None:
    table = samples(per_patient=7)
    parts = split(table, SCHEMA, SplitParams(method=method)).assign(patient=table["@group"])
    assert len(parts[["patient", "@part"]].drop_duplicates()) == table["@group"].nunique()
    assert parts["@part"].value_counts(normalize=True)["test"] == pytest.approx(0.2, abs=0.03)


def test_the_draw_ignores_the_order_of_rows_and_changes_with_the_seed() -> None:
    table = samples()
    parts = split(table, SCHEMA, SplitParams())
    shuffled = split(table.sample(frac=1, random_state=1), SCHEMA, SplitParams())
    pd.testing.assert_frame_equal(parts, shuffled.sort_index())
    other = split(table, SCHEMA, SplitParams(seed=1))
    assert (parts["@part"] != other["@part"]).sum() > 300
    assert stage.test_hash(parts) == stage.test_hash(shuffled) != stage.test_hash(other)


def test_patients_that_come_later_move_few_of_the_others() -> None:
    table = samples()
    more = pd.concat([table, samples(1100).iloc[1000:]])
    before, after = (split(t, SCHEMA, SplitParams())["@part"].to_numpy()[:1000] for t in (table, more))
    assert (before != after).sum() < 40


def test_by_time_the_test_patients_end_last_and_training_never_sees_their_time() -> None:
    table = samples(per_patient=2)
    table["@target"] = np.arange(len(table)) % 2
    part = split(table, SCHEMA, SplitParams(method="time"))["@part"]
    last = table.groupby("@group")["@time"].transform("max")
    assert table.loc[part == "train", "@time"].max() < last[part == "validation"].min()
    assert last[part == "validation"].max() < last[part == "test"].min()


def test_by_time_needs_every_time() -> None:
    table = samples()
    table.loc[3, "@time"] = pd.NaT
    with pytest.raises(MedloopError, match="1 have none"):
        split(table, SCHEMA, SplitParams(method="time"))
    with pytest.raises(MedloopError, match="1000 have none"):
        split(table.drop(columns="@time"), SCHEMA, SplitParams(method="time"))


def test_three_rows_of_a_class_reach_every_part_and_two_are_too_few() -> None:
    table = samples(100, share=0.03)
    parts = split(table, SCHEMA, SplitParams())["@part"]
    assert sorted(parts[:3]) == ["test", "train", "validation"]
    with pytest.raises(MedloopError, match=r"one class only in part.*validation"):
        split(samples(100, share=0.02), SCHEMA, SplitParams())


def test_one_class_overall_is_an_error_with_counts() -> None:
    with pytest.raises(MedloopError, match=r"training holds no row of class.*'no': 100, 'yes': 0"):
        split(samples(100, share=0), SCHEMA, SplitParams())


def test_what_training_would_refuse_is_told_by_the_split() -> None:
    part = pd.Series(np.repeat(["train", "validation"], 30))
    courses = Schema(features={}, classes=(), task="survival", horizon=10.0, unit="days")
    months = np.tile(np.arange(1.0, 31), 2)
    events = pd.Series(signed(months, np.ones(60, dtype=bool)))
    with pytest.raises(MedloopError, match="by the horizon of 10 days the event happened in 10 training rows; 20 are"):
        refuse_unlearnable(events, part, courses)
    refuse_unlearnable(events, part, courses.model_copy(update={"horizon": 25.0}))
    answers = Schema(features={}, classes=(), task="multilabel", labels=("stroke", "gout"))
    told = pd.Series(packed(np.column_stack([np.arange(60) % 2, part == "train"]).astype(np.int64)))
    with pytest.raises(MedloopError, match="gout is not so in none of the training rows"):
        refuse_unlearnable(told, part, answers)


def test_two_patients_are_too_few() -> None:
    with pytest.raises(MedloopError, match="2 patients"):
        split(samples(10, per_patient=5), SCHEMA, SplitParams())


def test_settings_must_leave_rows_to_train() -> None:
    with pytest.raises(ValueError, match="nothing to train on"):
        SplitParams(validation=0.5, test=0.5)


@st.composite
def studies(draw: st.DrawFn) -> pd.DataFrame:
    """Patients of 1 to 4 rows, of 2 classes, in any order."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    patients = draw(st.integers(40, 120))
    group = np.repeat([f"p{i}" for i in range(patients)], rng.integers(1, 5, patients))
    table = samples(len(group)).assign(**{"@group": group})
    table["@target"] = (table["@group"].str[1:].astype(int) % draw(st.integers(2, 5)) == 0).astype(int)
    return table.sample(frac=1, random_state=0).reset_index(drop=True)


@given(studies(), st.sampled_from(["stratified", "patient", "time"]), st.integers(0, 99))
@settings(max_examples=25)
def test_whatever_the_study_patients_stay_whole_and_parts_have_their_shares(
    table: pd.DataFrame, method: str, seed: int
) -> None:
    params = SplitParams(method=method, seed=seed)
    try:
        part = split(table, SCHEMA, params)["@part"].groupby(table["@group"])
    except MedloopError:  # chance may leave one class in a small part, where the label has no say
        assume(method == "stratified")
        raise
    assert part.nunique().max() == 1
    shares = part.first().value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.2, abs=0.03)
    assert shares["validation"] == pytest.approx(0.15, abs=0.03)
    turned = split(table[::-1].reset_index(drop=True), SCHEMA, params)
    assert turned["@part"].tolist()[::-1] == split(table, SCHEMA, params)["@part"].tolist()


WARD = Schema(features={"ward": Column(type="categorical")}, classes=("no", "yes"), positive="yes")


def wards() -> pd.DataFrame:
    table = samples(per_patient=2)
    table["@target"] = np.arange(len(table)) // 2 % 3 == 0
    table["@target"] = table["@target"].astype(int)
    return table.assign(ward=np.repeat(["a", "b", "c", "d"], [400, 300, 298, 2]))


def test_by_site_the_sites_held_out_are_the_test_and_validation_is_a_share_of_the_others() -> None:
    table = wards()
    part = split(table, WARD, SplitParams(method="site", site="ward", hold_out=["b"]))["@part"]
    assert set(table.loc[part == "test", "ward"]) == {"b"}
    assert (part == "test").sum() == 300
    assert (part == "validation").sum() == pytest.approx(0.15 * 700, abs=4)


def test_a_patient_seen_at_a_site_held_out_is_tested_whole() -> None:
    table = wards()
    table.loc[table["@group"] == "p0", "ward"] = ["a", "b"]
    part = split(table, WARD, SplitParams(method="site", site="ward", hold_out=["b"]))["@part"]
    assert part[:2].tolist() == ["test", "test"]


@pytest.mark.parametrize(
    ("site", "hold_out", "match"),
    [
        ("ward", ["e"], r"no site e .*a 200, b 150, c 149; 1 of fewer than 10"),
        ("ward", ["a", "b", "c", "d"], "every site"),
        ("wart", ["a"], r"wart.*did you mean ward"),
    ],
)
def test_sites_that_do_not_fit_are_an_error(site: str, hold_out: list[str], match: str) -> None:
    with pytest.raises(MedloopError, match=match):
        split(wards(), WARD, SplitParams(method="site", site=site, hold_out=hold_out))


def test_a_sample_without_a_site_is_an_error() -> None:
    table = wards()
    table.loc[:4, "ward"] = np.nan
    with pytest.raises(MedloopError, match="5 samples have no value in ward"):
        split(table, WARD, SplitParams(method="site", site="ward", hold_out=["b"]))


def by_file(table: pd.DataFrame, placed: pd.DataFrame, rest: str = "fail") -> "pd.Series[str]":
    return split(table, SCHEMA, SplitParams(method="file", file="f.csv", rest=rest), placed)["@part"]


def test_a_file_places_the_samples_in_any_order() -> None:
    table = samples(per_patient=2)
    placed = split(table, SCHEMA, SplitParams(seed=5))
    assert by_file(table, placed.sample(frac=1, random_state=0)).tolist() == placed["@part"].tolist()


def test_a_file_of_the_test_set_alone_lets_the_rest_train_and_draws_validation() -> None:
    table = samples(per_patient=2)
    frozen = split(table, SCHEMA, SplitParams(seed=5)).query("`@part` == 'test'")
    part = by_file(table, frozen.iloc[1:], rest="train")
    assert set(table.loc[part == "test", "@id"]) == set(frozen["@id"])  # the row left out follows its patient
    assert (part == "validation").sum() == pytest.approx(0.15 * 800, abs=4)


def test_where_a_file_names_validation_the_rest_trains() -> None:
    table = samples()
    whole = split(table, SCHEMA, SplitParams())
    assert by_file(table, whole.query("`@part` != 'train'"), rest="train").tolist() == whole["@part"].tolist()


def test_faults_of_a_split_file_are_told_with_counts_and_without_ids() -> None:
    table = samples(per_patient=2)
    placed = split(table, SCHEMA, SplitParams())
    faults = {
        "stand in it twice: 1": pd.concat([placed, placed.iloc[:1]]),
        "is none of train, validation, test: 1, like 'xxxx'": placed.assign(
            **{"@part": placed["@part"].astype("str").where(placed.index > 0, "tset")}
        ),
        "no sample's: 2 of 1,000": placed.assign(**{"@id": placed["@id"].where(placed.index > 1, "z" + placed["@id"])}),
        "does not place: 3 of 1,000": placed.iloc[3:],
        "several parts: 1": placed.assign(
            **{"@part": placed["@part"].where(placed.index > 0, "test" if placed["@part"][0] == "train" else "train")}
        ),
        "no rows in test": placed.assign(**{"@part": placed["@part"].replace("test", "validation")}),
        "no rows in validation": placed.assign(**{"@part": placed["@part"].replace("validation", "train")}),
    }
    for match, spoilt in faults.items():
        with pytest.raises(MedloopError, match=match):
            by_file(table, spoilt.reset_index(drop=True))


def test_ids_that_the_split_file_writes_otherwise_are_told_as_such() -> None:
    table = samples().assign(**{"@id": [f"{i}.0" for i in range(1000)]})
    placed = split(table, SCHEMA, SplitParams()).assign(**{"@id": [f"{i}" for i in range(1000)]})
    with pytest.raises(MedloopError, match="1,000 of 1,000") as told:
        by_file(table, placed)
    assert "the source writes otherwise, as 7.0 and 7" in told.value.mend


def test_another_test_set_than_the_frozen_one_is_an_error() -> None:
    table = samples()
    frozen = stage.test_hash(split(table, SCHEMA, SplitParams()))
    split(table, SCHEMA, SplitParams(test_sha256=frozen))
    with pytest.raises(MedloopError, match="not the frozen one") as told:
        split(table.iloc[5:], SCHEMA, SplitParams(test_sha256=frozen))
    assert "state the new hash" in told.value.mend


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"method": "site", "site": "ward"}, "hold_out"),
        ({"method": "file"}, "names it"),
        ({"method": "time", "folds": 5}, "regardless of time"),
        ({"repeats": 2}, "how many"),
        ({"test_sha256": "abc"}, "pattern"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        SplitParams(**wrong)

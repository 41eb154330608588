import numpy as np
import pandas as pd
import pytest

from contracts.errors import MedloopError
from contracts.tables import Schema
from pipelines import split as stage
from pipelines.split import SplitParams, split

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


def test_two_patients_are_too_few() -> None:
    with pytest.raises(MedloopError, match="2 patients"):
        split(samples(10, per_patient=5), SCHEMA, SplitParams())


def test_settings_must_leave_rows_to_train() -> None:
    with pytest.raises(ValueError, match="nothing to train on"):
        SplitParams(validation=0.5, test=0.5)

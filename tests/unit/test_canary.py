import numpy as np
import pandas as pd
import pytest

from contracts.study import Column
from contracts.tables import Schema
from pipelines.canary import canary, changed_outside

SCHEMA = Schema(
    features={
        "dose": Column(type="numeric"),
        "ward": Column(type="categorical"),
        "grade": Column(type="ordinal", levels=("low", "high")),
        "born": Column(type="datetime"),
        "note": Column(type="text"),
        "scan": Column(type="image"),
    },
    classes=("no", "yes"),
)
TRAIN = {f"s{i}" for i in range(6)}


@pytest.fixture
def samples() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "@id": [f"s{i}" for i in range(12)],
            "@group": [f"p{i}" for i in range(12)],
            "@time": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(12), unit="D"),
            "@target": [0, 1] * 6,
            "dose": [1.0, np.nan, 3.0] * 4,
            "ward": ["a", None, "b"] * 4,
            "grade": ["low", "high", None] * 4,
            "born": pd.to_datetime(["1950-01-01", None, "1960-01-01"] * 4),
            "note": ["x", None, "y"] * 4,
            "scan": [f"{i}.png" for i in range(12)],
        }
    ).astype({"ward": "str", "grade": "str", "note": "str"})


def test_every_cell_outside_training_changes_and_no_other(samples: pd.DataFrame) -> None:
    changed = changed_outside(samples, TRAIN, SCHEMA)
    pd.testing.assert_frame_equal(changed[:6], samples[:6])
    assert (changed.dtypes == samples.dtypes).all()
    before, after = samples[6:], changed[6:]
    for name in ("@target", "@time"):
        assert (before[name] != after[name]).all()
    kept, lost = after[::2], after[1::2]
    assert lost[list(SCHEMA.features)].isna().all(axis=None)
    for name in ("dose", "ward", "grade", "note"):
        assert kept[name].notna().all()
        assert (kept[name] != before[name][::2]).all()
    assert set(kept["grade"]) <= {"low", "high"}


def fit(rows: pd.DataFrame, how: str) -> dict[str, str]:
    train = rows[rows["@id"].isin(TRAIN)]
    seen = {
        "honest": train["dose"].mean(),
        "mean": rows["dose"].mean(),
        "share of gaps": rows["ward"].isna().mean(),
        "levels": sorted(rows["ward"].dropna().unique()),
        "label": rows["@target"].tolist(),
        "dates": rows["born"].max(),
        "time": rows["@time"].max(),
    }
    return {"honest": str(seen["honest"]), "fit": str(seen[how])}


@pytest.mark.parametrize("how", ["mean", "share of gaps", "levels", "label", "dates", "time"])
def test_a_fit_that_looks_outside_training_is_noticed(samples: pd.DataFrame, how: str) -> None:
    found = canary(samples, TRAIN, SCHEMA, fit(samples, how), lambda rows: fit(rows, how))
    assert found.noticed == ("fit",)
    assert found.changed == 6


def test_an_honest_fit_is_made_once(samples: pd.DataFrame) -> None:
    calls = []

    def refit(rows: pd.DataFrame) -> dict[str, str]:
        calls.append(rows)
        return fit(rows, "honest")

    found = canary(samples, TRAIN, SCHEMA, fit(samples, "honest"), refit)
    assert (found.noticed, found.otherwise, len(calls)) == ((), (), 1)


def test_what_is_stored_and_fitted_otherwise_is_told_apart_from_a_leak(samples: pd.DataFrame) -> None:
    found = canary(samples, TRAIN, SCHEMA, {"fit": "2.0000000001"}, lambda rows: fit(rows, "honest"))
    assert (found.noticed, found.otherwise) == ((), ("fit",))

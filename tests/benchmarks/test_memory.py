"""A file larger than 1 GiB goes through the table stages within 1 GiB of memory.

    ROWS=3600000 make benchmark

Each stage runs in a process of its own. What is told is its seconds and the peak of its resident memory (VmHWM), the
pages of libraries and of mapped files included, so that what its data take is less.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.large_table import make
from tests.workspace import REPOSITORY

STAGES = ("ingest", "validate", "clean", "split", "impute", "normalize")
LIMIT = 1024  # MiB


@pytest.mark.skipif("ROWS" not in os.environ, reason="ROWS says how many rows, 300 bytes each")
def test_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path, int(os.environ["ROWS"]))
    size = (tmp_path / "visits.csv").stat().st_size / 2**20
    told = {stage: _run(stage, tmp_path) for stage in STAGES}
    with capsys.disabled():
        print(f"\n{size:,.0f} MiB")
        for stage, found in told.items():
            print(f"  {stage:10} {found['seconds']:7.1f} s, peak {found['peak']:,} MiB")
    assert max(found["peak"] for found in told.values()) < LIMIT


def _run(stage: str, root: Path) -> dict[str, float]:
    script = [sys.executable, "-m", "tests.benchmarks.large_table", stage, str(root)]
    set_to = os.environ | {"MEDLOOP_MEMORY": str(LIMIT)}
    done = subprocess.run(script, cwd=REPOSITORY, env=set_to, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found

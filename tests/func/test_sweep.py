"""`medloop sweep` by the real command: combinations compared on validation rows, everything else as it was."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

from flows.restore import as_before
from tests.func.conftest import Outcome
from tests.workspace import Workspace

Medloop = Callable[..., Outcome]


def state(workspace: Workspace) -> dict[str, bytes]:
    files = ["dvc.lock", "studies/tiny.yaml", "studies.yaml", *map(str, workspace.data("evaluate").rglob("*.json"))]
    return {name: (workspace.root / name).read_bytes() for name in files}


def children(servers: Path, kind: str) -> int:
    """How many runs MLflow has under parents of this kind."""
    query = (
        "select count(*) from tags child join tags parent on child.value = parent.run_uuid "
        "where child.key = 'mlflow.parentRunId' and parent.key = 'medloop.kind' and parent.value = ?"
    )
    with sqlite3.connect(servers / "mlflow" / "mlflow.db") as mlflow:
        return int(mlflow.execute(query, [kind]).fetchone()[0])


def test_a_sweep_ranks_combinations_and_leaves_everything_as_it_was(
    copy: Workspace, servers: Path, medloop: Medloop
) -> None:
    before = state(copy)
    told = medloop(copy, "sweep", "tiny", "--over", "balance.method=none,random_over,smoote", "--model", "logistic")
    assert told.code == 0, told.text
    assert "On validation rows" in told.text
    ranked = [line for line in told.printed.splitlines() if re.match(r"\d  ", line)]
    assert len(ranked) == 2
    assert all("logistic, " in line for line in ranked)
    assert "smoote" in told.text.split("not trained")[1]
    assert "medloop run tiny -S balance.method=" in told.text
    assert "evaluate@" not in told.text
    assert state(copy) == before
    assert "Nothing to do" in medloop(copy, "run", "tiny").text
    assert children(servers, "sweep") == 2


def test_a_sweep_that_was_cut_short_is_put_back_at_the_next_start(
    copy: Workspace, servers: Path, medloop: Medloop
) -> None:
    before = state(copy)
    cut_short = as_before(copy.root, "tiny")
    cut_short.__enter__()  # never left, as when the process is killed
    copy.write_study(lambda s: s.update(balance={"method": "none"}))
    assert state(copy) != before
    replaced = (copy.root / "studies" / "tiny.yaml").read_bytes()
    told = medloop(copy, "run", "tiny").text
    assert "Nothing to do" in told
    assert "tiny is put back as it was before" in told
    assert (servers / "replaced" / "tiny.yaml").read_bytes() == replaced
    assert state(copy) == before

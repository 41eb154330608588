"""Runs that MLflow no longer knows, since an older database is in its place, told to it again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows import clones, console, journal, record, tracking, workspace
from flows.faults import told
from flows.git import pins
from flows.home import home
from flows.journal import Journal
from flows.past_runs import runs_of
from flows.plan import unheard


def tell_again(root: Path) -> None:
    """Tells MLflow the runs of this workspace that it does not know, the oldest first, out of DVC's cache.

    What cannot be had any more is told to the person instead. The workspace must be held (`journal.sole_run`).
    """
    here, mlflow = pins(root), tracking.client(root)
    runs = [run for run in journal.all_journals(root) if run.recorded and run.key in here]
    there = runs_of(mlflow, {one for run in runs for one in run.mlflow_runs.values()}).keys()
    for run in reversed([run for run in runs if not set(run.mlflow_runs.values()) <= there]):
        try:
            _tell(root, run, here[run.key][0])
        except Exception as error:
            console.warn(f"{run.key} cannot be told to MLflow again: {told(error, doing=run.key).problem}")
        else:
            console.show_facts({"told again": run.key})


def _tell(root: Path, run: Journal, commit: str) -> None:
    with clones.clone_at(root, commit) as clone, _at_home(root):
        for study in run.recorded:
            plan = workspace.plan(clone, [study])
            workspace.bring_back(clone, [stage.name for stage in plan])
            record.study(clone, run, plan, say=unheard)


@contextmanager
def _at_home(root: Path) -> Iterator[None]:
    """Journals and databases are those of the workspace, in a clone too."""
    before, os.environ["MEDLOOP_HOME"] = os.environ.get("MEDLOOP_HOME"), str(home(root))
    try:
        yield
    finally:
        del os.environ["MEDLOOP_HOME"]
        if before:
            os.environ["MEDLOOP_HOME"] = before

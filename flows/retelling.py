"""Runs that MLflow no longer knows, since an older database is in its place, told to it again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows import clones, console, journal, record, references, tracking, workspace
from flows.faults import told
from flows.git import pins
from flows.home import home
from flows.journal import Journal
from flows.past_runs import runs_of
from flows.plan import unheard
from flows.servers import tracked


def unknown(root: Path, mlflow: Any) -> list[Journal]:
    """The runs of this workspace that MLflow, where it is now, does not know; the oldest first."""
    here = pins(root)
    runs = [run for run in journal.all_journals(root) if run.recorded and run.key in here]
    there = runs_of(mlflow, {one for run in runs for one in run.mlflow_runs.values()}).keys()
    return [run for run in runs if not set(run.mlflow_runs.values()) <= there][::-1]


def tell_again(root: Path) -> int:
    """Tells MLflow the runs of this workspace that it does not know, the oldest first, out of DVC's cache; how many.

    What cannot be had any more is told to the person instead. The workspace must be held (`journal.sole_run`).
    """
    here, mlflow, number = pins(root), tracking.client(root), 0
    for run in unknown(root, mlflow):
        try:
            _tell(root, run, here[run.key][0], mlflow)
        except Exception as error:
            console.warn(f"{run.key} cannot be told to MLflow again: {told(error, doing=run.key).problem}")
        else:
            console.show_facts({"told again": run.key})
            number += 1
    return number


def _tell(root: Path, run: Journal, commit: str, mlflow: Any) -> None:
    untold = [study for study in run.recorded if not _found(mlflow, run, study)]
    if not untold:
        run.tracked = tracked()
        journal.save(root, run)
        return
    with clones.clone_at(root, commit) as clone, _at_home(root):
        for study in untold:
            plan = workspace.plan(clone, [study])
            workspace.bring_back(clone, [stage.name for stage in plan])
            record.study(clone, run, plan, say=unheard)


def _found(mlflow: Any, run: Journal, study: str) -> bool:
    """Whether MLflow knows the run by its key, as one that was told to two in turn; the journal then names those."""
    pages = [page for page in references.comparisons(mlflow, run.key, study) if page.info.status == "FINISHED"]
    if not pages:
        return False
    told_of = pages[0].data.tags.items()
    known = {key.removeprefix("medloop.model."): one for key, one in told_of if key.startswith("medloop.model.")}
    run.mlflow_runs.update({f"{study}/{model}": one for model, one in known.items()})
    return True


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

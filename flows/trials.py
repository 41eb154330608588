"""Studies tried under other settings: each trial a run like any other, all told to MLflow under one parent."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from flows import index, journal, overrides, record, tracking, workspace
from flows.console import Watcher
from flows.groups import GROUP, group
from flows.home import home
from flows.plan import Stage, evaluating, leading_to
from flows.settings import Settings
from flows.store import write_json, write_text
from pipelines.compare import Leaderboard


def train(
    root: Path, study: str, values: Mapping[str, object], models: Sequence[str], watcher: Watcher, *, test: bool = False
) -> Settings:
    """Writes values into the study's file and trains these models, as a run of its own; the settings they had.

    A stage that the values do not change is not run again. The study is to be put back: see `flows.restore`.

    test: evaluate the models on the test part, too. Raises MedloopError when anything failed.
    """
    from flows.pipeline import Run, execute  # Prefect takes its settings when it is imported: they must stand by then

    overrides.apply(root, [study], [f"{key}={value}" for key, value in values.items()])
    settings = index.refresh(root, [study])[0]
    whole = workspace.plan(root, [study])
    plan = leading_to(whole, (evaluating if test else _training)(whole, models))
    run = journal.start(root, [study], {})
    execute(Run(root=root, journal=run, settings=settings, plan=plan, watcher=watcher, records=False))
    record.pin(root, run)
    return settings[study]


def _training(plan: Sequence[Stage], models: Sequence[str]) -> set[str]:
    """The names of the stages that train these models: they read nothing that was trained."""
    known = {stage.name: stage for stage in plan}
    return {s.name for s in plan if s.model in models and not any(known[above].model for above in s.after)}


def tell_mlflow(
    root: Path, study: str, key: str, kind: str, trials: Mapping[str, tracking.Content], verdict: str
) -> None:
    """A run for each trial, by its label, under one parent."""
    mlflow = tracking.client(root)
    experiment = tracking.experiment_id(mlflow, root, study)
    tags = {"medloop.run": key}
    parent = tracking.open_run(mlflow, experiment, f"{kind} {key}", {**tags, "medloop.kind": kind})
    with tracking.failed_otherwise(mlflow, parent):
        for label, content in trials.items():
            own = {**tags, "medloop.kind": "trial", GROUP: group(content.params, key)}
            run = tracking.open_run(mlflow, experiment, label, own, parent=parent)
            tracking.complete(mlflow, run, content)
    tracking.complete(mlflow, parent, tracking.Content(tags={"mlflow.note.content": verdict}))


def keep(root: Path, key: str, board: Leaderboard, page: str) -> Path:
    """Writes the leaderboard and its page into medloop's home; their folder."""
    folder = home(root) / "boards" / key
    write_json(folder / "leaderboard.json", board)
    write_text(folder / "leaderboard.html", page)
    return folder

"""A sweep: which settings are right here? Every combination trains and validation rows judge; no test row is touched.

Combinations are written into the study's file one after another, so that each is a run like any other and reuses
every stage that it does not change; at the end the study, `dvc.lock` and the data are as they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contracts.errors import MedloopError
from flows import console, index, journal, overrides, record, tracking, workers, workspace
from flows.grid import Combination
from flows.home import home
from flows.pipeline import Run, execute
from flows.plan import Say, Stage
from flows.restore import as_before
from flows.settings import Settings
from flows.stages import Context
from flows.store import write_json, write_text
from pipelines.compare import Leaderboard, compare, table
from pipelines.evaluate import Entry
from pipelines.figures import leaderboard_page

SHOWN = 7  # the rows of the page; all are in the JSON file and in MLflow


@dataclass
class Sweep:
    """What a sweep found: entries and their combination by name, and why a combination could not be trained."""

    study: Settings
    key: str
    entries: dict[str, Entry] = field(default_factory=dict)
    combinations: dict[str, tuple[Combination, str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def leaderboard(self) -> Leaderboard:
        """All that trained, best first. Raises MedloopError when nothing did."""
        if not self.entries:
            raise MedloopError("no combination could be trained", mend="; ".join(set(self.failed.values())))
        baselines = {name for name, entry in self.entries.items() if entry.evaluation.baseline}
        return compare(self.entries, self.study.compare, baselines, part="validation")


def sweep(
    root: Path, study: Settings, grid: Sequence[Combination], models: Sequence[str], watcher: console.Watcher
) -> Sweep:
    """Trains the models under every combination and judges them on the validation rows.

    A combination that cannot be trained is kept with the reason, and the others go on.
    """
    found = Sweep(study=study, key=journal.new_key([study.name]))
    with as_before(root, study.name):
        for number, combination in enumerate(grid, start=1):
            told = ", ".join(f"{key}={value}" for key, value in combination.items())
            console.console.print(f"[bold]{number} of {len(grid)}[/] {told}", soft_wrap=True)
            try:
                found.entries |= _tried(root, found, combination, models, watcher)
            except MedloopError as fault:
                found.failed[told] = fault.problem
                console.warn(f"{told}: {fault.problem}")
    _tell_mlflow(root, found)
    return found


def _tried(
    root: Path, found: Sweep, combination: Combination, models: Sequence[str], watcher: console.Watcher
) -> dict[str, Entry]:
    """The models under one combination, by name, trained and judged."""
    name = found.study.name
    overrides.apply(root, [name], [f"{key}={value}" for key, value in combination.items()])
    settings = index.refresh(root, [name])[0]
    plan = _training(workspace.plan(root, [name]), models)
    run = journal.start(root, [name], {})
    execute(Run(root=root, journal=run, settings=settings, plan=plan, watcher=watcher, records=False))
    record.pin(root, run, plan[-1].name)
    entries = {}
    for model in models:
        label = ", ".join([model, *combination.values()])
        entries[label] = workers.call(label, _judged, root, settings[name], model, say=lambda text: None)
        found.combinations[label] = (combination, model)
    return entries


def _judged(root: Path, settings: Settings, model: str, say: Say) -> Entry:
    from flows.stages.evaluate import judge

    return judge(Context(root=root, settings=settings, model=model, say=say), "validation")[0]


def _training(plan: Sequence[Stage], models: Sequence[str]) -> list[Stage]:
    """The stages that train these models and all that they need; none that reads what was trained."""
    known = {stage.name: stage for stage in plan}
    trains = [s for s in plan if s.model in models and not any(known[above].model for above in s.after)]
    needed = {stage.name for stage in trains}
    for stage in reversed(plan):
        if stage.name in needed:
            needed.update(stage.after)
    return [stage for stage in plan if stage.name in needed]


def _tell_mlflow(root: Path, found: Sweep) -> None:
    """A run for each model and combination, under one parent."""
    mlflow = tracking.client(root)
    experiment = tracking.experiment_id(mlflow, root, found.study.name)
    tags = {"medloop.run": found.key}
    page = tracking.open_run(mlflow, experiment, f"sweep {found.key}", {**tags, "medloop.kind": "sweep"})
    for label, entry in found.entries.items():
        combination, model = found.combinations[label]
        run = tracking.open_run(mlflow, experiment, label, {**tags, "medloop.kind": "trial"}, parent=page)
        metrics = record.metrics(entry.evaluation, "validation")
        tracking.complete(mlflow, run, tracking.Content(params={"model": model, **combination}, metrics=metrics))
    tracking.complete(mlflow, page, tracking.Content(tags={"mlflow.note.content": found.leaderboard.verdict}))


def show(root: Path, found: Sweep) -> None:
    """The verdict, the table, and how to take the best combination; the rest as a page and a JSON file."""
    board = found.leaderboard
    folder = home(root) / "boards" / found.key
    write_json(folder / "leaderboard.json", board)
    best = board.model_copy(update={"rows": board.rows[:SHOWN]})
    evaluations = {row.model: found.entries[row.model].evaluation for row in best.rows}
    write_text(folder / "leaderboard.html", leaderboard_page(best, evaluations, f"{found.study.study.title}: a sweep"))
    header, *rows = table(board)
    console.show_leaderboard(f"On validation rows, {board.verdict}", header, rows)
    combination, _ = found.combinations[board.choice]
    settings = " ".join(f"-S {key}={value}" for key, value in combination.items())
    by_reason = {why: told for told, why in reversed(found.failed.items())}
    console.show_facts(
        {
            "take it": f"medloop run {found.study.name} {settings}",
            "not trained": "; ".join(f"{told}: {why}" for why, told in by_reason.items()) or "none",
            "page": folder / "leaderboard.html",
        }
    )

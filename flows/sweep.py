"""A sweep: which settings are right here? Every combination trains and validation rows judge; no test row is touched.

Combinations are written into the study's file one after another, so that each is a run like any other and reuses
every stage that it does not change; at the end the study, `dvc.lock` and the data are as they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contracts.errors import MedloopError
from flows import console, journal, record, tracking, trials, workers
from flows.grid import Combination
from flows.plan import Say, unheard
from flows.restore import as_before
from flows.settings import Settings
from flows.stages import Context
from flows.store import write_json
from pipelines.compare import Leaderboard, compare, table
from pipelines.figures import leaderboard_page
from pipelines.pooling import Spread, spread
from pipelines.results import Entry

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
    settings = trials.train(root, found.study.name, combination, models, watcher)
    entries = {}
    for model in models:
        label = ", ".join([model, *combination.values()])
        entries[label] = workers.call(label, judged, root, settings, model, say=unheard)
        found.combinations[label] = (combination, model)
    return entries


def judged(root: Path, settings: Settings, model: str, say: Say) -> Entry:
    """What a trained model is worth on the validation rows; to be called in a worker, since it takes torch."""
    from flows.stages.evaluate import judge

    return judge(Context(root=root, settings=settings, model=model, say=say), "validation")[0]


def _tell_mlflow(root: Path, found: Sweep) -> None:
    """A run for each model and combination."""
    told = {}
    for label, entry in found.entries.items():
        combination, model = found.combinations[label]
        metrics = record.metrics(entry.evaluation, "validation")
        told[label] = tracking.Content(params={"model": model, **combination}, metrics=metrics)
    trials.tell_mlflow(root, found.study.name, found.key, "sweep", told, found.leaderboard.verdict)


def over_seeds(found: Sweep, metric: str) -> dict[str, Spread]:
    """The metric over the seeds that each model, and what else it was combined with, was trained with, if any."""
    tried: dict[str, list[Entry]] = {}
    for label, entry in found.entries.items():
        combination, model = found.combinations[label]
        if any(map(_is_seed, combination)):
            rest = [value for key, value in combination.items() if not _is_seed(key)]
            tried.setdefault(", ".join([model, *rest]), []).append(entry)
    return {name: spread([entries], metric) for name, entries in tried.items()}


def _is_seed(key: str) -> bool:
    """Whether it is no choice: a lucky seed is no better than another."""
    return key.split(".")[-1] == "seed"


def show(root: Path, found: Sweep) -> None:
    """The verdict, the table, and how to take the best combination; the rest as a page and a JSON file."""
    board = found.leaderboard
    best = board.model_copy(update={"rows": board.rows[:SHOWN]})
    evaluations = {row.model: found.entries[row.model].evaluation for row in best.rows}
    page = leaderboard_page(best, evaluations, f"{found.study.study.title}: a sweep")
    folder = trials.keep(root, found.key, board, page)
    header, *rows = table(board)
    console.show_leaderboard(f"On validation rows, {board.verdict}", header, rows)
    combination, _ = found.combinations[board.choice]
    settings = [f"-S {key}={value}" for key, value in combination.items() if not _is_seed(key)]
    seeds = over_seeds(found, board.metric)
    write_json(folder / "seeds.json", {name: told.model_dump() for name, told in seeds.items()})
    by_reason = {why: told for told, why in reversed(found.failed.items())}
    console.show_facts(
        {
            **{f"{name}, {len(told.folds[0])} seeds": told for name, told in seeds.items()},
            "take it": " ".join(["medloop run", found.study.name, *settings]),
            "not trained": "; ".join(f"{told}: {why}" for why, told in by_reason.items()) or "none",
            "page": folder / "leaderboard.html",
        }
    )

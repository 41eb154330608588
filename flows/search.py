"""A search for the settings of one model: optuna proposes, each trial is a run like any other, development rows judge.

Trials are judged on the validation rows, or out of fold where the study has folds; no test row is touched. What was
tried is kept in a database in medloop's home, so that the same command goes on where it stopped. Proposals are those of
the tree-structured Parzen estimator (Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011),
from a seed that follows from a trial's number: a search that was cut short and one that was not propose the same.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import MedloopError
from flows import console, folds, journal, overrides, record, sweep, trials, workers
from flows.home import home
from flows.plan import Epoch, StoppedError, unheard
from flows.restore import as_before
from flows.settings import Settings
from flows.space import Space, ends, shown, suggest, written
from pipelines.compare import JudgedPart
from pipelines.results import Entry
from pipelines.tasks import METRICS

if TYPE_CHECKING:
    import optuna

AS_IT_IS = "as it is"
FEWEST, WARM_UP = 5, 5  # trials that are never pruned, and epochs of each
SHOWN = 6


@dataclass
class Search:
    """What a search found: the best entries by label ("as it is", "trial 3"); in the database's study, every trial."""

    study: Settings
    model: str
    space: Space
    key: str
    tried: "optuna.Study"
    entries: dict[str, Entry] = field(default_factory=dict)

    @property
    def part(self) -> JudgedPart:
        """Whose rows judge."""
        return "development" if self.study.split.folds else "validation"

    def taken(self, label: str) -> dict[str, object]:
        """What a trial took of each axis; nothing for the study as it is."""
        return next((t.params for t in self.tried.trials if called(t.number) == label), {})


def seed(number: int) -> int:
    """The sampler's for a trial; the first draws of neighbouring seeds would resemble each other."""
    return int.from_bytes(hashlib.sha256(str(number).encode()).digest()[:4], "big")


def called(number: int) -> str:
    """A trial's name, counted from 1 as people do."""
    return f"trial {number + 1}"


def search(root: Path, study: Settings, model: str, space: Space, most: int, watcher: console.Watcher) -> Search:
    """Tries settings until `most` trials have been made, earlier ones of the same search counted.

    A trial that fails is kept with its reason. Raises MedloopError when an axis is no setting, before any work, or when
    the study as it is cannot be trained.
    """
    with as_before(root, study.name):
        overrides.apply(root, [study.name], [f"{key}={v}" for key, v in written(ends(space), model).items()])
    with as_before(root, study.name):
        console.console.print(f"[bold]{AS_IT_IS}[/]")
        own = _judged(root, study, model, {}, watcher)
        key = journal.new_key([study.name])
        found = Search(study, model, space, key, _opened(root, study, model, space, own), {AS_IT_IS: own})
        for trial in _proposed(found.tried, most):
            _try(root, found, trial, most, watcher)
        best = _best(found)
        for label in best:
            if label not in found.entries:
                console.console.print(f"[bold]{label}[/], judged again")
                found.entries[label] = _judged(root, study, model, written(found.taken(label), model), watcher)
    found.entries = {label: found.entries[label] for label in (AS_IT_IS, *best)}
    return found


def _judged(root: Path, study: Settings, model: str, values: Mapping[str, str], watcher: console.Watcher) -> Entry:
    """What the model is worth with these values."""
    if study.split.folds:
        split = folds.with_folds(study, None, None)
        return folds.tested(root, study, split, values, [model], watcher).entries[model]
    settings = trials.train(root, study.name, values, [model], watcher)
    entry: Entry = workers.call(model, sweep.judged, root, settings, model, say=unheard)
    return entry


def _told(own: Entry) -> bytes:
    """What was predicted; of entities in texts an array holds no more than where they lie in memory."""
    return repr(own.predicted.tolist()).encode() if own.predicted.dtype == object else own.predicted.tobytes()


def _opened(root: Path, study: Settings, model: str, space: Space, own: Entry) -> "optuna.Study":
    """The search in the database, begun or taken up: what the study as it is predicts tells whether it is the same."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    same = hashlib.sha256(_told(own) + repr((sorted(space.items()), study.compare.metric)).encode())
    path = home(root) / "searches.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(
        study_name=f"{study.name}/{model}/{same.hexdigest()[:12]}",
        storage=f"sqlite:///{path}",
        direction="maximize" if METRICS[study.compare.metric].higher_is_better else "minimize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=FEWEST, n_warmup_steps=WARM_UP),
        load_if_exists=True,
    )


def _proposed(tried: "optuna.Study", most: int) -> "Iterator[optuna.Trial]":
    """The trial that was cut short, if there is one, then new ones."""
    import optuna

    for cut_short in tried.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        yield optuna.Trial(tried, cut_short._trial_id)
    while (number := len(tried.trials)) < most:
        tried.sampler = optuna.samplers.TPESampler(seed=seed(number))
        yield tried.ask()


def _try(root: Path, found: Search, trial: "optuna.Trial", most: int, watcher: console.Watcher) -> None:
    from optuna.trial import TrialState

    taken, label = suggest(trial, found.space), called(trial.number)
    console.console.print(f"[bold]{label} of {most}[/] {told(taken)}", soft_wrap=True)
    try:
        with _pruned(found, trial, watcher):
            entry = _judged(root, found.study, found.model, written(taken, found.model), watcher)
    except StoppedError:
        console.console.print(f"  pruned after {len(_reported(trial))} epochs: behind most others at that epoch")
        found.tried.tell(trial, state=TrialState.PRUNED)
    except MedloopError as fault:
        console.warn(f"{label}: {fault.problem}")
        trial.set_user_attr("failed", fault.problem)
        found.tried.tell(trial, state=TrialState.FAIL)
    else:
        found.entries[label] = entry
        trial.set_user_attr("metrics", record.metrics(entry.evaluation, found.part))
        found.tried.tell(trial, entry.evaluation.metrics[found.study.compare.metric].value, state=_state(found, entry))


def _state(found: Search, entry: Entry) -> Any:
    """A trial on whose rows the metric is undefined has failed."""
    from optuna.trial import TrialState

    undefined = entry.evaluation.metrics[found.study.compare.metric].value is None
    return TrialState.FAIL if undefined else TrialState.COMPLETE


def told(taken: Mapping[str, object]) -> str:
    """Settings in a line."""
    return ", ".join(f"{key} {value}" for key, value in shown(taken).items())


@contextmanager
def _pruned(found: Search, trial: "optuna.Trial", watcher: console.Watcher) -> Iterator[None]:
    """Reports every epoch within, and ends the training that does not keep up. Raises StoppedError when it did not.

    Folds differ more than settings do, so that epochs of one fold are not set beside those of another.
    """
    if found.study.split.folds:
        yield
        return
    sign = 1 if METRICS[found.study.compare.metric].higher_is_better else -1
    before, behind = set(_reported(trial)), False

    def heed(text: str) -> None:
        nonlocal behind
        if isinstance(text, Epoch) and text.counts and math.isfinite(text.value) and not behind:
            if text.number not in before:  # a training that was cut short tells its epochs again
                before.add(text.number)
                trial.report(sign * text.value, text.number)
            behind = trial.should_prune()
        if behind:
            raise StoppedError("it does not keep up with the trials before")

    watcher.heed = heed
    try:
        yield
    finally:
        watcher.heed = None
    if behind:  # the training ended before it heard of it; another time it might not
        raise StoppedError("it does not keep up with the trials before")


def _reported(trial: "optuna.Trial") -> dict[int, float]:
    return trial.study.trials[trial.number].intermediate_values


def _best(found: Search) -> list[str]:
    """The labels of the best trials, best first."""
    from optuna.trial import TrialState

    whole = found.tried.get_trials(states=[TrialState.COMPLETE])
    sign = -1 if METRICS[found.study.compare.metric].higher_is_better else 1
    return [called(t.number) for t in sorted(whole, key=lambda t: (sign * (t.value or 0.0), t.number))[:SHOWN]]

"""`medloop reproduce`: a past run's recipe run again on its data, in a clone, and how alike what comes out is."""

import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from contracts.errors import MedloopError
from contracts.names import nearest
from contracts.tables import label_names
from flows import clones, console, environment, past_settings, references, servers, tracking, workspace
from flows.console import Watcher
from flows.environment import LOCK, Machine, Surroundings, told_by
from flows.git import commit_of, git
from flows.home import data_folder, find_root, home
from flows.plan import Stage, evaluating, leading_to
from flows.references import Recorded
from flows.reproduction import EXIT_CODES, Divergence, Kind, Reproduction, differences, gap, grade, in_spread
from flows.store import read_json, read_table, write_json
from flows.studies import default_study, study_names

KEY = re.compile(r"(.+)-\d{8}-\d{4}-[a-z0-9]{4}")
SEVERAL = "studies"  # the key of a run of several begins so
Do = Callable[[Sequence[str]], None]  # runs a stage, given as on the command line


@dataclass(frozen=True, kw_only=True)
class Past:
    """What a reference names: where it is pinned, whose models, their runs in MLflow, machine and packages of then."""

    revision: str
    study: str | None
    models: tuple[str, ...]
    runs: Mapping[str, str]
    around: Surroundings | None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How to run it again.

    values: settings to change first, as `-S` takes them
    source: read the study's source again, rather than take what ingest read then
    own_environment: in an environment of the packages of then
    tolerance: within which predictions are the same
    seeds: how many other seeds tell the spread where predictions differ
    """

    values: Sequence[str] = ()
    source: bool = False
    own_environment: bool = False
    tolerance: float = 1e-6
    seeds: int = 5


def find(root: Path, reference: str, study: str | None = None) -> Past:
    """`study`: the one that is meant, where a run was of several.

    Raises MedloopError when neither MLflow nor Git knows the reference, when a study must be said and is not, or Git
    has not the commit of the run.
    """
    known = references.recorded(root, reference, study or "")
    if len(studies := sorted({one.study for one in known})) > 1:
        raise MedloopError(f"{reference} is of {len(studies)} studies", mend=f"--study, one of: {', '.join(studies)}")
    return _recorded(root, reference, known) if known else _of_git(root, reference)


def _recorded(root: Path, reference: str, known: Sequence[Recorded]) -> Past:
    """A run that MLflow knows, by the models of it that are meant."""
    tags = known[0].tags
    revision = commit_of(root, tags.get("medloop.experiment", "")) or commit_of(root, tags.get("medloop.run", ""))
    if revision is None:
        raise MedloopError(
            f"this clone has not the commit that pins run {tags.get('medloop.run', reference)}",
            mend="dvc exp pull REMOTE KEY brings it from a Git remote that it was pushed to",
        )
    told = tags.get("medloop.machine")
    return Past(
        revision=revision,
        study=known[0].study,
        models=tuple(one.model for one in known),
        runs={one.model: one.run_id for one in known},
        around=_around_then(root, revision)
        or (Surroundings(machine=Machine.model_validate_json(told)) if told else None),
    )


def _of_git(root: Path, reference: str) -> Past:
    """A run by its key, or whatever a revision pins."""
    key, _, model = reference.partition("/")
    named = commit_of(root, reference)
    revision = named or commit_of(root, key)
    if revision is None:
        raise MedloopError(
            f"neither MLflow nor Git knows {reference!r}",
            mend="give a run key, such as diabetes-20261122-0315-k3f9, with /MODEL or without, an MLflow run id, "
            "a registered model (diabetes@champion) or a Git revision",
        )
    by_model = (model,) if model and not named else ()
    of_key = KEY.fullmatch(key)
    return Past(
        revision=revision,
        study=of_key[1] if of_key else None,
        models=by_model,
        runs={},
        around=_around_then(root, revision),
    )


def _around_then(root: Path, revision: str) -> Surroundings | None:
    return told_by(git(root, "show", "--no-patch", "--format=%b", revision))


def _study(clone: Path, past: Past, asked: str | None) -> str:
    """Whose models: as asked, as the run was of, else the default study, if that commit has it."""
    known = study_names(clone)
    name = asked or (past.study if past.study != SEVERAL else None) or default_study(clone)
    if name not in known:
        raise MedloopError(
            f"that commit has no study {name}{nearest(name, known)}", mend=f"--study, one of: {', '.join(known)}"
        )
    if asked is None and past.study in (None, SEVERAL):
        console.warn(f"no study was named: {name} is taken, of {', '.join(known)} (--study)")
    return name


def reproduce(root: Path, reference: str, study: str | None, asked: Asked, watcher: Watcher) -> list[Reproduction]:
    """Runs the recipe again and grades every model; each verdict is kept as JSON and as a tag of the run in MLflow.

    Raises MedloopError when the run, its data or its models cannot be had, or a stage fails.
    """
    past = find(root, reference, study)
    with clones.clone_at(root, past.revision) as clone:
        name = _study(clone, past, study)
        if asked.source:
            _link_sources(root, clone, name)
        python = clones.own_environment(clone) if asked.own_environment else sys.executable
        around = _around(clone, past.around, python)
        with clones.stages_of(clone, python) as do:
            again = Again(clone, name, past.models, asked, do, watcher)
            verdicts = [again.verdict(model, reference, past.revision, around) for model in again.models]
    for verdict in verdicts:
        _keep(root, verdict, past.runs.get(verdict.model))
    return verdicts


class Again:
    """A study's stages run again in a clone of its past."""

    def __init__(self, clone: Path, study: str, models: Sequence[str], asked: Asked, do: Do, watcher: Watcher) -> None:
        self.clone, self.study, self.asked, self.watcher = clone, study, asked, watcher
        plan = workspace.plan(clone, [study])
        there = [stage.model for stage in plan if stage.model]
        self.models = _chosen(models, list(dict.fromkeys(there)))
        self.stages = leading_to(plan, evaluating(plan, self.models))
        first = [stage for stage in self.stages if not stage.after]
        workspace.bring_back(clone, [s.name for s in self.stages if s.model or s in first])
        self.then = {model: self._judged(model) for model in self.models}
        self.do = do
        if asked.values:
            past_settings.change(clone, study, asked.values)
        again = self.stages if asked.source else [stage for stage in self.stages if stage not in first]
        self.diverged = {stage.name: found for stage in again if (found := self._run(stage)).files}
        self.ran = {stage.name for stage in again}
        self.now = {model: self._judged(model) for model in self.models}

    def _run(self, stage: Stage, seed: str = "") -> Divergence:
        start, name = time.monotonic(), stage.name.rpartition(":")[2]
        self.watcher.start(name)
        work = partial(self.do, stage.arguments) if stage.arguments else None
        changed, files = workspace.run_again(self.clone, stage.name, work)
        said = seed or f"differs: {', '.join(Path(file).name for file in files[:3])}" if seed or files else "the same"
        self.watcher.end(name, "ran", said, time.monotonic() - start)
        return Divergence(stage=name, changed=changed, files=files)

    def _judged(self, model: str) -> "tuple[Any, dict[str, float]]":
        """The predicted numbers, such as probabilities, and the metrics on the test rows."""
        folder = data_folder(self.clone, self.study, "evaluate") / model
        predictions = read_table(folder / "predictions.parquet")
        numbers = predictions.drop(columns=["@id", "@group", *label_names(predictions)]).to_numpy()
        return numbers, read_json(folder / "metrics.json")

    def verdict(self, model: str, reference: str, revision: str, around: Mapping[Kind, Sequence[str]]) -> Reproduction:
        """The grade of one model, with its evidence."""
        mine = [stage for stage in self.stages if stage.model in (None, model) and stage.name in self.ran]
        first = next((self.diverged[stage.name] for stage in mine if stage.name in self.diverged), None)
        (was, then), (predicted, now) = self.then[model], self.now[model]
        difference, metric = gap(was, predicted), past_settings.metric(self.clone, self.study)
        close = difference is not None and difference <= self.asked.tolerance
        seeds = [] if first is None or close else self._seeds(model, mine, metric)
        spread = in_spread(then[metric], now[metric], seeds)
        return Reproduction(
            reference=reference,
            study=self.study,
            model=model,
            revision=revision,
            values=list(self.asked.values),
            source=self.asked.source,
            grade=grade(first, difference, self.asked.tolerance, spread),
            stages=len(mine),
            first=first,
            differs=differences(first, around),
            gap=difference,
            tolerance=self.asked.tolerance,
            metric=metric,
            then=then[metric],
            now=now[metric],
            seeds=seeds,
            ended=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _seeds(self, model: str, stages: Sequence[Stage], metric: str) -> list[float]:
        """The metric of the recipe as it was just run, with other seeds; none where the seed changes nothing."""
        settings = read_json(data_folder(self.clone, self.study, "train") / model / "model" / "model.json")
        found: list[float] = []
        for seed in range(1, self.asked.seeds + 1):
            value = int(settings["params"]["seed"]) + seed
            past_settings.change(self.clone, self.study, past_settings.seeded(self.clone, self.study, model, value))
            for stage in stages:
                if stage.model:
                    self._run(stage, f"seed {value}")
            found.append(self._judged(model)[1][metric])
        return found


def _link_sources(root: Path, clone: Path, study: str) -> None:
    """Data that Git does not keep lie in the workspace alone."""
    for path in past_settings.local_sources(clone, study):
        if (root / path).exists() and not (clone / path).exists():
            (clone / path).parent.mkdir(parents=True, exist_ok=True)
            (clone / path).symlink_to(root / path)


def _chosen(models: Sequence[str], there: Sequence[str]) -> list[str]:
    for model in models:
        if model not in there:
            raise MedloopError(
                f"that run has no model {model}{nearest(model, there)}", mend=f"one of: {', '.join(there)}"
            )
    return list(models) or list(there)


def _around(clone: Path, then: Surroundings | None, python: str) -> dict[Kind, list[str]]:
    """What differs of packages and machine from those of then; what is not told of then is what the lock names."""
    lock, found = clone / LOCK, dict[Kind, list[str]]()
    pinned = then.packages if then else {}
    if not pinned and lock.is_file():
        pinned = environment.locked(lock.read_text(encoding="utf-8"))
    here = environment.packages() if python == sys.executable else environment.packages_of(python)
    found["library"] = environment.other_versions(pinned, here)
    for kind, said in (environment.other_machine(then.machine, environment.machine()) if then else {}).items():
        found.setdefault(kind, []).extend(said)
    return found


def _keep(root: Path, verdict: Reproduction, run_id: str | None) -> None:
    what_if = verdict.source or bool(verdict.values)
    name = f"{verdict.study}-{verdict.model}-{verdict.revision[:12]}{'-what-if' * what_if}.json"
    write_json(home(root) / "reproductions" / name, verdict)
    if run_id and not what_if:
        tracking.tag(root, run_id, {"medloop.reproduced": f"{verdict.grade}, {verdict.ended}"})


def reproduce_run(reference: str, study: str | None, asked: Asked) -> int:
    """`medloop reproduce`: a verdict a model; the exit code of the worst."""
    root = find_root()
    servers.prepare_environment(root)
    watcher = console.Watcher()
    with watcher.live():
        verdicts = reproduce(root, reference, study, asked, watcher)
    for verdict in verdicts:
        console.show_facts({verdict.model: verdict.sentence})
    return max(EXIT_CODES[verdict.grade] for verdict in verdicts)

"""The runs that a comparison names: where each is pinned, and what MLflow tells of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from contracts.errors import MedloopError
from flows import references
from flows.comparing import stored
from flows.git import commit_of
from flows.home import data_folder
from flows.store import read_json
from flows.studies import study_names

ID = set("0123456789abcdef")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A model's run; without `run_id` what lies in the working tree. `name`: as it is shown."""

    reference: str
    study: str
    model: str
    run_id: str = ""
    name: str = ""
    started: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The run's one key; of the working tree, none."""
        return self.tags.get("medloop.run", "")


def find(root: Path, references: Sequence[str]) -> list[Run]:
    """The runs by their references, each once, in that order, named so that they can be told apart.

    Raises MedloopError for what nobody knows, and when there are fewer than two.
    """
    by_id = _by_id(root, [one for one in references if _is_id(one)])
    found: dict[tuple[str, str, str], Run] = {}
    for reference in references:
        named = [by_id[reference]] if reference in by_id else _named(root, reference)
        for run in named:
            found.setdefault((run.run_id, run.study, run.model) if not run.run_id else (run.run_id, "", ""), run)
    if len(found) < 2:
        raise MedloopError(
            f"a comparison takes two runs or more; {' '.join(references)} "
            f"{'names' if len(references) == 1 else 'name'} {len(found)}",
            mend="medloop compare diabetes@champion diabetes/mlp, or a run key, which names all its models",
        )
    return with_names(list(found.values()))


def one(root: Path, reference: str) -> Run:
    """The one run that a reference names. Raises MedloopError when it names none, or several."""
    by_id = _by_id(root, [reference]) if _is_id(reference) else {}
    found = with_names(list(by_id.values()) or _named(root, reference))
    if len(found) > 1:
        raise MedloopError(
            f"{reference} names {len(found)} runs", mend=f"name one: {reference}/{found[0].model}, for example"
        )
    return found[0]


def _is_id(reference: str) -> bool:
    return len(reference) == 32 and set(reference) <= ID


def _named(root: Path, reference: str) -> list[Run]:
    """Of the working tree, or of MLflow as predict and reproduce know it."""
    study, _, model = reference.partition("/")
    if study in study_names(root) and model and not model.isdigit() and "@" not in reference:
        return [_present(root, reference, study, model)]
    known = references.recorded(root, reference)
    if not known:
        raise MedloopError(
            f"no run is called {reference!r}",
            mend="give an MLflow run id, a run key such as diabetes-20261122-0315-k3f9, with /MODEL or without, "
            "STUDY/MODEL (the present results), a study's champion (diabetes@champion), or a version (diabetes/3)",
        )
    by_id = _by_id(root, [one.run_id for one in known])
    return [replace(by_id[one.run_id], reference=reference) for one in known]


def _present(root: Path, reference: str, study: str, model: str) -> Run:
    """What lies in the working tree now."""
    there = sorted(path.parent.name for path in data_folder(root, study, "evaluate").glob("*/evaluation.json"))
    if model not in there:
        raise MedloopError(
            f"the working tree has no result of {reference}",
            where=str(data_folder(root, study, "evaluate")),
            mend=f"one of: {', '.join(f'{study}/{name}' for name in there)}" if there else f"medloop run {study}",
        )
    metrics = read_json(data_folder(root, study, "evaluate") / model / "metrics.json")
    told = {f"test_{name}": value for name, value in metrics.items() if value is not None}
    return Run(reference=reference, study=study, model=model, metrics=told)


def _by_id(root: Path, ids: Sequence[str]) -> dict[str, Run]:
    """The models' runs of these ids."""
    return {
        run_id: Run(
            reference=run_id,
            study=of.study,
            model=of.tags["medloop.model"],
            run_id=run_id,
            started=of.started,
            tags=of.tags,
            params=of.params,
            metrics=of.metrics,
        )
        for run_id, of in stored.by_ids(root, ids).items()
        if "medloop.model" in of.tags
    }


def with_names(runs: Sequence[Run]) -> list[Run]:
    """Named as shortly as tells them apart: by the model; where it is the same, by study and run key, too."""
    studies = len({run.study for run in runs}) > 1
    keys = len({run.key for run in runs}) > 1
    named = [f"{run.study}/{run.model}" if studies else run.model for run in runs]
    counts = Counter(named)
    if max(counts.values()) > 1 and keys:
        named = [
            (f"{name} of {run.key}" if run.key else f"{name} (present)") if counts[name] > 1 else name
            for name, run in zip(named, runs, strict=True)
        ]
        counts = Counter(named)
    named = [
        f"{name} {run.run_id[:8] or '(present)'}" if counts[name] > 1 else name
        for name, run in zip(named, runs, strict=True)
    ]
    return [replace(run, name=name) for run, name in zip(runs, named, strict=True)]


def commit(root: Path, run: Run) -> str:
    """The commit that pins a run. Raises MedloopError when this clone has it not."""
    for name in (run.tags.get("medloop.experiment", ""), run.key):
        found = commit_of(root, name) if name else None
        if found:
            return found
    raise MedloopError(
        f"this clone has not the commit that pins {run.name or run.reference}",
        where=run.key,
        mend="dvc exp pull REMOTE KEY brings it from a Git remote that it was pushed to",
    )

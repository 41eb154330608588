"""A past commit's settings, read as plain values: its own code checks them, today's may know other ones."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts.errors import MedloopError
from flows import overrides
from flows.settings import load
from flows.studies import PARAMS, read_yaml, study_file
from flows.task_settings import suited, task_of
from pipelines.compare import CompareParams


def metric(root: Path, study: str) -> str:
    """By what that commit ranked the study's models."""
    own = read_yaml(study_file(root, study))
    shared = suited(task_of(own), read_yaml(root / PARAMS))
    compare = {**(shared.get("compare") or {}), **(own.get("compare") or {})}
    return str(compare.get("metric", CompareParams().metric))


def local_sources(root: Path, study: str) -> Iterator[str]:
    """Paths of files and folders that the study's source names, without addresses."""
    source = read_yaml(study_file(root, study))["source"]
    for table in (source.get("tables") or {"": source}).values():
        yield from (path for key in ("path", "folder") if (path := table.get(key)) and "://" not in path)


def change(root: Path, study: str, assignments: Sequence[str]) -> None:
    """Sets values in the study's file; where today's code cannot read that file, the stages' own code checks them.

    Raises MedloopError for a wrong one.
    """
    try:
        load(root, study)
    except MedloopError:
        overrides.write(study_file(root, study), assignments)
    else:
        overrides.apply(root, [study], assignments)


def seeded(root: Path, study: str, model: str, seed: int) -> list[str]:
    """What gives a model another seed: its own training's, where it has one, goes before the study's."""
    written = [read_yaml(study_file(root, study)), read_yaml(root / PARAMS)]
    own = any("seed" in _inner(file, "models", model, "train") for file in written)
    return [f"train.seed={seed}", *([f"models.{model}.train.seed={seed}"] if own else [])]


def _inner(settings: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        settings = settings.get(key) or {}
    return settings

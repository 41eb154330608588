"""Which runs of the past stay, by the policy and by what registered models need, and which may go."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from flows import databases, git, journal, tracking
from flows.journal import Journal
from flows.policy import Keep
from flows.promotion import HISTORY

ALL = 3  # mlflow.entities.ViewType.ALL
TOGETHER = 100  # runs that are asked for at once


@dataclass(frozen=True, kw_only=True)
class Registered:
    """What MLflow's registry needs: runs (their ids and keys), and versions that the policy lets go (name, number)."""

    runs: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    dropped: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """The runs that go and those that stay; `why` counts these by what keeps them."""

    go: Sequence[Journal]
    stay: Sequence[Journal]
    why: Mapping[str, int] = field(default_factory=dict)


def registered(mlflow: Any, keep: Keep) -> Registered:
    """What the registry needs. Raises what MLflow raises: nothing may go while nobody can tell."""
    runs, dropped = set[str](), list[tuple[str, str]]()
    for model in _pages(mlflow.search_registered_models):
        versions = sorted(_pages(mlflow.search_model_versions, f"name = '{model.name}'"), key=lambda v: -int(v.version))
        needed = {str(number) for number in model.aliases.values()} | set(json.loads(model.tags.get(HISTORY, "[]")))
        needed |= {str(one.version) for one in versions[: None if keep.versions == "all" else keep.versions]}
        runs |= {str(one.run_id) for one in versions if str(one.version) in needed}
        dropped += [(model.name, str(one.version)) for one in versions if str(one.version) not in needed]
    keys = {mlflow.get_run(run).data.tags.get("medloop.run", "") for run in runs}
    return Registered(runs=frozenset(runs), keys=frozenset(keys), dropped=tuple(dropped))


def _pages(search: Any, *arguments: str) -> Iterator[Any]:
    token = None
    while True:
        found = search(*arguments, page_token=token)
        yield from found
        token = found.token
        if not token:
            return


def sort(runs: Sequence[Journal], keep: Keep, now: datetime, needs: Registered, known: Collection[str]) -> Sorted:
    """Which of these runs go: those of this workspace that nothing keeps. Trials of a sweep are no study's newest.

    known: the commits that this repository has; a run pinned by another is another workspace's, and stays
    """
    counts, why = Counter[str](), Counter[str]()
    go, stay = list[Journal](), list[Journal]()
    for run in sorted(runs, key=journal.order, reverse=True):
        counts.update(list(run.recorded))
        reasons = {
            "of another workspace": bool(run.experiment) and run.experiment not in known,
            "under way": run.state == "running",
            "registered": run.key in needs.keys or bool(needs.runs & set(run.mlflow_runs.values())),
            "newest": any(counts[study] <= keep.runs for study in run.recorded),
            "young": now - datetime.fromisoformat(run.started) < timedelta(days=keep.days),
        }
        reason = next((name for name, holds in reasons.items() if holds), None)
        why.update([reason] if reason else [])
        (stay if reason else go).append(run)
    return Sorted(go=go, stay=stay, why=why)


def commits_here(root: Path, runs: Iterable[Journal]) -> set[str]:
    """Of the commits that pin these runs, those that this repository has."""
    asked = "".join(f"{run.experiment}\n" for run in runs if run.experiment)
    said = git.told_of(root, asked, "cat-file", "--batch-check=%(objectname) %(objecttype)").decode()
    return {line.split()[0] for line in said.splitlines() if line.endswith(" commit")}


def look(root: Path, keep: Keep, now: datetime) -> tuple[Sorted, Registered, Any]:
    """The runs sorted, what the registry needs, and MLflow's client, None where there is no database yet.

    Raises MedloopError where MLflow does not answer. Runs that journals name and MLflow does not know stay: where its
    database began anew, nobody can tell what was registered.
    """
    runs = list(journal.all_journals(root))
    known = commits_here(root, runs)
    if not databases.elsewhere(root, "mlflow") and "mlflow" not in databases.local(root):
        found = sort(runs, keep, now, Registered(), known)
        return _but(found, {run.key for run in runs if run.mlflow_runs}), Registered(), None
    with tracking.answering(root):
        mlflow = tracking.client(root)
        needs = registered(mlflow, keep)
        found = sort(runs, keep, now, needs, known)
        there = runs_of(mlflow, {one for run in found.go for one in run.mlflow_runs.values()})
        strange = {run.key for run in found.go if not set(run.mlflow_runs.values()) <= there.keys()}
        return _but(found, strange), needs, mlflow


def runs_of(mlflow: Any, ids: Collection[str]) -> dict[str, Any]:
    """By its id each of these runs that MLflow knows, those that a person deleted there too."""
    everywhere, found = [each.experiment_id for each in mlflow.search_experiments(view_type=ALL)], dict[str, Any]()
    for start in range(0, len(ids), TOGETHER):
        some = ", ".join(f"'{one}'" for one in sorted(ids)[start : start + TOGETHER])
        said = mlflow.search_runs(everywhere, f"attributes.run_id IN ({some})", run_view_type=ALL)
        found |= {str(run.info.run_id): run for run in said}
    return found


def _but(found: Sorted, strange: Collection[str]) -> Sorted:
    """The same, with these runs staying."""
    return Sorted(
        go=[run for run in found.go if run.key not in strange],
        stay=[*found.stay, *(run for run in found.go if run.key in strange)],
        why={**found.why, **({"unknown to MLflow": len(strange)} if strange else {})},
    )

"""What may go from this machine by the policy `keep`, and its removal: `medloop gc`.

The order matters where a removal is cut short: what names others goes before what it names, and a run's journal, by
which the next collection finds the rest, goes last. A DVC remote and Git's `origin` are left as they are.
"""

import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from flows import console, disk, journal, objects, past_runs, references, servers, tracking, workspace
from flows.disk import told
from flows.doctor.runs import abandoned
from flows.git import pins, told_of
from flows.home import checkpoints, failures, find_root, home
from flows.needed import DAY_S, OBJECTS, TRIED, needed
from flows.past_runs import Registered, Sorted
from flows.policy import Keep, policy
from flows.standby import BROKEN


@dataclass(frozen=True, kw_only=True)
class Waste:
    """One kind of what may go: how many, how many bytes, and how it goes."""

    kind: str
    number: int
    size: int
    remove: Callable[[], None]


def collect_now(root: Path, keep: Keep, now: datetime, *, remove: bool) -> tuple[list[Waste], Sorted]:
    """What may go, removed where that is asked, and the runs by what keeps them.

    The workspace must be held (`journal.sole_run`). Raises MedloopError where nobody can tell what is needed.
    """
    found, needs, mlflow = past_runs.look(root, keep, now)
    gone = list[Waste]()
    for one in _waste(root, keep, now, found, needs, mlflow):
        if one.number and remove:
            one.remove()
        gone.append(one)
    return gone, found


def _waste(root: Path, keep: Keep, now: datetime, found: Sorted, needs: Registered, mlflow: Any) -> Iterator[Waste]:
    """All of it, kind by kind: each is looked for when those before it are gone."""
    if mlflow:
        yield _recorded(root, mlflow, found, needs, keep, now)
        yield Waste(
            kind="registered versions", number=len(needs.dropped), size=0, remove=partial(_forget, mlflow, needs)
        )
    pinned = pins(root)
    gone = [pinned[run.key] for run in found.go if run.key in pinned]
    yield Waste(kind="pinned runs", number=len(gone), size=0, remove=partial(_unpin, root, gone))
    with workspace.holding_cache(root) as cache:
        if cache:
            yield from _cached(root, cache, keep, now, {ref for _, ref in gone})
        else:
            console.warn(
                "DVC's cache lies outside the workspace, where others may use it too: dvc gc --projects sees to it"
            )
    started = [path for path in checkpoints(root).glob("*/*") if _newest(path) < now.timestamp() - keep.tried * DAY_S]
    yield _files("checkpoints of unfinished trainings", started)
    yield _files("unfinished and old files", [*abandoned(root), *_old(root, keep, now)])
    yield _files("journals", [path for run in found.go if (path := journal.path(root, run.key)).is_file()])


def _recorded(root: Path, mlflow: Any, found: Sorted, needs: Registered, keep: Keep, now: datetime) -> Waste:
    """Models, reports and pages of the runs that go, unless a run that stays gave the same model; figures stay."""
    kept = needs.runs.union(*(run.mlflow_runs.values() for run in found.stay))
    models = {run_id for run in found.go for run_id in run.mlflow_runs.values()} - kept
    gone = list(past_runs.runs_of(mlflow, models).values())
    gone += [page for run in found.go for page in references.comparisons(mlflow, run.key)]
    gone += _looks(mlflow, int((now.timestamp() - keep.days * DAY_S) * 1000))
    folders = {run.info.run_id: folder for run in gone if (folder := _artifacts(root, run))}
    size = sum(disk.size(folder) for folder in folders.values())
    return Waste(
        kind="runs' files in MLflow", number=len(folders), size=size, remove=partial(_clear, mlflow, folders, now)
    )


def _looks(mlflow: Any, before: int) -> list[Any]:
    """Runs that hold the page of a look for drift, of before a time in ms."""
    everywhere = [each.experiment_id for each in mlflow.search_experiments()]
    return list(mlflow.search_runs(everywhere, f"tags.`medloop.kind` = 'drift' and attributes.start_time < {before}"))


def _artifacts(root: Path, run: Any) -> Path | None:
    """Where a run's files lie, if that is this workspace's own store."""
    place = Path(str(run.info.artifact_uri).removeprefix("file://"))
    return place if place.is_dir() and place.is_relative_to(servers.artifacts(root)) else None


def _clear(mlflow: Any, folders: dict[str, Path], now: datetime) -> None:
    for run_id, folder in folders.items():
        mlflow.set_tag(run_id, tracking.COLLECTED, now.isoformat(timespec="seconds"))
        shutil.rmtree(folder)


def _forget(mlflow: Any, needs: Registered) -> None:
    for name, number in needs.dropped:
        mlflow.delete_model_version(name, number)


def _unpin(root: Path, gone: Sequence[tuple[str, str]]) -> None:
    """All in one transaction of Git's, which then tidies up after DVC, as it does after its own commands."""
    told_of(root, "".join(f"delete {ref} {commit}\n" for commit, ref in gone), "update-ref", "--stdin")
    subprocess.run(["git", "gc", "--auto", "--quiet"], cwd=root, capture_output=True, check=False)


def _cached(root: Path, cache: Path, keep: Keep, now: datetime, without: Collection[str]) -> Iterator[Waste]:
    stays = needed(root, cache, without, keep.tried, now)
    tried = [path for path in (cache / TRIED).glob("*/*/*") if not _named(path) <= stays]
    yield _files("stages that were only tried", tried)
    there = [(name, path) for name, path in objects.all_objects(cache / OBJECTS) if name not in stays]
    lists_first = sorted(there, key=lambda pair: not pair[0].endswith(objects.FOLDER))
    yield _files("objects of DVC's cache", [path for _, path in lists_first])


def _named(entry: Path) -> set[str]:
    """The objects that a stage wrote, of an entry of DVC's cache of runs."""
    return objects.named(entry.read_text(encoding="utf-8", errors="replace").partition("outs:")[2])


def _old(root: Path, keep: Keep, now: datetime) -> Iterator[Path]:
    """What was set aside for a person to look at, and has been for long."""
    before = now.timestamp() - keep.days * DAY_S
    aside = [
        *(home(root) / "prefect").glob(f"*{BROKEN}"),
        *failures(root).glob("*"),
        *home(root).glob("schedules/*.damaged"),
    ]
    aside += [*(home(root) / "backups").glob("*.replaced*"), *(home(root) / "boards").glob("*")]
    aside += (home(root) / "drift").glob("*/*.html")  # the figures stay, as JSON
    yield from (path for path in aside if _newest(path) < before)


def _newest(path: Path) -> float:
    """When anything in it was written last."""
    return max((file.lstat().st_mtime for file in path.rglob("*")), default=path.lstat().st_mtime)


def _files(kind: str, paths: Sequence[Path]) -> Waste:
    return Waste(kind=kind, number=len(paths), size=sum(map(disk.size, paths)), remove=partial(disk.remove, paths))


def collect(*, yes: bool) -> None:
    """`medloop gc`: what would go; with `--yes`, it goes."""
    root = find_root()
    servers.prepare_environment(root)
    keep = policy(root)
    with journal.sole_run(root), console.console.status("looking at what is needed"):
        gone, found = collect_now(root, keep, datetime.now(UTC), remove=yes)
    show(gone, found, gone_already=yes)


def sentence(gone: Sequence[Waste], *, gone_already: bool) -> str:
    """What goes, in one line."""
    size, number = sum(one.size for one in gone), sum(one.number for one in gone)
    if not number:
        return "Nothing may go: all that is here is needed, or young."
    return f"{told(size)} {'are removed' if gone_already else 'may go; medloop gc --yes removes them'}."


def show(gone: Sequence[Waste], found: Sorted, *, gone_already: bool) -> None:
    """The answer, each kind, and what keeps the runs that stay."""
    console.console.print(f"{sentence(gone, gone_already=gone_already)}\n", style="bold")
    for one in gone:
        if one.number:
            size = f"{told(one.size):>10}" if one.size else " " * 10
            console.console.print(f"  {size}  {one.number:>7,} {one.kind}", highlight=False)
    why = ", ".join(f"{number} {reason}" for reason, number in sorted(found.why.items()))
    console.show_facts({"runs kept": f"{len(found.stay)}{f': {why}' if why else ''}", "runs to go": str(len(found.go))})

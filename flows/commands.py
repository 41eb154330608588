"""What the commands do; `flows.cli` only parses them."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import MedloopError
from contracts.names import check_name, nearest
from flows import board, checked, console, disk, journal, recovery, servers, sharing, workers, workspace
from flows.board import exposure
from flows.home import find_root, home, set_aside
from flows.outcome import show_parts, show_result
from flows.plan import Stage, unheard
from flows.studies import default_study, refuse_unknown, study_names
from flows.workspace import NEVER
from models.ranks import place

if TYPE_CHECKING:
    from flows.settings import Settings


def run_studies(studies: Sequence[str], values: Sequence[str]) -> None:
    """`medloop run`: where nothing is stale, nothing is imported, started or recorded."""
    watch = journal.Stopwatch()
    root = find_root()
    chosen = _chosen(root, studies)
    with alone(root):
        if values:
            from flows import overrides

            overrides.apply(root, chosen, values)
        loaded = {} if checked.is_current(root, chosen) else settings_of(root, chosen)
        watch.lap("settings")
        plan = workspace.plan(root, chosen)
        last = {stage.study: stage.outputs for stage in plan}
        watch.lap("dvc")
        recorded = all(journal.is_recorded(root, name, last[name]) for name in chosen)
        if any(stage.stale for stage in plan) or not recorded:
            begun = time.time()
            try:
                run_stale(root, chosen, plan, loaded or settings_of(root, chosen), watch)
            except MedloopError:
                show_parts(root, chosen, begun)
                raise
        else:
            if journal.any_open(root):  # one that was killed when all was done
                with _prefect(root, watch, trains=False):
                    pass
            console.console.print("[green]✓[/] Nothing to do: every stage is up to date.")
    for name in chosen:
        show_result(root, name)
    _show_addresses(root)


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Holds the workspace for one run; what a sweep that was cut short has changed is put back first."""
    with journal.sole_run(root):
        recovery.tell_damaged(root)
        if set_aside(root).is_dir():
            from flows.restore import put_back

            put_back(root)
        yield


def settings_of(root: Path, chosen: Sequence[str]) -> "dict[str, Settings]":
    """The settings of the studies that are to be run, their sources looked at, outputs of dropped models removed."""
    from flows import stages

    loaded = _loaded(root, chosen, look=True)
    stages.forget_dropped_models(root, loaded.values())
    return loaded


def run_stale(
    root: Path,
    chosen: list[str],
    plan: list[Stage],
    loaded: "Mapping[str, Settings]",
    watch: journal.Stopwatch,
    *,
    records: bool = True,
) -> None:
    """One run of these stages, told as it goes. Raises MedloopError when anything failed, or would fill the disk."""
    disk.require(root, plan)
    with _prefect(root, watch, trains=any(stage.stale and stage.model for stage in plan)) as watcher:
        from flows.pipeline import Run, execute

        opened = journal.start(root, chosen, watch.laps)
        execute(Run(root=root, journal=opened, settings=loaded, plan=plan, watcher=watcher, records=records))
    console.console.print(f"\n[dim]run[/] {opened.key}")
    if records:
        sharing.push_new(root)


@contextmanager
def _prefect(root: Path, watch: journal.Stopwatch, *, trains: bool) -> Iterator[console.Watcher]:
    """Prefect imported, its server up, runs that crashed known to all; what goes on in the block is shown."""
    servers.prepare_environment(root)
    watcher = console.Watcher()
    recovery.recover(root)
    with watcher.live():
        watcher.tell("loading", "")
        local = servers.launch_for_run(root)
        if trains:
            workers.warm_up()
        from flows.abandoned import end_abandoned

        watch.lap("imports")
        if local:
            servers.ensure(root, "prefect")
        end_abandoned(root)
        watch.lap("server")
        watcher.end("loading", "unchanged", "", 0)
        yield watcher


def _chosen(root: Path, studies: Sequence[str]) -> list[str]:
    refuse_unknown(root, studies)
    return list(dict.fromkeys(studies)) or [default_study(root)]


def _show_addresses(root: Path) -> None:
    shown: dict[servers.Name, str] = {"mlflow": "models", "prefect": "runs"}
    for name, what in shown.items():
        console.show_facts({what: servers.address(root, name) or f"medloop ui ({name} is not running)"})


def sweep_study(study: str | None, over: Sequence[str], models: Sequence[str]) -> None:
    """`medloop sweep`: every combination of settings, judged on the validation rows."""
    from flows.grid import combinations

    root = find_root()
    (name,) = _chosen(root, [study] if study else [])
    with journal.sole_run(root):
        loaded = _loaded(root, [name])[name]
        grid = combinations(over, loaded.study.target.task)
        _refuse_strangers(loaded, models)
        with _prefect(root, journal.Stopwatch(), trains=True) as watcher:
            from flows import sweep

            result = sweep.sweep(root, loaded, grid, list(models) or list(loaded.models), watcher)
    sweep.show(root, result)


def fold_study(study: str | None, folds: int | None, repeats: int | None, models: Sequence[str]) -> None:
    """`medloop folds`: the study's models on every fold, judged on the pooled predictions."""
    root = find_root()
    (name,) = _chosen(root, [study] if study else [])
    with journal.sole_run(root):
        loaded = _loaded(root, [name])[name]
        _refuse_strangers(loaded, models)
        with _prefect(root, journal.Stopwatch(), trains=True) as watcher:
            from flows import folds as cross_validation

            split = cross_validation.with_folds(loaded, folds, repeats)
            found = cross_validation.cross_validate(root, loaded, split, list(models) or list(loaded.models), watcher)
    cross_validation.show(root, found)


def search_study(study: str | None, model: str, trials: int, over: Sequence[str]) -> None:
    """`medloop search`: settings of one model tried one after another, each proposal made of what came before."""
    from flows.space import space

    root = find_root()
    (name,) = _chosen(root, [study] if study else [])
    with journal.sole_run(root):
        loaded = _loaded(root, [name])[name]
        _refuse_strangers(loaded, [model])
        axes = space(root, model, over)
        with _prefect(root, journal.Stopwatch(), trains=True) as watcher:
            from flows import search, search_result

            found = search.search(root, loaded, model, axes, trials, watcher)
    search_result.show(root, found)


def _refuse_strangers(settings: "Settings", models: Sequence[str]) -> None:
    for model in models:
        if model not in settings.models:
            raise MedloopError(
                f"{settings.name} does not train {model}{nearest(model, settings.models)}",
                where="--model",
                mend=f"one of: {', '.join(settings.models)}",
            )


def run_stage(arguments: Sequence[str]) -> None:
    """`medloop stage`: one stage in this process, as `dvc repro` calls it."""
    from flows import stages
    from flows.settings import load

    root = find_root()
    servers.prepare_environment(root)
    if not 2 <= len(arguments) <= 3:
        raise MedloopError("a stage is named with its study", mend="medloop stage STAGE STUDY [MODEL]")
    at, name = place(os.environ), " ".join(arguments)
    if at.size > 1:
        summary = _as_rank(root, arguments)
    elif (ranks := stages.ranks(load(root, check_name(arguments[1], what="study")), arguments)) > 1:
        summary = workers.call_together(ranks, name, stages.run, root, arguments, say=unheard)
    else:
        summary = stages.run(root, arguments, unheard)
    if at.rank == 0:
        console.console.print(summary, markup=False)


def _as_rank(root: Path, arguments: Sequence[str]) -> str:
    """One of the processes of a training, which torchrun or srun started."""
    from flows import stages
    from models.devices import leave

    try:
        return stages.run(root, arguments, unheard)
    finally:
        leave()


def show_status(studies: Sequence[str]) -> None:
    """`medloop status`: the stale stages with their reasons."""
    root = find_root()
    chosen = list(studies) or study_names(root)
    _loaded(root, chosen, look=True)
    plan = workspace.plan(root, chosen)
    if not any(stage.stale for stage in plan):
        console.console.print(f"[green]✓[/] All {len(plan)} stages are up to date.")
    never = {name for name in chosen if all(NEVER in s.stale for s in plan if s.study == name)}
    for name in sorted(never):
        console.show_stale(name, [f"the study {NEVER}"])
    for stage in plan:
        if stage.stale and stage.study not in never:
            console.show_stale(stage.name, stage.stale)


def _loaded(root: Path, chosen: Sequence[str], *, look: bool = False) -> "dict[str, Settings]":
    """The settings of every study; warns of faults that are no reason to stop."""
    from flows import index

    refuse_unknown(root, chosen)
    loaded, faults = index.refresh(root, chosen, look=look)
    for name, fault in faults.items():
        console.warn(f"{name}: {fault.problem}")
    return loaded


def start_servers(host: str = servers.HOST) -> None:
    """`medloop up` and `medloop ui`: both servers, and their addresses; a team's own need no start."""
    from flows.tracking import prepare_database

    root = find_root()
    host = exposure.check(host, home(root))
    servers.prepare_environment(root)
    names: tuple[servers.Name, ...] = ("prefect", "mlflow")
    ours = [name for name in names if not servers.elsewhere(name)]
    with console.console.status("starting the servers"):
        if "mlflow" in ours:
            prepare_database(root)
        for name in ours:
            servers.launch(root, name, host if name == "mlflow" else servers.HOST)
        for name in ours:
            servers.ensure(root, name)
    console.show_facts({"runs": servers.address(root, "prefect"), **_pages(root)})


def _pages(root: Path) -> dict[str, object]:
    """MLflow's pages, and the board's where MLflow's server is ours."""
    found: dict[str, object] = {"models": servers.address(root, "mlflow")}
    if servers.elsewhere("mlflow"):
        return found
    if not board.installed():
        console.warn(
            "there is no board beside MLflow's pages: this installation is older; mend it by: pip install -e ."
        )
        return found
    return {"board": f"{found['models']}{board.PATH}", **found}


def stop_servers() -> None:
    """`medloop down`."""
    stopped = servers.stop(find_root())
    told = f"Stopped {' and '.join(stopped)}." if stopped else "No server of this workspace was running."
    console.console.print(told)

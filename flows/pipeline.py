"""The Prefect flow: reads the stages from DVC, brings each up to date, records and registers what came out."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.context import get_run_context
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Crashed, Failed

from contracts.errors import MedloopError
from flows import journal as journals
from flows import record, stages, workspace
from flows.console import Watcher
from flows.faults import told
from flows.journal import Journal, StageRecord, StageState


@dataclass
class Run:
    """A pipeline run under way; `watcher` shows it."""

    root: Path
    journal: Journal
    plan: list[workspace.Stage]
    watcher: Watcher
    fault: MedloopError | None = None


# One run a process: Prefect stores what a flow and its tasks are given, and a run is no value to be stored.
_under_way: dict[str, Run] = {}


@flow(name="medloop", flow_run_name="{key}", validate_parameters=False, persist_result=False)
def pipeline(key: str, studies: list[str]) -> State[None]:
    """Brings every stage of these studies up to date, in order; stops at the first that fails."""
    run = _under_way[key]
    run.journal.flow_run = str(get_run_context().flow_run.id)  # type: ignore[union-attr]
    journals.save(run.root, run.journal)
    for stage in run.plan:
        state = _bring.with_options(task_run_name=stage.name)(key, stage.name, return_state=True)
        if state.is_failed():
            return Failed(message=state.message)
    for study in studies:
        state = _record.with_options(task_run_name=f"record@{study}")(key, study, return_state=True)
        if state.is_failed():
            return Failed(message=state.message)
    done = sum(stage.state != "unchanged" for stage in run.journal.stages)
    return Completed(message=f"{done} of {len(run.journal.stages)} steps ran")


@task(name="stage", cache_policy=NO_CACHE, persist_result=False)
def _bring(key: str, name: str) -> State[None]:
    run = _under_way[key]
    stage = next(s for s in run.plan if s.name == name)
    summary = ""

    def work() -> None:
        nonlocal summary
        summary = stages.run(run.root, stage.arguments or (), run.watcher.tell)

    def bring() -> tuple[StageState, str]:
        state = workspace.bring_up_to_date(run.root, name, work if stage.arguments else None)
        return state, summary

    return _watched(run, name, bring)


@task(name="record", cache_policy=NO_CACHE, persist_result=False)
def _record(key: str, study: str) -> State[None]:
    run = _under_way[key]
    return _watched(
        run,
        f"record@{study}",
        lambda: ("ran", record.study(run.root, run.journal, study, say=run.watcher.tell)),
    )


def _watched(run: Run, name: str, work: Callable[[], tuple[StageState, str]]) -> State[None]:
    """Does one piece of work: shown, measured, journaled; a fault is kept as the run's own, without a traceback."""
    start = time.monotonic()
    run.watcher.start(name)
    try:
        state, summary = work()
    except Exception as error:
        run.fault = told(error, doing=name)
        state, summary = "failed", run.fault.problem
    seconds = round(time.monotonic() - start, 3)
    run.journal.stages.append(StageRecord(name=name, state=state, seconds=seconds, summary=summary))
    journals.save(run.root, run.journal)
    run.watcher.end(name, state, summary, seconds)
    if state == "failed":
        return Failed(message=str(run.fault))
    return Completed(name=state.capitalize(), message=summary or state)


def mark_crashed(journals: Iterable[Journal]) -> None:
    """Tells Prefect of runs whose process is gone; it would show them as running for ever."""
    told = [UUID(journal.flow_run) for journal in journals if journal.flow_run]
    if not told:
        return
    with get_client(sync_client=True) as client:
        for flow_run in told:
            with suppress(ObjectNotFound):
                client.set_flow_run_state(flow_run, Crashed(message="the process ended without a word"), force=True)


def execute(run: Run) -> Journal:
    """Runs the flow and closes the journal. Raises MedloopError when a stage failed."""
    key = run.journal.key
    _under_way[key] = run
    try:
        pipeline(key, run.journal.studies, return_state=True)
    except BaseException:
        journals.close(run.root, run.journal, "failed", "interrupted")
        raise
    finally:
        del _under_way[key]
    journals.close(run.root, run.journal, "failed" if run.fault else "completed", str(run.fault) if run.fault else None)
    if run.fault:
        raise run.fault
    return run.journal

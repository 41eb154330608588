"""The Prefect flow: reads the stages from DVC, brings each up to date, records and registers what came out."""

import concurrent.futures
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock, Semaphore
from typing import Any, cast
from uuid import UUID

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import get_run_context
from prefect.exceptions import ObjectNotFound
from prefect.flow_engine import run_flow
from prefect.futures import PrefectConcurrentFuture, PrefectFuture, wait
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from contracts.errors import MedloopError
from flows import journal as journals
from flows import record, stages, tracking, workers, workspace
from flows.console import Watcher, warn
from flows.faults import interrupted, told
from flows.journal import Journal, StageRecord, StageState
from flows.plan import Stage
from flows.preflight import check_models
from flows.settings import Settings
from pipelines.sources import UnreachableError

PASSING = (UnreachableError, tracking.AwayError, ConnectionError, TimeoutError)
BACK_OFF_S = (1, 4, 16)
MOST_WAITING = 64  # tasks that wait, each in a thread, for the stages before them


def _slots() -> Semaphore:
    return Semaphore(workers.MOST)


@dataclass
class Run:
    """A pipeline run under way; `watcher` shows it. `records`: whether it ends with telling MLflow.

    `done`: all of it was done, whether or not Prefect could be told.
    """

    root: Path
    journal: Journal
    settings: Mapping[str, Settings]
    plan: list[Stage]
    watcher: Watcher
    records: bool = True
    done: bool = False
    fault: MedloopError | None = None
    interrupted: bool = False
    data_slots: Semaphore = field(default_factory=_slots)
    model_slots: Semaphore = field(default_factory=_slots)
    writing: Lock = field(default_factory=Lock)


# One run a process: Prefect stores what a flow and its tasks are given, and a run is no value to be stored.
_under_way: dict[str, Run] = {}


@flow(
    name="medloop",
    flow_run_name="{key}",
    validate_parameters=False,
    persist_result=False,
    task_runner=ThreadPoolTaskRunner(max_workers=MOST_WAITING),  # type: ignore[arg-type]
)
def pipeline(key: str, studies: list[str]) -> State[None]:
    """Brings every stage of these studies up to date, independent ones beside each other, then records each study."""
    run = _under_way[key]
    run.journal.flow_run = str(get_run_context().flow_run.id)  # type: ignore[union-attr]
    journals.save(run.root, run.journal)
    try:
        done = _bring_all(key)
    except BaseException:
        run.interrupted = True
        workers.end_all()
        raise
    if not done:
        return Failed(message=str(run.fault))
    for study in studies:
        state = _record.with_options(task_run_name=f"record@{study}")(key, study, return_state=True)
        if not state.is_completed():
            return Failed(message=state.message)
    ran = sum(stage.state != "unchanged" for stage in run.journal.stages)
    run.done = True
    return Completed(message=f"{ran} of {len(run.journal.stages)} steps ran")


def _bring_all(key: str) -> bool:
    """Brings every stage up to date as soon as those before it are; whether all are."""
    run = _under_way[key]
    checked, first = _check_models.submit(key), {stage.name for stage in run.plan if not stage.after}
    futures: dict[str, PrefectFuture[State[None]]] = {}
    for stage in run.plan:
        before = [futures[name] for name in stage.after]
        if first & set(stage.after):
            before.append(checked)
        futures[stage.name] = _bring.with_options(task_run_name=stage.name).submit(
            key=key, name=stage.name, wait_for=before, return_state=False
        )
    _prepare_recording(run, futures)
    _wait(futures.values())
    workspace.order_lock(run.root)  # where nothing ran, too: the run that brought the last stage may have been killed
    return all(future.state.is_completed() for future in futures.values())


def _wait(futures: "Iterable[PrefectFuture[State[None]]]") -> None:
    """Waits for all, so that Ctrl-C ends it: polars, which MLflow imports where it is installed, takes that away."""
    waiting = [future.wrapped_future for future in futures if isinstance(future, PrefectConcurrentFuture)]
    while concurrent.futures.wait(waiting, timeout=1).not_done:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.default_int_handler)
    wait(list(futures))


@task(name="check the models' settings", task_run_name="check", cache_policy=NO_CACHE, persist_result=False)
def _check_models(key: str) -> State[None]:
    """Beside the first stage, since it takes importing torch; a misspelt setting must not be found after an hour."""
    run = _under_way[key]
    try:
        for name in sorted({str(stage.study) for stage in run.plan if stage.stale and stage.model}):
            with run.model_slots:
                workers.call(
                    "the models' settings",
                    check_models,
                    run.root,
                    run.settings[name],
                    say=partial(run.watcher.tell, "check"),
                )
    except Exception as error:
        run.fault = told(error, doing="the models' settings")
        return Failed(message=str(run.fault))
    finally:
        run.watcher.end("check", "unchanged", "", 0)
    return Completed(message="every model's settings are right")


def _prepare_recording(run: Run, futures: dict[str, PrefectFuture[State[None]]]) -> None:
    """While the first model trains elsewhere, this process has nothing to do: time to import MLflow."""
    first = next((stage for stage in run.plan if stage.model and stage.stale), None)
    if first:
        wait([futures[name] for name in first.after])
        try:
            tracking.client(run.root)
        except Exception as error:  # what is wrong with MLflow is told when it is needed
            if interrupted(error):
                raise KeyboardInterrupt from error


@task(name="stage", cache_policy=NO_CACHE, persist_result=False)
def _bring(key: str, name: str) -> State[None]:
    run = _under_way[key]
    stage = next(s for s in run.plan if s.name == name)
    summary = ""

    def work() -> None:
        nonlocal summary
        do: Callable[..., str] = stages.run
        if stage.model:
            ranks = stages.ranks(run.settings[str(stage.study)], stage.arguments)
            do = partial(workers.call_together, ranks, name, stages.run)
        summary = do(run.root, stage.arguments, say=partial(_say, run, name))

    def bring() -> tuple[StageState, str]:
        state = workspace.bring_up_to_date(run.root, name, work if stage.arguments else None)
        return state, summary

    with run.model_slots if stage.model else run.data_slots:
        return Failed(message="the run was interrupted") if run.interrupted else _watched(run, name, bring)


@task(name="record", cache_policy=NO_CACHE, persist_result=False)
def _record(key: str, study: str) -> State[None]:
    run, name = _under_way[key], f"record@{study}"
    plan = [stage for stage in run.plan if stage.study == study]

    def recorded() -> tuple[StageState, str]:
        with tracking.answering(run.root):
            return "ran", record.study(run.root, run.journal, plan, say=partial(_say, run, name))

    return _watched(run, name, recorded)


def _say(run: Run, name: str, text: str) -> None:
    get_run_logger().info(text)
    run.watcher.tell(name, text)


def _watched(run: Run, name: str, work: Callable[[], tuple[StageState, str]]) -> State[None]:
    """Does one piece of work: shown, measured, journaled; a fault is kept as the run's own, without a traceback."""
    start = time.monotonic()
    run.watcher.start(name)
    try:
        state, summary = _persistently(work, partial(_say, run, name))
    except Exception as error:
        run.fault = told(error, doing=name)
        state, summary = "failed", run.fault.problem
    seconds = round(time.monotonic() - start, 3)
    with run.writing:
        run.journal.stages.append(StageRecord(name=name, state=state, seconds=seconds, summary=summary))
        journals.save(run.root, run.journal)
    run.watcher.end(name, state, summary, seconds)
    if state == "failed":
        return Failed(message=str(run.fault))
    outcome = {"ran": "Ran", "restored": "Restored", "unchanged": "Up to date"}[state]
    return Completed(name=outcome, message=summary or outcome)


def _persistently(work: Callable[[], tuple[StageState, str]], say: Callable[[str], None]) -> tuple[StageState, str]:
    """Tries again, later each time, what failed for a reason that passes; nothing else."""
    for pause in BACK_OFF_S:
        try:
            return work()
        except PASSING as error:
            problem = error.problem if isinstance(error, MedloopError) else type(error).__name__
            say(f"{problem}; again in {pause} s")
            time.sleep(pause)
    return work()


def _flow(key: str, studies: list[str]) -> State[Any]:
    """The flow's end state; as the flow run that waits for it in Prefect, where one does, else as a new one.

    A new one bears the run's key from the first: by it `end_abandoned` finds a run that is killed while it begins.
    """
    given = {"key": key, "studies": studies}
    with get_client(sync_client=True) as client:
        known = _waiting(client, studies) or client.create_flow_run(pipeline, name=key, parameters=given)
    return cast("State[Any]", run_flow(pipeline, flow_run=known, parameters=given, return_type="state"))


def _waiting(client: SyncPrefectClient, studies: list[str]) -> FlowRun | None:
    waits = os.environ.pop(journals.FLOW_RUN, None) if studies else None
    with suppress(ObjectNotFound):
        return client.read_flow_run(UUID(waits)) if waits else None
    return None


def execute(run: Run) -> Journal:
    """Runs the flow and closes the journal. Raises MedloopError when anything failed."""
    key = run.journal.key
    _under_way[key] = run
    try:
        end = _flow(key, run.journal.studies if run.records else [])
        run.done = run.done and end.is_completed()
    except BaseException as error:
        if not (run.done and isinstance(error, Exception)):
            journals.close(run.root, run.journal, "failed", "interrupted")
            raise
        warn(f"Prefect could not be told that {key} has ended ({type(error).__name__}); its journal has it all")
    finally:
        del _under_way[key]
    if run.fault is None and not run.done:
        run.fault = MedloopError("the run ended early", where="Prefect", mend="medloop ui shows its log; run it again")
    journals.close(run.root, run.journal, "failed" if run.fault else "completed", str(run.fault) if run.fault else None)
    if run.fault:
        raise run.fault
    if run.records and (earlier := journals.told_elsewhere(run.root)):
        warn(f"MLflow was elsewhere for {earlier} earlier runs; medloop doctor --mend tells this one of them")
    return run.journal

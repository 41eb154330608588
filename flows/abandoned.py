"""Runs that Prefect shows as under way though their processes are gone. Imported once Prefect's address is set."""

import os
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterName,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType
from prefect.states import Crashed

from contracts.errors import MedloopError
from flows.journal import all_journals

UNDER_WAY = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
NEWEST = 100  # runs that are asked for
ATTEMPTS = 3


def end_abandoned(root: Path) -> None:
    """Tells Prefect that this workspace's runs have crashed that it shows as under way, and their tasks.

    By their names, since one that was killed while it began had not yet noted its flow run's number. None may be
    under way: the workspace must be held (`journal.sole_run`). One that was killed, or interrupted while Prefect was
    away, could not tell it. Raises MedloopError when Prefect does not answer.
    """
    keys = [journal.key for journal in islice(all_journals(root), NEWEST)]
    if not keys:
        return None
    for _ in range(ATTEMPTS):  # a busy machine's server may take longer to answer than is waited
        with suppress(RuntimeError, HTTPError):
            return _end(keys)
    address = os.environ.get("PREFECT_API_URL", "")
    mend = "medloop down, then again; a team's server: see that it runs"
    raise MedloopError("the Prefect server does not answer", where=address, mend=mend)


def _end(keys: list[str]) -> None:
    gone: State[Any] = Crashed(message="the process ended without a word")
    going = FlowRunFilterState(type=FlowRunFilterStateType(any_=UNDER_WAY))
    tasks = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=UNDER_WAY)))
    mine = FlowRunFilterName(any_=keys)
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=FlowRunFilter(name=mine, state=going)):
            client.set_flow_run_state(run.id, gone, force=True)
        for task in client.read_task_runs(flow_run_filter=FlowRunFilter(name=mine), task_run_filter=tasks):
            client.set_task_run_state(task.id, gone, force=True)

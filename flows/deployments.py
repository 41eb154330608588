"""Schedules as Prefect shows them: a deployment a study, its next slot and its runs, and a button that starts one.

Prefect only shows. The ledgers decide what is run, and where Prefect does not answer, runs go on without it.
"""

import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from flows import servers
from flows.ledger import OPEN, Outcome, Slot
from flows.schedule import Schedule, upcoming
from flows.serving import Keeper, Served, Tell

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import State
    from prefect.client.schemas.responses import FlowRunResponse

T = TypeVar("T")
FLOW = "medloop"
SLOT = "slot"  # the tag of what was planned; runs without it were asked for by a person
LOOK_S = 10.0
WAKE_S = 60.0
PATIENCE_S = 240.0  # a server takes up to minutes to start
TIMEOUT_S = 10.0
ABOUT = """Run {told}. Of what is missed is run: {catch_up}.

`medloop serve` keeps this schedule as `studies/{name}.yaml` has it, whatever the switch here says. *Quick run* works.
"""


class Deployments:
    """Prefect's view of what is served. No call raises because of Prefect; that it is away is told once."""

    def __init__(self, root: Path, tell: Tell) -> None:
        self._root, self._tell = root, tell
        self._deployments: dict[str, UUID] = {}
        self._shown: dict[str, tuple[Schedule, datetime | None]] = {}
        self._asked: dict[UUID, tuple[str, datetime]] = {}
        self._next_look, self._answered, self._told = 0.0, time.monotonic(), False

    def tick(self, keeper: Keeper) -> None:
        """Shows what has changed, and takes up what a person asked for."""
        if time.monotonic() >= self._next_look:
            self._call(lambda client: self._look(client, keeper))
            self._next_look = time.monotonic() + LOOK_S

    def wake(self, keeper: Keeper) -> None:
        """Gives a server that was just started some time, so that the first runs are seen too."""
        deadline = time.monotonic() + WAKE_S
        while not self._deployments and time.monotonic() < deadline:
            self._next_look = 0.0
            self.tick(keeper)
            time.sleep(0.5)

    def begin(self, study: str, slot: Slot) -> UUID | None:
        """The flow run that a slot's run is to be, if Prefect answers."""

        def found(client: "SyncPrefectClient") -> UUID:
            from prefect.states import Pending

            asked = (run for run, place in self._asked.items() if place == (study, slot.at))
            run = next(asked, None) or _announced(client, self._deployments[study], slot.at, slot.attempts)
            client.set_flow_run_state(run, Pending(), force=True)
            return run

        return self._call(found) if study in self._deployments else None

    def end(self, flow_run: UUID | None, outcome: Outcome) -> None:
        """What became of it, where the run itself did not say, as when there was nothing to do."""

        def close(client: "SyncPrefectClient", run: UUID) -> None:
            known: State[Any] | None = client.read_flow_run(run).state
            if outcome.state == "overdue" or not (known and known.is_final()):
                client.set_flow_run_state(run, _state(outcome), force=True)

        if flow_run:
            self._call(lambda client: close(client, flow_run))

    def _call(self, what: "Callable[[SyncPrefectClient], T]") -> T | None:
        """What Prefect says; None where it does not."""
        api = _address(self._root)
        try:
            if not api:
                raise ConnectionError
            said = with_client(api, what)
        except Exception as error:
            if not self._told and time.monotonic() - self._answered > PATIENCE_S:
                self._told = True
                self._tell("prefect", f"does not answer ({type(error).__name__}); runs go on without it")
            return None
        self._answered, self._told = time.monotonic(), False
        return said

    def _look(self, client: "SyncPrefectClient", keeper: Keeper) -> None:
        first = not self._deployments
        for study in keeper.studies.values():
            self._show(client, study)
        if first:
            _clear(client, list(self._deployments.values()))
        names = {deployment: name for name, deployment in self._deployments.items()}
        for run in client.get_scheduled_flow_runs_for_deployments(list(names)):
            name = names[UUID(str(run.deployment_id))]
            if SLOT in run.tags or run.auto_scheduled:
                self._tidy(client, run, keeper.studies[name])
            elif run.id not in self._asked and (run.expected_start_time or _now()) <= _now():
                self._tell(name, f"a run was asked for in Prefect ({run.name})")
                self._asked[run.id] = name, keeper.ask(name).at

    def _show(self, client: "SyncPrefectClient", study: Served) -> None:
        """Registers the deployment when its schedule is new, and the next slot's run when that is."""
        after = upcoming(study.schedule, _now())
        former = self._shown.get(study.name)
        if former == (study.schedule, after):
            return
        if not former or former[0] != study.schedule:
            self._deployments[study.name] = _registered(client, study.name, study.schedule)
        if after:
            _announced(client, self._deployments[study.name], after, 1)
        self._shown[study.name] = study.schedule, after

    def _tidy(self, client: "SyncPrefectClient", run: "FlowRunResponse", study: Served) -> None:
        """Takes back what will not come: slots of a former schedule, settled ones, runs by Prefect's own clock."""
        at = run.expected_start_time
        slot = study.ledger.slot(at) if at else None
        if run.auto_scheduled or (at and at > _now() and at != upcoming(study.schedule, _now())):
            client.delete_flow_run(run.id)
        elif slot and slot.state not in OPEN:
            came = Outcome(state=slot.state, key=slot.key, told=slot.told or f"catch_up: {study.schedule.catch_up}")
            client.set_flow_run_state(run.id, _state(came), force=True)


def _address(root: Path) -> str | None:
    """The API of the team's server, else of the local one, started where needed; None while that one wakes up."""
    if not servers.elsewhere("prefect"):
        servers.launch(root, "prefect")
    return known_address(root)


def known_address(root: Path) -> str | None:
    """The same, and nothing is started."""
    if servers.elsewhere("prefect"):
        return os.environ["PREFECT_API_URL"]
    running = servers.running(root, "prefect")
    return f"{running.address}/api" if running else None


def with_client(api: str, what: "Callable[[SyncPrefectClient], T]") -> T:
    """What a client of this API says, at the first try. Raises what Prefect's client raises."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES
    from prefect.settings import temporary_settings as set_to

    limits: dict[Any, Any] = {PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: TIMEOUT_S}
    with set_to({PREFECT_API_URL: api, **limits}), get_client(sync_client=True) as client:
        return what(client)


def _registered(client: "SyncPrefectClient", name: str, schedule: Schedule) -> UUID:
    """The study's deployment. Prefect's own clock stays off, since it would plan slots of its own."""
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule

    zone, clock = schedule.time_zone, list[CronSchedule | IntervalSchedule]()
    if schedule.cron:
        clock = [CronSchedule(cron=schedule.cron, timezone=zone)]
    elif schedule.every:
        clock = [IntervalSchedule(interval=schedule.every, anchor_date=upcoming(schedule, _now()), timezone=zone)]
    return client.create_deployment(
        flow_id=client.create_flow_from_name(FLOW),
        name=name,
        schedules=[DeploymentScheduleCreate(schedule=each, active=False) for each in clock],
        description=ABOUT.format(told=schedule.told, catch_up=schedule.catch_up, name=name),
        parameters={},
        parameter_openapi_schema={"type": "object", "properties": {}},
        enforce_parameter_schema=False,
        tags=[name],
        paused=False,
    )


def _announced(client: "SyncPrefectClient", deployment: UUID, at: datetime, attempt: int) -> UUID:
    """The flow run of an attempt at a slot, made where there is none yet."""
    from prefect.states import Scheduled

    return client.create_flow_run_from_deployment(
        deployment,
        state=Scheduled(scheduled_time=at),
        idempotency_key=f"{deployment} {at.isoformat()} {attempt}",
        tags=[SLOT],
    ).id


def _clear(client: "SyncPrefectClient", deployments: Sequence[UUID]) -> None:
    """Runs that ended with the process that served before; Prefect would show them as running for ever."""
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId, FlowRunFilter, FlowRunFilterState
    from prefect.client.schemas.filters import FlowRunFilterStateType as OfType
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    gone = FlowRunFilterState(type=OfType(any_=[StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]))
    ours = DeploymentFilter(id=DeploymentFilterId(any_=list(deployments)))
    for run in client.read_flow_runs(flow_run_filter=FlowRunFilter(state=gone), deployment_filter=ours):
        client.set_flow_run_state(run.id, Crashed(message="the process ended without a word"), force=True)


def _state(outcome: Outcome) -> "State[None]":
    from prefect.states import Cancelled, Completed, Failed, Scheduled

    if outcome.state == "due":
        return Scheduled(scheduled_time=_now())
    if outcome.state == "unchanged":
        told = outcome.told or "nothing new: neither data nor settings have changed"
        return Completed(name="NothingNew", message=told)
    if outcome.state == "ran":
        return Completed(message=outcome.key)
    if outcome.state == "missed":
        return Cancelled(name="Missed", message=outcome.told)
    return Failed(name=outcome.state.capitalize(), message=outcome.told)


def _now() -> datetime:
    return datetime.now(UTC)

"""One JSON file a run: the truth about what happened, whatever becomes of the servers."""

import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO

from pydantic import BaseModel, ValidationError

from contracts.errors import MedloopError
from flows.git import pins
from flows.home import home
from flows.servers import tracked
from flows.store import read_json, write_json

State = Literal["running", "completed", "failed", "crashed"]
StageState = Literal["ran", "restored", "unchanged", "failed"]
NAMED_LIMIT_S = 2.0
FLOW_RUN = "MEDLOOP_FLOW_RUN"  # the flow run that waits in Prefect for this process's run, if one does
SEAL = "seal"
KEY_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


class StageRecord(BaseModel):
    """What became of one stage. `seconds` is measured with a monotonic clock."""

    name: str
    state: StageState
    seconds: float
    summary: str = ""


class Journal(BaseModel):
    """A run as it is written to disk after every stage. `recorded` maps a study to the hash of what was recorded.

    number: one more than any run before it had, since a clock may be set back; 0 of runs of older versions
    tracked: where MLflow was that it was told to (`servers.tracked`); None of runs of older versions
    """

    key: str
    number: int = 0
    studies: list[str]
    pid: int
    started: str
    ended: str | None = None
    state: State = "running"
    error: str | None = None
    flow_run: str | None = None
    experiment: str | None = None
    tracked: str | None = None
    mlflow_runs: dict[str, str] = {}
    recorded: dict[str, str] = {}
    stages: list[StageRecord] = []
    start_up: dict[str, float] = {}


class Stopwatch:
    """Where the time before the first stage went: seconds by name, since the stopwatch was made."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        """Ends a lap and begins the next."""
        now = time.monotonic()
        self.laps[name], self._last = round(now - self._last, 3), now


def new_key(studies: list[str]) -> str:
    """A run's one identity across Prefect, DVC and MLflow, such as `diabetes-20261122-0315-k3f9`."""
    what = studies[0] if len(studies) == 1 else "studies"
    tail = "".join(secrets.choice(KEY_ALPHABET) for _ in range(4))
    return f"{what}-{datetime.now(UTC):%Y%m%d-%H%M}-{tail}"


def start(root: Path, studies: list[str], start_up: dict[str, float]) -> Journal:
    """Opens a run's journal; it is on the disk before anything happens. `start_up` says what time went before."""
    number = 1 + max((run.number for run in all_journals(root)), default=0)
    journal = Journal(
        key=new_key(studies),
        number=number,
        studies=studies,
        pid=os.getpid(),
        started=_now(),
        start_up=start_up,
    )
    save(root, journal)
    return journal


def save(root: Path, journal: Journal) -> None:
    """Writes the journal whole, sealed by a hash: a flipped bit can leave JSON that reads well."""
    told = journal.model_dump(mode="json")
    write_json(path(root, journal.key), {**told, SEAL: _sealed(told)})


def read(path: Path) -> Journal:
    """A journal as it was written. Raises MedloopError for one that is missing or damaged."""
    told = read_json(path)
    try:
        journal = Journal.model_validate(told)
        seal = told.pop(SEAL, None)  # none: of a version that wrote none
        whole = seal in (None, _sealed(told))
    except ValidationError:
        whole = False
    if not whole:
        mend = "medloop doctor --mend sets it aside; its run stays in Git and MLflow"
        raise MedloopError("a damaged journal of a run", where=str(path), mend=mend)
    return journal


def _sealed(told: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def close(root: Path, journal: Journal, state: State, error: str | None = None) -> None:
    """Ends a run."""
    journal.state, journal.error, journal.ended = state, error, _now()
    save(root, journal)


def path(root: Path, key: str) -> Path:
    """Where a run's journal lies."""
    return home(root) / "runs" / f"{key}.json"


def all_journals(root: Path) -> Iterator[Journal]:
    """Every run of this workspace whose journal can be read, newest first; no clock is asked."""
    yield from sorted(_readable(root)[0], key=order, reverse=True)


def order(run: Journal) -> tuple[int, str]:
    """By what runs are sorted, the oldest first."""
    return run.number, run.started


def damaged(root: Path) -> list[Path]:
    """The journals that cannot be read."""
    return _readable(root)[1]


def _readable(root: Path) -> tuple[list[Journal], list[Path]]:
    found, wrong = list[Journal](), list[Path]()
    for each in (home(root) / "runs").glob("*.json"):
        try:
            found.append(read(each))
        except MedloopError:
            wrong += [each] if each.exists() else []
    return found, wrong


def is_recorded(root: Path, study: str, outputs: str) -> bool:
    """Whether what a study's last stage wrote was pinned and told to MLflow, where it is now."""
    return recorded(root, study, outputs) is not None


def recorded(root: Path, study: str, outputs: str) -> Journal | None:
    """The newest run that told MLflow, where it is now, what a study's last stage wrote."""
    known = (run for run in all_journals(root) if run.recorded.get(study) == outputs)
    return next((run for run in known if run.tracked in (None, tracked())), None)


def told_elsewhere(root: Path) -> int:
    """How many runs of this workspace another MLflow was told of, and not that of now."""
    found = [run.key for run in all_journals(root) if run.recorded and run.tracked not in (None, tracked())]
    return len(pins(root).keys() & set(found)) if found else 0


def any_open(root: Path) -> bool:
    """Whether a run never ended. Under `sole_run` none can be running."""
    return any(journal.state == "running" for journal in all_journals(root))


def unrecorded(root: Path, study: str, *, but: str) -> list[str]:
    """The keys of a study's runs since the last that was recorded, but this one: what they told MLflow is not whole."""
    found = []
    for journal in all_journals(root):
        if study in journal.recorded:
            break
        if study in journal.studies and journal.key != but:
            found.append(journal.key)
    return found


def reconcile(root: Path) -> list[Journal]:
    """Marks runs that never ended as crashed, and returns them. Under `sole_run` no other can be running."""
    crashed = [journal for journal in all_journals(root) if journal.state == "running"]
    for journal in crashed:
        close(root, journal, "crashed", "the process ended without a word; the next run goes on from the last stage")
    return crashed


class HeldError(MedloopError):
    """Another process has what only one may have at a time."""


@contextmanager
def sole_run(root: Path) -> Iterator[None]:
    """Holds the workspace for one run. Raises HeldError naming the holder when another has it."""
    with _sole(root, "run", "another run holds this workspace", "wait until it has ended"):
        yield


@contextmanager
def sole_service(root: Path) -> Iterator[None]:
    """Holds the workspace's schedules. Raises HeldError naming the holder when another serves them."""
    with _sole(root, "serve", "this workspace is served already", "let it; medloop schedule tells what comes"):
        yield


@contextmanager
def _sole(root: Path, name: str, problem: str, mend: str) -> Iterator[None]:
    lock = home(root) / f"{name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HeldError(f"{problem}: process {_named(held)}", where=str(lock), mend=mend) from None
        held.truncate(0)
        held.write(str(os.getpid()))
        held.flush()
        try:
            yield
        finally:
            held.truncate(0)


def _named(held: TextIO) -> str:
    """Who holds a lock, once that process has said so, a moment after it took it; one that is gone is not named."""
    import psutil

    deadline = time.monotonic() + NAMED_LIMIT_S
    while True:
        held.seek(0)
        told = held.read()
        if told.isdigit() and psutil.pid_exists(int(told)):
            return told
        if time.monotonic() > deadline:
            return told or "unknown"
        time.sleep(0.02)


def holder(root: Path, name: Literal["run", "serve"]) -> str | None:
    """The process that holds the workspace for a run, or serves its schedules."""
    lock = home(root) / f"{name}.lock"
    if not lock.is_file():
        return None
    with lock.open() as looked:
        try:
            fcntl.flock(looked, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _named(looked)
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

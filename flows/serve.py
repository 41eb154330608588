"""`medloop serve`: keeps the schedules, each run in a process of its own, and shows them in Prefect."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

from contracts.errors import MedloopError
from flows import journal, notifying, servers
from flows.agenda import chosen_studies, told_next
from flows.console import console
from flows.deployments import Deployments
from flows.home import find_root, home
from flows.journal import FLOW_RUN
from flows.ledger import Outcome, Slot
from flows.nightly import NAME as NIGHTLY
from flows.nightly import Nightly
from flows.schedule import Schedule, local
from flows.serving import Keeper, read
from flows.slot import ASKS, GRACE_S
from flows.store import read_model
from flows.studies import study_file

POLL_S = 1.0
INSIST_S = 5.0
PYTHON = [sys.executable, "-P", "-c", "from flows.cli import main; main()"]
COMMAND, UPKEEP = [*PYTHON, "slot"], [*PYTHON, "upkeep", "--note"]


def serve_studies(studies: Sequence[str]) -> None:
    """`medloop serve`: runs until it is told to end, by Ctrl-C or SIGTERM."""
    root = find_root()
    chosen = chosen_studies(root, studies) if studies else _sound(root, chosen_studies(root, []))
    servers.prepare_environment(root)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with journal.sole_service(root):
        prefect = Deployments(root, _tell)
        keeper = Keeper(
            root,
            chosen,
            lambda study, slot, said: SlotProcess(root, study, slot, said, prefect),
            wall=lambda: datetime.now(UTC),
            steady=time.monotonic,
            tell=_tell,
            notify=lambda notice: Thread(target=notifying.tell, args=(root, notice), daemon=True).start(),
        )
        nightly = Nightly(
            root, lambda: _upkeep(root), wall=lambda: datetime.now(UTC), steady=time.monotonic, tell=_tell
        )
        console.print(f"Serving {', '.join(chosen)} as process {os.getpid()}; Ctrl-C ends it.")
        for study in keeper.studies.values():
            _tell(study.name, f"{study.schedule.told}; next {told_next(study.schedule)}")
        try:
            prefect.wake(keeper)
            ending = _asked_to_end()
            while not ending:
                keeper.tick()
                nightly.tick(idle=keeper.current is None)
                prefect.tick(keeper)
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            _asked_to_end()
        finally:
            console.print("Ending.")
            keeper.close()
            nightly.close()


def _asked_to_end() -> list[int]:
    """The signals from now on: heard between ticks, so that what a slot came to is told whole, to Prefect too."""
    heard = list[int]()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: heard.append(number))
    return heard


def _sound(root: Path, studies: Sequence[str]) -> list[str]:
    """Those whose schedule is right: a wrong one must not keep the others from being served."""
    faults = dict[str, MedloopError]()
    for name in studies:
        try:
            read(root, study_file(root, name))
        except MedloopError as wrong:
            faults[name] = wrong
    for name, fault in faults.items():
        if len(faults) == len(studies):
            raise fault
        _tell(name, f"is not served until it is mended and this is started again: {fault.problem} ({fault.where})")
    return [name for name in studies if name not in faults]


def _tell(study: str, text: str) -> None:
    console.print(f"{datetime.now():%d %b %H:%M:%S}  [bold]{study.lstrip('_'):<16}[/] ", end="")
    console.print(text, markup=False, soft_wrap=True)


class Process:
    """A piece of work in a process that ends with this one, and leaves in a note what it came to."""

    def __init__(self, root: Path, command: Sequence[str], note: Path, flow_run: str = "") -> None:
        self._note, self._stopped, self._since = note, False, time.monotonic()
        self._process = subprocess.Popen(
            [*command, str(note)],
            cwd=root,
            env={**os.environ, FLOW_RUN: flow_run},
            stdin=subprocess.PIPE,  # whose end tells it that this process has ended
            start_new_session=True,  # Ctrl-C is for this process, which then ends that one
        )

    def outcome(self) -> Outcome | None:
        """What the run left in its note; where it left none, it was stopped, or died."""
        code = self._process.poll()
        if code is None:
            return None
        if self._note.is_file():
            return read_model(self._note, Outcome)
        if self._stopped:
            return Outcome(state="due", told="it was stopped")
        return Outcome(state="failed", told=f"its process was ended from outside (exit code {code})")

    def stop(self) -> None:
        """Interrupts it as Ctrl-C does, and insists when that takes too long."""
        self._stopped = True
        insist = [(signal.SIGTERM, INSIST_S), (signal.SIGKILL, INSIST_S)]
        for number, patience_s in [(signal.SIGINT, GRACE_S)] * ASKS + insist:
            if self._process.poll() is None or number == signal.SIGKILL:  # at last what it may have left
                with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(self._process.pid, number)
                    self._process.wait(patience_s)

    def settle(self, came: Outcome) -> None:
        """Tells what it came to."""
        said = {
            "unchanged": came.told or "nothing new",
            "ran": f"done{(came.key and f', run {came.key}') or ''}{came.told and ': '}{came.told}",
            "due": f"waits: {came.told}",
        }
        text = said.get(came.state, f"{came.state}: {came.told}").splitlines()
        _tell(self._note.stem.lstrip("._"), f"{text[0]} ({time.monotonic() - self._since:.0f} s)")
        self._note.unlink(missing_ok=True)


class SlotProcess(Process):
    """The run of one slot; see `flows.slot`."""

    def __init__(self, root: Path, study: str, slot: Slot, said: Schedule, prefect: Deployments) -> None:
        note = home(root) / "schedules" / f".{study}.outcome"
        note.unlink(missing_ok=True)
        self._prefect, self._flow_run = prefect, prefect.begin(study, slot)
        attempt = f", attempt {slot.attempts}" if slot.attempts > 1 else ""
        _tell(study, f"the run for {local(slot.at, said)} starts{attempt}")
        super().__init__(root, [*COMMAND, study], note, str(self._flow_run or ""))

    def settle(self, came: Outcome) -> None:
        """Tells Prefect too."""
        super().settle(came)
        self._prefect.end(self._flow_run, came)


def _upkeep(root: Path) -> Process:
    note = home(root) / "schedules" / f".{NIGHTLY}.outcome"
    note.unlink(missing_ok=True)
    return Process(root, UPKEEP, note)

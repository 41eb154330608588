"""One slot of a schedule, in a process of its own, which tells the one that serves what it came to."""

import os
import signal
import threading
import time
from pathlib import Path

from flows import journal
from flows.faults import told
from flows.home import find_root
from flows.journal import HeldError
from flows.ledger import Outcome
from flows.servers import StartError
from flows.standby import set_aside_database

GRACE_S = 15.0  # for a run that is interrupted to put its workspace in order
ASKS = 2  # since a library that is just being imported can swallow an interrupt


def work(study: str, note: Path) -> None:
    """Brings a study up to date and leaves in `note` what that came to."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born deaf to it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tried = note.with_suffix(".prefect")  # a mark that Prefect had another try with an empty database
    try:
        outcome = _brought(study)
    except HeldError as held:
        outcome = Outcome(state="due", told=held.problem)
    except Exception as error:
        if not isinstance(error, StartError) or tried.is_file() or not set_aside_database(find_root()):
            tried.unlink(missing_ok=True)
            fault = told(error, doing=f"the run of {study}")
            _write(note, Outcome(state="failed", told=str(fault)))
            raise fault from None
        tried.touch()
        outcome = Outcome(state="due", told="Prefect did not start: its database is set aside, it begins an empty one")
    else:
        tried.unlink(missing_ok=True)
    _write(note, outcome)


def _brought(study: str) -> Outcome:
    """What a slot does; there is a new run of this process where there was anything to do."""
    from flows.commands import run_studies

    before = _newest()
    run_studies([study], [])
    after = _newest()
    if after and after != before and after.pid == os.getpid():
        return Outcome(state="ran", key=after.key)
    return Outcome(state="unchanged")


def _newest() -> journal.Journal | None:
    return next(journal.all_journals(find_root()), None)


def _end_with_parent() -> None:
    """The process that serves holds the other end of this process's input, which closes however that one ends."""
    while os.read(0, 1):
        pass
    for _ in range(ASKS):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(GRACE_S)
    os.killpg(0, signal.SIGKILL)


def _write(note: Path, outcome: Outcome) -> None:
    from flows.store import write_json

    write_json(note, outcome)

"""One slot of a schedule, in a process of its own, which tells the one that serves what it came to."""

import json
import os
import signal
import threading
import time
from pathlib import Path

from flows import checked, commands, journal, workspace
from flows.faults import told
from flows.home import find_root, home, set_aside
from flows.journal import HeldError
from flows.ledger import Outcome
from flows.schedule import declared
from flows.servers import StartError
from flows.standby import set_aside_database
from flows.store import write_json, write_text
from flows.studies import PARAMS, read_yaml, study_file

GRACE_S = 15.0  # for a run that is interrupted to put its workspace in order
VERDICTS = {  # by the exit code of `medloop retrain`
    3: "the champion stays",
    4: "a person decides: medloop promote {study}, or nothing",
    5: "blocked, the champion stays",
}
ASKS = 2  # since a library that is just being imported can swallow an interrupt


def work(study: str, note: Path) -> None:
    """Brings a study up to date and leaves in `note` what that came to."""
    end_with_parent()
    tried = note.with_suffix(".prefect")  # a mark that Prefect had another try with an empty database
    try:
        outcome = _brought(study)
    except HeldError as held:
        outcome = Outcome(state="due", told=held.problem)
    except Exception as error:
        if not isinstance(error, StartError) or tried.is_file() or not set_aside_database(find_root()):
            tried.unlink(missing_ok=True)
            fault = told(error, doing=f"the run of {study}")
            write_json(note, Outcome(state="failed", told=str(fault)))
            raise fault from None
        tried.touch()
        outcome = Outcome(state="due", told="Prefect did not start: its database is set aside, it begins an empty one")
    else:
        tried.unlink(missing_ok=True)
    write_json(note, outcome)


def _brought(study: str) -> Outcome:
    """What a slot does: `medloop retrain`, where data or settings are new since the last slot that did."""
    root = find_root()
    mark = home(root) / "schedules" / f"{study}.judged"
    with journal.sole_run(root):
        judged = mark.read_text(encoding="utf-8") if mark.is_file() else ""
        if judged and not set_aside(root).is_dir() and judged == _made(root, study):
            return Outcome(state="unchanged")
    if calm := _calm(root, study):
        return Outcome(state="unchanged", told=calm)
    from flows.retrain import retrain_study

    verdict = VERDICTS.get(retrain_study(study), "")
    write_text(mark, _made(root, study))
    key = next((run.key for run in journal.all_journals(root) if run.recorded.get(study)), None)
    return Outcome(state="ran", key=key, told=verdict.format(study=study))


def _calm(root: Path, study: str) -> str:
    """Why a study that is trained only if its data have drifted is not; nothing where it is."""
    file = study_file(root, study)
    schedule = declared(read_yaml(file), file)
    if not schedule or schedule.only_if != "drift":
        return ""
    from flows import drift, servers

    servers.prepare_environment(root)
    with journal.sole_run(root):
        found = drift.drift(root, study)
    return "" if found is None or found.answer == "drifted" else found.sentence


def _made(root: Path, study: str) -> str:
    """What the study's stages last made, and the gate that judged it; nothing where any is stale or not recorded."""
    if not checked.is_current(root, [study]):
        commands.settings_of(root, [study])
    plan = workspace.plan(root, [study])
    stale = any(stage.stale for stage in plan)
    if stale or not journal.is_recorded(root, study, plan[-1].outputs):
        return ""
    gates = [read_yaml(path).get("gate") for path in (root / PARAMS, study_file(root, study))]
    return f"{plan[-1].outputs} {json.dumps(gates, default=str, sort_keys=True)}"


def end_with_parent() -> None:
    """Interrupts this process, and at last kills it, when the one that serves has ended, however that came about."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born deaf to it
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    """The process that serves holds the other end of this process's input, which closes however that one ends."""
    while os.read(0, 1):
        pass
    for _ in range(ASKS):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(GRACE_S)
    os.killpg(0, signal.SIGKILL)

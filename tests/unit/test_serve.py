"""The process of a slot: what it came to, how it is ended, and that it does not outlive the one that serves."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import psutil
import pytest

from flows import agenda, ledger, serve, slot, standby
from flows.journal import FLOW_RUN, HeldError, holder, sole_service
from flows.ledger import Ledger, Outcome, Slot
from flows.plan import Stage
from flows.schedule import Schedule
from flows.serve import SlotProcess

AT = datetime(2026, 3, 29, 1, tzinfo=UTC)
NIGHTLY = Schedule(cron="30 2 * * *", time_zone="Europe/Berlin")
SLEEP = "import time; print('up', flush=True); time.sleep(60)"


class Unseen:
    """Prefect that knows one flow run."""

    def __init__(self) -> None:
        self.ended: list[Outcome] = []

    def begin(self, study: str, slot: Slot) -> UUID:
        return UUID(int=7)

    def end(self, flow_run: UUID | None, outcome: Outcome) -> None:
        self.ended.append(outcome)


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOOP_HOME", str(tmp_path))
    (tmp_path / "schedules").mkdir()


def started(root: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> SlotProcess:
    monkeypatch.setattr(serve, "COMMAND", [sys.executable, "-S", "-c", code])
    return SlotProcess(root, "tiny", Slot(at=AT, state="running"), NIGHTLY, Unseen())  # type: ignore[arg-type]


def waited(process: SlotProcess) -> Outcome:
    while not (came := process.outcome()):
        time.sleep(0.02)
    return came


def test_a_run_says_what_it_came_to_in_its_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, sys; open(sys.argv[2], 'w').write('{\"state\": \"ran\", \"key\": \"' + os.environ['%s'] + '\"}')"
    process = started(tmp_path, code % FLOW_RUN, monkeypatch)
    came = waited(process)
    assert came == Outcome(state="ran", key=str(UUID(int=7)))
    process.settle(came)
    assert process._prefect.ended == [came]
    assert not list((tmp_path / "schedules").iterdir())


def test_a_run_that_dies_has_failed_and_one_that_is_stopped_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = waited(started(tmp_path, "import os; os._exit(9)", monkeypatch))
    assert (came.state, came.told) == ("failed", "its process was ended from outside (exit code 9)")
    monkeypatch.setattr(serve, "GRACE_S", 1)  # an interpreter that hardly runs may miss the first interrupt
    process = started(tmp_path, SLEEP, monkeypatch)
    process.stop()
    assert waited(process).state == "due"


def test_a_run_that_ignores_an_interrupt_is_ended_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "GRACE_S", 0.1)
    monkeypatch.setattr(serve, "INSIST_S", 0.1)
    ignores = "import signal, sys; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]; open(sys.argv[2] + 'up', 'w')"
    process = started(tmp_path, f"{ignores}; {SLEEP}", monkeypatch)
    while not list((tmp_path / "schedules").glob("*up")):
        time.sleep(0.02)
    process.stop()
    assert waited(process).state == "due"


def test_a_run_ends_with_the_process_that_serves(tmp_path: Path) -> None:
    watch = "import flows.slot as slot; slot.end_with_parent()"
    below = f"{watch}; {SLEEP}"
    child = f"subprocess.Popen([sys.executable, '-c', {below!r}], stdin=subprocess.PIPE, start_new_session=True)"
    above = f"import subprocess, sys; {child}; {SLEEP}"
    serving = subprocess.Popen([sys.executable, "-c", above], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert serving.stdout and [serving.stdout.readline() for _ in range(2)] == [b"up\n"] * 2
    (run,) = psutil.Process(serving.pid).children()
    serving.kill()
    serving.wait()
    run.wait(60)
    assert not run.is_running()
    serving.stdout.close()


def test_the_second_to_serve_leaves_naming_the_first(tmp_path: Path) -> None:
    assert holder(tmp_path, "serve") is None
    with sole_service(tmp_path), pytest.raises(HeldError, match=str(os.getpid())):
        assert holder(tmp_path, "serve") == str(os.getpid())
        with sole_service(tmp_path):
            pass
    assert holder(tmp_path, "serve") is None


def test_a_slot_whose_process_is_gone_is_not_said_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running = Ledger(through=AT, slots=[Slot(at=AT, state="running", attempts=1, started=AT)])
    ledger.save(tmp_path, "tiny", running)
    for name, value in {"find_root": lambda: tmp_path, "chosen_studies": lambda *_: ["tiny"]}.items():
        monkeypatch.setattr(agenda, name, value)
    monkeypatch.setattr(agenda.serving, "read", lambda *_: (NIGHTLY, []))
    with sole_service(tmp_path):
        agenda.show_agenda([])
    assert "running" in capsys.readouterr().out
    agenda.show_agenda([])
    told = capsys.readouterr().out
    assert "cut short: its process is gone" in told and "1 cut short\n" in told and "running" not in told


def test_a_prefect_that_is_away_does_not_answer(tmp_path: Path) -> None:
    assert not standby.answers("http://127.0.0.1:9/api")
    assert not standby.answers("nonsense")


def test_the_database_that_keeps_prefect_from_starting_is_set_aside(tmp_path: Path) -> None:
    assert not standby.set_aside_database(tmp_path)
    folder = tmp_path / "prefect"
    folder.mkdir()
    for text in ("first", "second"):
        (folder / "prefect.db").write_text(text)
        assert standby.set_aside_database(tmp_path)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"prefect.db.broken": "second"}


def test_a_slot_retrains_only_where_something_is_new_since_the_last_that_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    made = iter(["", "first", "first", "", ""])  # nothing while a stage is stale
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "tiny.yaml").write_text("schedule: {every: 1 day}")
    monkeypatch.setattr(slot, "find_root", lambda: tmp_path)
    monkeypatch.setattr(slot, "_made", lambda root, study: next(made))
    monkeypatch.setattr("flows.retrain.retrain_study", lambda study: calls.append(study) or 4)
    came = slot._brought("tiny")  # never before, so it does not ask what was made
    assert (came.state, came.told) == ("ran", "a person decides: medloop promote tiny, or nothing")
    assert slot._brought("tiny").state == "ran"  # what the first made was stale when it ended
    assert slot._brought("tiny").state == "unchanged"
    assert slot._brought("tiny").state == "ran"
    assert calls == ["tiny"] * 3


@pytest.mark.parametrize("answer", ["drifted", "none", "too few", "no champion"])
def test_a_study_that_is_trained_only_if_it_drifts_is_not_trained_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "tiny.yaml").write_text("schedule: {every: 1 day, only_if: drift}")
    found = None if answer == "no champion" else SimpleNamespace(answer=answer, sentence="No drift.")
    monkeypatch.setenv("MEDLOOP_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(slot, "find_root", lambda: tmp_path)
    monkeypatch.setattr(slot, "_made", lambda root, study: "")
    monkeypatch.setattr("flows.drift.drift", lambda root, study: found)
    monkeypatch.setattr("flows.servers.prepare_environment", lambda root: None)
    monkeypatch.setattr("flows.retrain.retrain_study", lambda study: 0)
    came = slot._brought("tiny")
    if answer in ("none", "too few"):
        assert (came.state, came.told) == ("unchanged", "No drift.")
    else:
        assert came.state == "ran"


def test_a_changed_gate_is_judged_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "studies").mkdir()
    study, plan = (
        tmp_path / "studies" / "tiny.yaml",
        [Stage(name="compare@tiny", arguments=("compare", "tiny"), after=(), stale=(), outputs="made")],
    )
    (tmp_path / "params.yaml").write_text("gate: {decision: ask}")
    monkeypatch.setattr(slot.checked, "is_current", lambda root, studies: True)
    monkeypatch.setattr(slot.workspace, "plan", lambda root, studies: plan)
    monkeypatch.setattr(slot.journal, "is_recorded", lambda root, name, outputs: True)
    told = []
    for text in ("title: a", "title: b", "gate: {decision: promote}"):
        study.write_text(text)
        told.append(slot._made(tmp_path, "tiny"))
    assert told[0] == told[1] != told[2]


def test_a_signal_is_heard_between_ticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    class Ticking:
        current, studies = None, dict[str, object]()

        def __init__(self, name: str) -> None:
            self.name = name

        def wake(self, keeper: object) -> None:
            told.append("awake")

        def tick(self, *_: object, **__: object) -> None:
            told.append(f"{self.name} begins")
            if self.name == "keeper":
                os.kill(os.getpid(), signal.SIGTERM)
            told.append(f"{self.name} ends")

        def close(self) -> None:
            told.append(f"{self.name} is closed")

    for part in ("Keeper", "Nightly", "Deployments"):
        made = Ticking(part.lower())
        monkeypatch.setattr(serve, part, lambda *_, made=made, **__: made)
    monkeypatch.setattr(serve.servers, "prepare_environment", lambda root: None)
    for name, value in {"find_root": lambda: tmp_path, "_sound": lambda *_: ["a"], "POLL_S": 0.0}.items():
        monkeypatch.setattr(serve, name, value)
    monkeypatch.setattr(serve, "chosen_studies", lambda *_: ["a"])
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        serve.serve_studies([])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    ticks = [f"{name} {end}" for name in ("keeper", "nightly", "deployments") for end in ("begins", "ends")]
    assert told == ["awake", *ticks, "keeper is closed", "nightly is closed"]

"""Notifications: they arrive, say what to do next, hold no secret, and never break a run."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from contracts.errors import MedloopError
from flows import notifying
from flows.journal import HeldError
from flows.notices import KINDS, Notice, NotifyParams, declared, filled

DRIFTED = Notice(kind="drifted", study="tiny", what="Drifted: 2 of 4 columns.", next="medloop retrain tiny", key="k-1")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose work is done in this process."""
    (tmp_path / "studies").mkdir()
    (tmp_path / "params.yaml").write_text("notify: {}")
    monkeypatch.setattr(notifying, "PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr(notifying.workers, "call", lambda doing, function, *given, say: function(*given, say))
    return tmp_path


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict]]]:
    """The address of a server that refuses at first, and what it was sent."""
    came: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            refused = self.path == "/never" or (self.path == "/later" and len(came) < 3)
            self.send_response(500 if refused else 200)
            self.end_headers()

        def log_message(self, *of: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"json://127.0.0.1:{server.server_port}", came
    server.shutdown()
    server.server_close()


def test_a_notice_says_what_happened_and_the_one_command_to_run() -> None:
    assert DRIFTED.subject == "medloop: tiny: new data have drifted"
    assert DRIFTED.text("2026-11-22 23:00 UTC") == (
        "Drifted: 2 of 4 columns.\nstudy tiny, 2026-11-22 23:00 UTC, run k-1\nnext: medloop retrain tiny"
    )


def test_it_arrives_by_an_address_and_by_a_variable_that_holds_one(
    root: Path, receiver: tuple[str, list[dict]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, came = receiver
    monkeypatch.setenv("TEAM_CHAT", address)
    (root / "studies" / "tiny.yaml").write_text(f"notify: {{to: ['{address}', '${{TEAM_CHAT}}']}}")
    notifying.tell(root, DRIFTED)
    assert [(one["title"], one["type"]) for one in came] == [(DRIFTED.subject, "warning")] * 2
    assert "next: medloop retrain tiny" in came[0]["message"]


def test_what_nobody_wants_to_hear_is_not_sent(root: Path, receiver: tuple[str, list[dict]]) -> None:
    address, came = receiver
    (root / "studies" / "tiny.yaml").write_text(f"notify: {{to: ['{address}'], on: [failed]}}")
    notifying.tell(root, DRIFTED)
    assert not came


def test_what_was_refused_is_tried_again(root: Path, receiver: tuple[str, list[dict]]) -> None:
    address, came = receiver
    assert notifying.send(root, DRIFTED, (f"{address}/later",)) == {f"{address}/later": ""}
    assert len(came) == 3


def test_what_does_not_arrive_breaks_nothing_and_is_told_without_the_secret(
    root: Path, receiver: tuple[str, list[dict]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address, _ = receiver
    monkeypatch.setattr(notifying.console.errors, "width", 400)
    monkeypatch.setenv("TEAM_CHAT", f"{address}/never?+key=hidden")
    monkeypatch.delenv("ABSENT", raising=False)
    (root / "studies" / "tiny.yaml").write_text("notify: {to: ['${TEAM_CHAT}', '${ABSENT}', 'block:slack-webhook/x']}")
    monkeypatch.setenv("MEDLOOP_HOME", str(root / "home"))
    notifying.tell(root, DRIFTED)
    told = capsys.readouterr().err
    assert "${TEAM_CHAT} could not be notified: it was refused (error=500)" in told
    assert "the environment variable ABSENT is not set" in told and "Prefect, which has the block" in told
    assert "hidden" not in told and "127.0.0.1" not in told
    (root / "studies" / "tiny.yaml").write_text("notify: {on: [sometimes]}")
    notifying.tell(root, DRIFTED)
    assert "nobody could be notified" in capsys.readouterr().err


@pytest.mark.parametrize(
    "place",
    ["slack://one/two/three", "https://hooks.example.org/abc", "json://me:word@host", "json://host/?token=abc",
     "mailto://me@x.org:pw@host", "block:no name", "host.org:8080", "json://[broken"],
)  # fmt: skip
def test_a_secret_in_the_file_is_refused_and_not_shown(root: Path, place: str) -> None:
    (root / "params.yaml").write_text(json.dumps({"notify": {"to": ["json://fine:8080", place]}}))
    with pytest.raises(MedloopError, match="address 2 of `to`") as fault:
        declared(root, "tiny")
    assert place not in str(fault.value) and "params.yaml, notify" in fault.value.where
    assert 'name an environment variable that holds it, "${TEAM_CHAT}"' in fault.value.mend


@pytest.mark.parametrize(
    "place",
    ["json://host:8080/path", "mailto://host?from=a@b.org&to=c@d.org", "${CHAT}", "slack://${TOKEN}",
     "block:slack-webhook/team"],
)  # fmt: skip
def test_what_holds_no_secret_is_taken(place: str) -> None:
    assert NotifyParams(to=(place,)).on == KINDS


@pytest.mark.parametrize(
    ("written", "key", "said"),
    [
        ("{too: []}", "notify.too", "unknown key too (did you mean to?)"),
        ("{to: 'json://me:word@host'}", "notify.to", "a list was expected"),
        ("{on: [faild]}", "notify.on", "'failed'"),
        ("[1]", "notify", "a mapping"),
    ],
)
def test_a_wrong_key_is_named(root: Path, written: str, key: str, said: str) -> None:
    (root / "studies" / "tiny.yaml").write_text(f"notify: {written}")
    with pytest.raises(MedloopError, match=re.escape(said)) as fault:
        declared(root, "tiny")
    assert fault.value.where.endswith(f"tiny.yaml, {key}") and "word" not in str(fault.value)


def test_a_study_says_what_differs_from_the_shared_settings(root: Path) -> None:
    (root / "params.yaml").write_text("notify: {to: ['json://all:1'], on: [failed]}")
    (root / "studies" / "tiny.yaml").write_text("notify: {on: [drifted]}")
    assert declared(root, "tiny") == NotifyParams(to=("json://all:1",), on=("drifted",))
    assert declared(root, "other").on == ("failed",)


def test_a_variable_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "a/b/c")
    assert filled("slack://${TOKEN}") == "slack://a/b/c"


def test_a_failure_is_told_and_raised_but_not_that_another_run_holds_the_workspace(
    root: Path, receiver: tuple[str, list[dict]]
) -> None:
    address, came = receiver
    (root / "studies" / "tiny.yaml").write_text(f"notify: {{to: ['{address}']}}")
    for error in (HeldError("another run"), MedloopError("the source is gone"), KeyError("secret-value")):
        with pytest.raises(type(error)), notifying.of_failure(root, "tiny", "medloop retrain tiny"):
            raise error
    told = [one["message"].splitlines()[0] for one in came]
    assert told == ["The run failed: the source is gone", "The run failed: the run of tiny met an unexpected KeyError"]

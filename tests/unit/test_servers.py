"""Which servers are taken for ours, how they are started and what is shown of them; no real server is started."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from contracts.errors import MedloopError
from flows import processes, servers
from flows.home import home
from flows.ports import free_port

SERVE = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Healthy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
HTTPServer(("127.0.0.1", int(sys.argv[1])), Healthy).serve_forever()
"""
PROXY_KEYS = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in (*PROXY_KEYS, *(key.upper() for key in PROXY_KEYS)):
        monkeypatch.delenv(key, raising=False)
    for key in ("MEDLOOP_HOME", "MLFLOW_TRACKING_URI", "PREFECT_API_URL", servers.OUR_PREFECT):
        monkeypatch.setenv(key, "")  # so that what the code sets is undone
        monkeypatch.delenv(key)


@pytest.fixture
def stranger() -> Iterator[int]:
    """The port of a healthy HTTP server that medloop did not start."""
    server = HTTPServer((servers.HOST, 0), Healthy)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[list[str]]]:
    """The command lines asked for; a small HTTP server runs in their place."""
    asked: list[list[str]] = []
    real: Callable[[Path, servers.Name, int, str], list[str]] = servers._command

    def command(root: Path, name: servers.Name, port: int, host: str) -> list[str]:
        asked.append(real(root, name, port, host))
        return [sys.executable, "-S", "-c", SERVE, str(port)]

    monkeypatch.setattr(servers, "_command", command)
    monkeypatch.setattr(servers, "PREFERRED_PORT", {"prefect": 0, "mlflow": 0})
    yield asked
    servers.stop(tmp_path)


def remember(root: Path, **values: float) -> None:
    folder = home(root)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "servers.json").write_text(json.dumps({"mlflow": values}))


def test_a_stranger_on_the_port_of_a_dead_server_is_not_ours(tmp_path: Path, stranger: int) -> None:
    gone = subprocess.Popen([sys.executable, "-S", "-c", ""])
    started = psutil.Process(gone.pid).create_time()
    gone.wait()
    remember(tmp_path, pid=gone.pid, port=stranger, started=started)
    assert servers.running(tmp_path, "mlflow") is None


def test_a_process_that_got_the_number_is_neither_used_nor_ended(tmp_path: Path, stranger: int) -> None:
    other = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)", "mlflow"])
    remember(tmp_path, pid=other.pid, port=stranger, started=psutil.Process(other.pid).create_time() - 60)
    assert servers.running(tmp_path, "mlflow") is None
    assert servers.stop(tmp_path) == []
    assert other.poll() is None
    other.kill()
    other.wait()


def test_our_server_is_found_again_and_ended(tmp_path: Path, commands: list[list[str]]) -> None:
    server = servers.ensure(tmp_path, "mlflow")
    assert servers.running(tmp_path, "mlflow") == server
    assert servers.launch(tmp_path, "mlflow") == server
    assert servers.address(tmp_path, "mlflow") == server.address
    assert servers.stop(tmp_path) == ["mlflow"]
    assert not psutil.pid_exists(server.pid)
    assert servers.address(tmp_path, "mlflow") is None


def test_a_server_that_listens_elsewhere_is_told(tmp_path: Path, commands: list[list[str]]) -> None:
    servers.launch(tmp_path, "mlflow")
    with pytest.raises(MedloopError, match="runs already"):
        servers.launch(tmp_path, "mlflow", "0.0.0.0")
    servers.stop(tmp_path)
    server = servers.launch(tmp_path, "mlflow", "0.0.0.0")
    assert server.address.startswith("http://127.0.0.1:") and "0.0.0.0" in commands[-1]
    assert server.model_copy(update={"host": "fd00::1", "port": 5000}).address == "http://[fd00::1]:5000"
    assert "--app-name medloop-auth" in " ".join(commands[-1]) and servers.launch(tmp_path, "mlflow") == server


def test_a_dead_and_uncleared_process_does_not_run(tmp_path: Path, commands: list[list[str]]) -> None:
    first = servers.ensure(tmp_path, "mlflow")
    process, deadline = psutil.Process(first.pid), time.monotonic() + 5
    process.kill()
    while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)
    assert processes.started(first.pid) is None
    assert servers.ensure(tmp_path, "mlflow").pid != first.pid


def test_a_server_that_ends_is_told_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_command", lambda *_: [sys.executable, "-S", "-c", "raise SystemExit(1)"])
    with pytest.raises(MedloopError, match=r"mlflow\.log"):
        servers.ensure(tmp_path, "mlflow")


def test_a_proxy_does_not_hide_our_server(
    tmp_path: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server = servers.ensure(tmp_path, "mlflow")
    assert servers.running(tmp_path, "mlflow") == server


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, None),
        ({"http_proxy": "http://p:1"}, "127.0.0.1,localhost"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.org, localhost"}, "a.org,localhost,127.0.0.1"),
        ({"http_proxy": "http://p:1", "no_proxy": "b.org", "NO_PROXY": "a.org"}, "b.org,a.org,127.0.0.1,localhost"),
    ],
)
def test_only_this_machine_is_spared_from_proxies(
    before: dict[str, str], after: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", dict(before))
    for _ in range(2):
        servers.prepare_environment(tmp_path)
    assert os.environ.get("no_proxy") == os.environ.get("NO_PROXY") == after


def test_the_databases_password_is_on_no_command_line(
    tmp_path: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://medloop:secret@db/mlflow")
    server = servers.launch(tmp_path, "mlflow")
    assert "secret" not in str(commands)
    environment = psutil.Process(server.pid).environ()
    assert environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql://medloop:secret@db/mlflow"


@pytest.mark.parametrize(
    ("name", "key", "told", "shown"),
    [
        ("prefect", "PREFECT_API_URL", "https://me:secret@team.org/api/?token=secret", "https://team.org"),
        ("prefect", "PREFECT_API_URL", "me:secret@team.org/api", "team.org"),
        ("mlflow", "MLFLOW_TRACKING_URI", "http://me:se/cr@et@team.org:5000/", "http://team.org:5000"),
        ("mlflow", "MLFLOW_TRACKING_URI", "postgresql://me:secret@team.org/mlflow", None),
    ],
)
def test_a_teams_address_is_shown_without_credentials(
    name: servers.Name, key: str, told: str, shown: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(key, told)
    assert servers.address(tmp_path, name) == shown


def test_our_own_prefect_is_not_taken_for_a_teams(tmp_path: Path, commands: list[list[str]]) -> None:
    server = servers.launch_for_run(tmp_path)
    assert server
    assert os.environ["PREFECT_API_URL"] == f"{server.address}/api"
    assert servers.elsewhere("prefect") is None
    assert servers.launch_for_run(tmp_path) == server


def test_two_that_start_at_once_start_one_server_of_each(tmp_path: Path, commands: list[list[str]]) -> None:
    names: list[servers.Name] = ["prefect", "mlflow"] * 4
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: servers.launch(tmp_path, name), names))
    assert len(commands) == 2
    assert len({server.pid for server in found}) == 2
    assert sorted(servers.stop(tmp_path)) == ["mlflow", "prefect"]


def test_a_relative_home_is_the_same_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOOP_HOME", "kept")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert home(tmp_path) == tmp_path / "kept"


def test_two_servers_that_start_at_once_have_ports_of_their_own() -> None:
    with free_port(0, servers.HOST) as (first, _), free_port(first, servers.HOST) as (second, _):
        assert first != second


def test_a_port_is_kept_by_its_server_alone_once_it_runs() -> None:
    with free_port(0, servers.HOST) as (port, held):
        server = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"], pass_fds=(held,))
    with free_port(port, servers.HOST) as (other, _):
        assert other != port
    server.kill()
    server.wait()
    with free_port(port, servers.HOST) as (again, _):
        assert again == port


def test_a_copy_of_a_workspace_has_servers_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: list[list[str]]
) -> None:
    monkeypatch.delenv("MEDLOOP_HOME", raising=False)
    first, second, moved = (tmp_path / name for name in ("first", "second", "moved"))
    server = servers.launch(first, "mlflow")
    shutil.copytree(first, second)
    assert servers.stop(second) == []
    assert servers.launch(second, "mlflow").pid != server.pid
    first.rename(moved)
    assert sorted(servers.stop(moved) + servers.stop(second)) == ["mlflow", "mlflow"]


def test_a_run_in_a_process_that_imported_prefect_before_tells_its_own_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: list[list[str]]
) -> None:
    from prefect.settings import PREFECT_API_URL

    for name in ("PREFECT_API_URL", servers.OUR_PREFECT):
        monkeypatch.setenv(name, "")
    server = servers.launch_for_run(tmp_path)
    assert server and PREFECT_API_URL.value() == f"{server.address}/api"

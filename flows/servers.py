"""The local Prefect and MLflow servers: started when needed, found again, stopped with `medloop down`."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from contracts.errors import MedloopError
from flows.home import home
from flows.store import read_model, write_json

Name = Literal["prefect", "mlflow"]
HOST = "127.0.0.1"
PREFERRED_PORT: dict[Name, int] = {"prefect": 4200, "mlflow": 5000}
HEALTH: dict[Name, str] = {"prefect": "/api/health", "mlflow": "/health"}
START_LIMIT_S = 180


class Server(BaseModel):
    """A server that medloop started."""

    pid: int
    port: int

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://{HOST}:{self.port}"


class Servers(BaseModel):
    """What `.medloop/servers.json` remembers."""

    prefect: Server | None = None
    mlflow: Server | None = None


def tracking_uri(root: Path) -> str:
    """MLflow's database: the team's where MLFLOW_TRACKING_URI says so, else this workspace's own SQLite file."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home(root) / 'mlflow' / 'mlflow.db'}"


def artifacts(root: Path) -> Path:
    """Where this workspace's own MLflow keeps artifacts."""
    return home(root) / "mlflow" / "artifacts"


def prepare_environment(root: Path) -> None:
    """Settings that must stand before Prefect, MLflow and Lightning are imported: local, quiet, nothing sent out."""
    folder = home(root)
    settings = {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_CLI_PROMPT": "false",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "GX_ANALYTICS_ENABLED": "false",
        "DVC_NO_ANALYTICS": "true",
    }
    for key, value in settings.items():
        os.environ.setdefault(key, value)


def running(root: Path, name: Name) -> Server | None:
    """The server, when it runs and answers."""
    server = getattr(_remembered(root), name)
    return server if server and _answers(server.address + HEALTH[name]) else None


def launch(root: Path, name: Name) -> Server:
    """Starts a server without waiting for it; the one that already runs, where there is one."""
    existing = running(root, name)
    if existing:
        return existing
    remembered = _remembered(root)
    server: Server | None = getattr(remembered, name)
    if not (server and _is_ours(server.pid, name)):
        port = _free_port(PREFERRED_PORT[name])
        log = home(root) / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        server = Server(pid=_spawn(_command(root, name, port), log), port=port)
        write_json(_file(root), remembered.model_copy(update={name: server}))
    return server


def ensure(root: Path, name: Name, waiting: Callable[[], None] | None = None) -> Server:
    """The server, started where needed, once it answers. `waiting` is called while it does not.

    Raises MedloopError, naming the log, when it ends or stays silent.
    """
    server = launch(root, name)
    deadline = time.monotonic() + START_LIMIT_S
    while not _answers(server.address + HEALTH[name]):
        if waiting:
            waiting()
        if time.monotonic() > deadline or not _is_ours(server.pid, name):
            log = home(root) / "logs" / f"{name}.log"
            raise MedloopError(
                f"the {name} server did not start", where=str(log), mend="read the log, then: medloop up"
            )
        time.sleep(0.1)
    return server


def launch_for_run(root: Path) -> Server | None:
    """Starts the Prefect server early, so that it wakes up while the imports run; None where a team's own is set.

    Prefect reads its address when it is imported, so this comes before.
    """
    if os.environ.get("PREFECT_API_URL"):
        return None
    server = launch(root, "prefect")
    os.environ["PREFECT_API_URL"] = f"{server.address}/api"
    return server


def stop(root: Path) -> list[Name]:
    """Ends the servers that medloop started in this workspace; their names."""
    remembered, stopped = _remembered(root), list[Name]()
    for name in PREFERRED_PORT:
        server = getattr(remembered, name)
        if server and _is_ours(server.pid, name):
            _end(server.pid)
            stopped.append(name)
    _file(root).unlink(missing_ok=True)
    return stopped


def _command(root: Path, name: Name, port: int) -> list[str]:
    python = [sys.executable, "-m"]
    if name == "prefect":
        return [*python, "prefect", "server", "start", "--host", HOST, "--port", str(port)]
    store, kept = tracking_uri(root), str(artifacts(root))
    return [
        *(*python, "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", store, "--artifacts-destination", kept),
    ]


def _spawn(command: list[str], log: Path) -> int:
    """A child in its own session, so that it outlives this command and can be ended as a group."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True, cwd=log.parent
        )
    return child.pid


def _end(pid: int, patience_s: float = 10) -> None:
    """Asks the server's group to end, then insists."""
    deadline = time.monotonic() + patience_s
    try:
        os.killpg(pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            _reap(pid)
            os.killpg(pid, 0)
            time.sleep(0.05)
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _reap(pid: int) -> None:
    """Clears a dead child of this process, which would otherwise still look alive."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _is_ours(pid: int, name: Name) -> bool:
    """Whether the process still is that server and not another that got its number."""
    _reap(pid)
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except FileNotFoundError:
        return False
    except OSError:
        return _exists(pid)
    return name.encode() in words or any(name.encode() in word for word in words)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free_port(preferred: int) -> int:
    for port in (preferred, 0):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((HOST, port))
            except OSError:
                continue
            return int(trial.getsockname()[1])
    raise MedloopError("no free port on this machine", where=HOST)


def _file(root: Path) -> Path:
    return home(root) / "servers.json"


def _remembered(root: Path) -> Servers:
    return read_model(_file(root), Servers) if _file(root).is_file() else Servers()

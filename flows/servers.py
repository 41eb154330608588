"""The local Prefect and MLflow servers: started when needed, found again, stopped with `medloop down`."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Literal
from urllib.request import ProxyHandler, build_opener, getproxies_environment

from pydantic import BaseModel

from contracts.errors import MedloopError
from flows import board, processes
from flows.console import warn
from flows.home import home
from flows.ports import free_port
from flows.standby import answers
from flows.store import read_model, write_json

Name = Literal["prefect", "mlflow"]
HOST, EVERYWHERE = "127.0.0.1", ("0.0.0.0", "::")
PREFERRED_PORT: dict[Name, int] = {"prefect": 4200, "mlflow": 5000}
HEALTH: dict[Name, str] = {"prefect": "/api/health", "mlflow": "/health"}
START_LIMIT_S = 180
OUR_PREFECT = "MEDLOOP_PREFECT_API_URL"  # the PREFECT_API_URL that medloop set itself, if it did


class Server(BaseModel):
    """A server that medloop started; `started`, in seconds since 1970, tells it from a later process of that number."""

    pid: int
    port: int
    started: float = 0.0
    host: str = HOST

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        host = HOST if self.host in EVERYWHERE else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


class StartError(MedloopError):
    """A server that ended as soon as it was started."""


class Servers(BaseModel):
    """What `.medloop/servers.json` remembers. `folder` is the inode of the folder that it was written in."""

    folder: int = 0
    prefect: Server | None = None
    mlflow: Server | None = None


def tracking_uri(root: Path) -> str:
    """MLflow's database: the team's where MLFLOW_TRACKING_URI says so, else this workspace's own SQLite file."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home(root) / 'mlflow' / 'mlflow.db'}"


def tracked() -> str:
    """Where MLflow's database is, without credentials; nothing where it is this workspace's own."""
    return _without_secrets(os.environ.get("MLFLOW_TRACKING_URI", ""))


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
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",  # those that ended 90 days ago
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",  # half a minute; with MLflow's 7 a server that fails takes four
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",  # seconds, of MLflow's 120: one that hangs is asked five times
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "GX_ANALYTICS_ENABLED": "false",
        "DVC_NO_ANALYTICS": "true",
    }
    for key, value in settings.items():
        os.environ.setdefault(key, value)
    _spare_from_proxies()


def _spare_from_proxies() -> None:
    """A proxy cannot reach this machine's own servers.

    Nothing is set where no proxy is: on macOS that alone would switch the system's own proxies off.
    """
    kept = [host.strip() for key in ("no_proxy", "NO_PROXY") for host in os.environ.get(key, "").split(",")]
    if getproxies_environment().keys() - {"no"} and "*" not in kept:
        spared = ",".join(dict.fromkeys([*filter(None, kept), HOST, "localhost"]))
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = spared


def elsewhere(name: Name) -> str | None:
    """The address of the team's server, where a person set one, without credentials; None where it is ours to start."""
    if name == "prefect":
        told = os.environ.get("PREFECT_API_URL", "")
        theirs = bool(told) and told != os.environ.get(OUR_PREFECT)
    else:
        told = os.environ.get("MLFLOW_TRACKING_URI", "")
        theirs = told.startswith(("http://", "https://"))
    return _without_secrets(told).removesuffix("/api") if theirs else None


def _without_secrets(address: str) -> str:
    """Cut at the last @, since a password may hold any other sign; a query may hold a token."""
    scheme, mark, rest = address.partition("://")
    place = (rest or scheme).rpartition("@")[2].partition("?")[0].rstrip("/")
    return f"{scheme}{mark}{place}" if mark else place


def address(root: Path, name: Name) -> str | None:
    """Where a browser finds the server: the team's, else the local one that runs, else None."""
    theirs = elsewhere(name)
    if theirs:
        return theirs
    server = running(root, name)
    return server.address if server else None


def running(root: Path, name: Name) -> Server | None:
    """The local server, when it runs and answers."""
    server: Server | None = getattr(_remembered(root), name)
    return server if server and _serves(server, name) else None


def launch(root: Path, name: Name, host: str = HOST) -> Server:
    """Starts a server without waiting for it; the one that already runs, where there is one.

    host: where it listens; beyond this machine MLflow asks everyone for a password (`flows.board.exposure`).
    Raises MedloopError where it runs already and listens elsewhere.
    """
    with _locked(root):
        remembered = _remembered(root)
        server: Server | None = getattr(remembered, name)
        if not (server and _is_ours(server)):
            # That of the one that died, which runs under way still know.
            with free_port(server.port if server else PREFERRED_PORT[name], HOST) as (port, held):
                server = _start(root, name, port, host, held)
            write_json(_file(root), remembered.model_copy(update={name: server, "folder": home(root).stat().st_ino}))
        elif host not in (HOST, server.host):
            mend = f"medloop down, then: medloop ui --host {host}"
            raise MedloopError(f"the {name} server runs already, for {server.host}", where=server.address, mend=mend)
    return server


def ensure(root: Path, name: Name) -> Server:
    """The server, started where needed, once it answers.

    Raises MedloopError, naming the log, when it ends or stays silent.
    """
    server = launch(root, name)
    deadline = time.monotonic() + START_LIMIT_S
    while not _serves(server, name):
        if time.monotonic() > deadline or not _is_ours(server):
            log = home(root) / "logs" / f"{name}.log"
            fault = MedloopError if _is_ours(server) else StartError
            raise fault(f"the {name} server did not start", where=str(log), mend="read the log, then: medloop up")
        time.sleep(0.1)
    return server


def launch_for_run(root: Path) -> Server | None:
    """Starts the Prefect server early, so that it wakes up while the imports run; None where a team's own answers.

    Prefect reads its address when it is imported, so this comes before.
    """
    theirs = elsewhere("prefect")
    if theirs and answers(os.environ["PREFECT_API_URL"]):
        return None
    if theirs:
        warn(f"{theirs} does not answer: this run is shown by the local Prefect server instead")
    server = launch(root, "prefect")
    os.environ["PREFECT_API_URL"] = os.environ[OUR_PREFECT] = f"{server.address}/api"
    _tell_prefect()
    return server


def _tell_prefect() -> None:
    """Where something imported it before, it knows no address, and would start a server of its own that nobody ends."""
    if "prefect" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


def stop(root: Path) -> list[Name]:
    """Ends the servers that medloop started in this workspace; their names."""
    stopped = list[Name]()
    with _locked(root):
        remembered = _remembered(root)
        for name in PREFERRED_PORT:
            server = getattr(remembered, name)
            if server and _is_ours(server):
                processes.end(server.pid)
                stopped.append(name)
        _file(root).unlink(missing_ok=True)
    return stopped


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Lets one process at a time change which servers there are, so that two do not start the same one."""
    home(root).mkdir(parents=True, exist_ok=True)
    with (home(root) / "servers.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _command(root: Path, name: Name, port: int, host: str = HOST) -> list[str]:
    """The command line, which everyone on the machine can read: the database's address may hold a password."""
    python, place = [sys.executable, "-m"], ["--host", host, "--port", str(port)]
    if name == "prefect":
        return [*python, "prefect", "server", "start", *place]
    app = board.APP if host == HOST else board.GUARDED_APP
    pages = ["--app-name", app] if board.installed() else []
    return [
        *python, "mlflow", "server", *place, "--workers", "1", "--artifacts-destination", str(artifacts(root)), *pages
    ]  # fmt: skip


def _start(root: Path, name: Name, port: int, host: str, held: int) -> Server:
    """A child in its own session, so that it outlives this command and can be ended as a group.

    held: the file that keeps the port for it, which it keeps open.
    """
    log = home(root) / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    # Prefect's pages would ask the server on its usual port, which may be another workspace's.
    own = {"MLFLOW_BACKEND_STORE_URI": tracking_uri(root), "PREFECT_UI_API_URL": f"http://{HOST}:{port}/api"}
    own[board.ROOT] = str(root)
    with log.open("ab") as output:
        child = subprocess.Popen(
            _command(root, name, port, host),
            env={**os.environ, **own},
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(held,),
            cwd=home(root),  # where MLflow keeps its users, if it asks for passwords
        )
    return Server(pid=child.pid, port=port, started=processes.started(child.pid) or 0.0, host=host)


def _is_ours(server: Server) -> bool:
    """Whether the process still is that server and not another that got its number."""
    processes.reap(server.pid)
    return processes.is_same(server.pid, server.started)


def _serves(server: Server, name: Name) -> bool:
    """Whether the server answers, and not a stranger on its port."""
    if not _is_ours(server):
        return False
    try:
        with build_opener(ProxyHandler({})).open(server.address + HEALTH[name], timeout=2) as response:
            return bool(response.status == 200)
    except (OSError, HTTPException):
        return False


def _file(root: Path) -> Path:
    return home(root) / "servers.json"


def _remembered(root: Path) -> Servers:
    """The servers of this workspace; none by a copy of another's file, whose servers stay the other's."""
    here = home(root).stat().st_ino if _file(root).is_file() else 0
    found = read_model(_file(root), Servers) if here else Servers()
    return found if found.folder in (0, here) else Servers(folder=here)

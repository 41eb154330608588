"""The Prefect and MLflow servers, ours or a team's."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from contracts.errors import MedloopError
from flows import processes, servers
from flows.doctor.finding import Asked, Finding, fault, note, well
from flows.home import home
from flows.servers import HEALTH, HOST, PREFERRED_PORT, Name, Server, Servers
from flows.standby import answers
from flows.store import read_model


def check(root: Path, asked: Asked) -> Iterator[Finding]:
    """One finding a server."""
    file = home(root) / "servers.json"
    try:
        remembered = read_model(file, Servers) if file.is_file() else Servers()
    except MedloopError as error:
        yield fault("servers", error.problem, "what servers.json remembers", f"rm {file}; then medloop up")
        return
    for name in PREFERRED_PORT:
        theirs = servers.elsewhere(name)
        if theirs:
            yield well(name, f"{theirs}, a team's, is not asked (--quick)") if asked.quick else _theirs(name, theirs)
        else:
            yield _ours(root, name, getattr(remembered, name))


def _theirs(name: Name, address: str) -> Finding:
    api = os.environ["PREFECT_API_URL"] if name == "prefect" else address
    if answers(api) if name == "prefect" else answers(api.rstrip("/")):
        return well(name, f"{address} answers")
    variable = "PREFECT_API_URL" if name == "prefect" else "MLFLOW_TRACKING_URI"
    return fault(name, f"{address} does not answer", "the team's server", f"start it, or correct or unset {variable}")


def _ours(root: Path, name: Name, known: Server | None) -> Finding:
    log = home(root) / "logs" / f"{name}.log"
    if servers.running(root, name) and known:
        return well(name, f"answers at {known.address} (process {known.pid})")
    if known and processes.is_same(known.pid, known.started):
        found = f"process {known.pid} does not answer at {known.address}{HEALTH[name]}"
        return fault(name, found, "a server that answers", f"read {log}; then medloop down and medloop up")
    if known:
        found = f"process {known.pid}, which served {known.address}, is gone"
        return fault(name, found, "a server that runs until medloop down", "medloop up", lambda: _start(root, name))
    stranger = _answering(PREFERRED_PORT[name])
    if stranger:
        return note(name, f"not running; port {PREFERRED_PORT[name]} is another's, so that ours will take a free one")
    return well(name, "not running; it starts when needed")


def _start(root: Path, name: Name) -> str:
    servers.prepare_environment(root)
    return f"{name} is started again at {servers.launch(root, name).address}"


def _answering(port: int) -> bool:
    with socket.socket() as trial:
        trial.settimeout(1)
        return trial.connect_ex((HOST, port)) == 0

"""A port for a server of this machine, kept until the server listens."""

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts.errors import MedloopError


@contextmanager
def free_port(preferred: int, host: str) -> Iterator[tuple[int, int]]:
    """A port that nothing listens on, and the open file that keeps it.

    A server listens only after its imports: until then another workspace, whose run began at the same minute, would
    find the port free, and take this server's answers for those of its own.
    """
    for wanted in (preferred, 0):
        port = _bound(wanted, host)
        if port:
            mine = Path(tempfile.gettempdir()) / f"medloop-{os.getuid()}-port-{port}.lock"
            with mine.open("a") as keeper:
                try:
                    fcntl.flock(keeper, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield port, keeper.fileno()
                return
    raise MedloopError("no free port on this machine", where=host)


def _bound(port: int, host: str) -> int:
    """This port, or with 0 any, where nothing listens on it; else 0."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError:
            return 0
        return int(trial.getsockname()[1])

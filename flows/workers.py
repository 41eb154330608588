"""Processes of their own for models: torch, its threads and its random state stay out of the run's process.

A run's process reads DVC, Prefect and Great Expectations while a worker imports torch and Lightning beside it, and
several models train at once without changing each other's bits. A worker ends with the process that started it.
"""

import importlib
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from multiprocessing.connection import Connection, wait
from pickle import PicklingError
from queue import Empty, LifoQueue
from tempfile import TemporaryDirectory
from typing import Any
from weakref import WeakSet

from contracts.errors import MedloopError
from flows.faults import told
from flows.plan import Say, StoppedError, unheard
from models.ranks import LAUNCHERS, STORE, PartnerLostError

# Half the cores, since a model's libraries use threads of their own.
MOST = max(1, min(4, (os.cpu_count() or 1) // 2))
END_LIMIT_S = 10
GRACE_S = 5  # for what a training still writes when its run is gone
# What models import, in the order of need; a package that is missing is told when it is used.
NEEDED = ("torch", "sklearn.linear_model", "sklearn.ensemble", "pytorch_lightning", "plotly.graph_objects")


class Worker:
    """One process, which does one thing at a time."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        stop, self._stop = context.Pipe(duplex=False)
        self._process = context.Process(target=_serve, args=(theirs, stop), daemon=True)
        self._process.start()
        theirs.close()

    def call(self, doing: str, function: Callable[..., Any], *arguments: object, say: Say) -> Any:
        """What `function(*arguments, say)` returns there. Raises what it raises; MedloopError when the process dies.

        Where `say` raises StoppedError, the work ends with it when it next says something, if it does.
        """
        try:
            self._ours.send((doing, function, arguments))
            while (message := self._ours.recv())[0] == "says":
                try:
                    say(message[1])
                except StoppedError:
                    self._stop.send(None)
        except (EOFError, OSError):
            self._process.join(END_LIMIT_S)
            raise MedloopError(
                f"the process that worked on it was ended from outside (exit code {self._process.exitcode})",
                where=doing,
                mend="-9 is most often too little memory: close other programs or train on fewer rows; then run again",
            ) from None
        kind, content = message
        if kind == "failed":
            raise content
        return content

    @property
    def alive(self) -> bool:
        """Whether it can take work."""
        return self._process.is_alive()

    def end(self) -> None:
        """Ends it, whatever it does."""
        self._process.kill()


_idle: LifoQueue[Worker] = LifoQueue()
_all: WeakSet[Worker] = WeakSet()


def warm_up() -> None:
    """Starts a worker, if none is idle, so that it imports what models need beside whatever comes now."""
    if _idle.empty():
        _idle.put(_started())


def call(doing: str, function: Callable[..., Any], *arguments: object, say: Say) -> Any:
    """`function(*arguments, say)` in a worker of its own; see `Worker.call`. `doing` names it in an error."""
    worker = _taken()
    try:
        return worker.call(doing, function, *arguments, say=say)
    finally:
        if worker.alive:
            _idle.put(worker)


def call_together(ranks: int, doing: str, function: Callable[..., Any], *arguments: object, say: Say) -> Any:
    """The same in several workers at once, the ranks of one training (see `models.devices`); what the first returns.

    When one fails the others have some seconds to end by themselves, and raised is what the first to fail says.
    """
    if ranks == 1:
        return call(doing, function, *arguments, say=say)
    workers = [_taken() for _ in range(ranks)]
    with TemporaryDirectory() as folder, ThreadPoolExecutor(ranks) as threads:
        tells = [say, *[unheard] * (ranks - 1)]
        calls = [
            partial(worker.call, doing, _as_rank, _place(rank, ranks, folder), function, *arguments, say=tells[rank])
            for rank, worker in enumerate(workers)
        ]
        work = [threads.submit(copy_context().run, each) for each in calls]
        try:
            if any(one.exception() for one in wait_for(work, return_when=FIRST_EXCEPTION).done):
                wait_for(work, GRACE_S)
            ended = [one for one in work if one.done()]
        finally:
            for worker in workers:
                worker.end()  # not for others, since torch remembers which rank a process was
    return _of_all(ended)


def _of_all(work: "list[Future[Any]]") -> Any:
    """What the first rank returns. Raises what a rank failed of, and not what it then meant to the others."""
    faults = [fault for done in work if (fault := done.exception())]
    for fault in sorted(faults, key=lambda fault: isinstance(fault, PartnerLostError)):
        raise fault
    return work[0].result()


def _place(rank: int, ranks: int, folder: str) -> dict[str, str]:
    """What torchrun would tell a rank; they are all on this machine, so nobody else hears what they say."""
    told = dict(zip(LAUNCHERS["torchrun"], map(str, (rank, ranks, rank)), strict=True))
    local = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "")
    return told | {STORE: f"{folder}/ranks"} | ({"GLOO_SOCKET_IFNAME": local} if local else {})


def _as_rank(place: dict[str, str], function: Callable[..., Any], *arguments: Any) -> Any:
    from models.devices import leave

    os.environ.update(place)
    try:
        return function(*arguments)
    finally:
        leave()


def end_all() -> None:
    """Ends every worker in the middle of what it does, as when a run is interrupted."""
    for worker in list(_all):
        worker.end()


def _taken() -> Worker:
    with suppress(Empty):
        while True:
            worker = _idle.get_nowait()
            if worker.alive:
                return worker
    return _started()


def _started() -> Worker:
    worker = Worker()
    _all.add(worker)
    return worker


def _serve(pipe: Connection, stop: Connection) -> None:
    """A worker's life: one call after another until the other end is gone, and imports while there is none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which then calls `end_all`
    threading.Thread(target=_end_with_parent, daemon=True).start()
    needed = list(NEEDED)

    def say(text: str) -> None:
        if stop.poll():
            raise StoppedError("it was stopped by who watched it")
        pipe.send(("says", text))

    with suppress(EOFError, ConnectionError):  # the run is gone, perhaps in the middle of the work
        while True:
            if needed and not pipe.poll():
                with suppress(ImportError):
                    importlib.import_module(needed.pop(0))
            else:
                doing, function, arguments = pipe.recv()
                while stop.poll():  # what was meant for the work before
                    stop.recv()
                outcome = _outcome(doing, function, arguments, say)
                try:
                    pipe.send(outcome)
                except (PicklingError, TypeError, AttributeError) as error:
                    pipe.send(("failed", told(error, doing=doing)))


def _outcome(doing: str, function: Callable[..., Any], arguments: tuple[object, ...], say: Say) -> tuple[str, Any]:
    try:
        return "did", function(*arguments, say)
    except (MedloopError, ConnectionError, TimeoutError) as error:
        return "failed", error
    except Exception as error:
        return "failed", told(error, doing=doing)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)  # a training first leaves a checkpoint
    time.sleep(GRACE_S)
    os._exit(1)

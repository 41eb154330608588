"""Processes by their number: when one started, whether it is gone, and how it and its children are ended."""

import os
import signal
import time
from contextlib import suppress

CLOCK_SLACK_S = 2.0  # a process's start is told by the wall clock, which may be set anew


def end(pid: int, patience_s: float = 10) -> None:
    """Asks the server's group to end, then insists."""
    deadline = time.monotonic() + patience_s
    try:
        os.killpg(pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            reap(pid)
            os.killpg(pid, 0)
            time.sleep(0.05)
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def reap(pid: int) -> None:
    """Clears a dead child of this process, which would otherwise still look alive."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def started(pid: int) -> float | None:
    """When a process started, in seconds since 1970; None for one that is gone or dead and not yet cleared."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None


def is_same(pid: int, since: float) -> bool:
    """Whether the process that bears this number lives, and is the one that started then."""
    began = started(pid)
    return began is not None and abs(began - since) < CLOCK_SLACK_S


def ran(pid: int, then: float) -> bool:
    """Whether the process that bears this number now ran at that time, as far as can be told."""
    import psutil

    try:
        return bool(psutil.Process(pid).create_time() <= then + CLOCK_SLACK_S)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True

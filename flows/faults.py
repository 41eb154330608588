"""Faults told without a traceback and without values, wherever they come from."""

import errno
import os
import sqlite3
import traceback
from pathlib import Path

from contracts.errors import MedloopError

FULL = "make room (`medloop gc` says what may go), then give the same command again: it goes on after what is finished"
OURS = ("contracts", "flows", "pipelines", "models")


def told(error: Exception, *, doing: str) -> MedloopError:
    """The error as a user may see it.

    A fault in data or settings says all itself. Anything else is a bug of ours or of a library: its message may hold
    a patient's value, so only its type and place are told, unless MEDLOOP_DEBUG is set.
    """
    if isinstance(error, MedloopError):
        return error
    if os.environ.get("MEDLOOP_DEBUG"):
        traceback.print_exception(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = next((f for f in reversed(frames) if _ours(f.filename)), frames[-1])
    if isinstance(error, OSError) and error.strerror:
        mend = FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else "check the disk and the rights"
        return MedloopError(f"{error.strerror}", where=f"{error.filename or doing}", mend=mend)
    if isinstance(error, sqlite3.OperationalError):  # of a database of DVC's, which says no more than "disk I/O error"
        mend = "check the disk, the rights, and what else holds it"
        return MedloopError(f"a database cannot be used: {error}", where=doing, mend=mend)
    return MedloopError(
        f"{doing} met an unexpected {type(error).__name__}",
        where=f"{Path(place.filename).name}, line {place.lineno}",
        mend="set MEDLOOP_DEBUG=1 to see all of it (it may show patients' values), and report it",
    )


def interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind it: pydantic makes an error of its own of one that falls into its work."""
    while error and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _ours(filename: str) -> bool:
    return any(part in OURS for part in Path(filename).parts) and "site-packages" not in filename

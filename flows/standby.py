"""What is done where Prefect cannot be had: it only shows runs, and must not stop one."""

from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from flows.home import home

LIMIT_S = 10
BROKEN = ".broken"


def answers(api: str) -> bool:
    """Whether a team's Prefect is there; one that asks for a password first is."""
    try:
        with urlopen(f"{api.rstrip('/')}/health", timeout=LIMIT_S):
            return True
    except HTTPError as error:
        return error.code < 500
    except (OSError, ValueError, HTTPException):
        return False


def set_aside_database(root: Path) -> bool:
    """Moves the local Prefect's database away, over one moved before, so that it starts with an empty one.

    False where there is none.
    """
    found = [path for path in (home(root) / "prefect").glob("prefect.db*") if path.suffix != BROKEN]
    for path in found:
        path.replace(path.with_name(path.name + BROKEN))
    return bool(found)

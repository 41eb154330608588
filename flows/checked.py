"""Settings that were checked and did not change since need no second check: that takes importing every step."""

from collections.abc import Collection
from pathlib import Path

from contracts.errors import MedloopError
from flows.home import home
from flows.store import read_json, write_json
from flows.studies import study_files

NOTE = "checked.json"


def is_current(root: Path, studies: Collection[str]) -> bool:
    """Whether the settings are, by time and size, those that were checked, and no study's data must be looked at."""
    try:
        note = read_json(home(root) / NOTE)
        return bool(note["files"] == _stamps(root)) and not set(note["remote"]) & set(studies)
    except (MedloopError, KeyError, TypeError):  # no note, or one of another version: then look
        return False


def remember(root: Path, remote: Collection[str]) -> None:
    """All settings are right. `remote`: the studies whose data lie where only a look tells whether they are new."""
    write_json(home(root) / NOTE, {"files": _stamps(root), "remote": sorted(remote)})


def _stamps(root: Path) -> dict[str, list[int]]:
    files = [*root.glob("[!.]*.yaml"), *study_files(root)]
    return {str(path): [path.stat().st_mtime_ns, path.stat().st_size] for path in files}

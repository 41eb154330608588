"""What a process that was killed leaves of DVC's own: files that are not in their place yet, and its reservations."""

import json
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from flows.workspace.repository import repository


def clear_leftovers(root: Path, pids: Collection[int]) -> None:
    """Removes drafts from DVC's cache, and what processes of these numbers, which are gone, say they read and write.

    A later process may have one of these numbers, and DVC would wait for it.
    """
    with repository(root) as repo:
        cache = Path(repo.cache.local_cache_dir)
        for draft in cache.rglob("*.tmp"):
            draft.unlink()
        for folder in cache.glob("runs/*/*"):  # DVC fails where one is empty
            with suppress(OSError):
                folder.rmdir()
        reserved = Path(repo.tmp_dir) / "rwlock"
        if reserved.is_file():
            reserved.write_text(json.dumps(_without(reserved.read_text(encoding="utf-8"), pids)), encoding="utf-8")


def _without(told: str, pids: Collection[int]) -> dict[str, Any]:
    """DVC's rwlock: by path, the processes that read it, and the one that writes it."""
    held = json.loads(told)
    read = {path: [one for one in those if one["pid"] not in pids] for path, those in held.get("read", {}).items()}
    write = {path: one for path, one in held.get("write", {}).items() if one["pid"] not in pids}
    return {"read": {path: those for path, those in read.items() if those}, "write": write}

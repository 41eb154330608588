"""What a process that was killed leaves in DVC's cache: files that are not in their place yet."""

from contextlib import suppress
from pathlib import Path

from flows.workspace.repository import repository


def clear_leftovers(root: Path) -> None:
    """Removes drafts from DVC's cache. The workspace must be held (`journal.sole_run`)."""
    with repository(root) as repo:
        cache = Path(repo.cache.local_cache_dir)
        for draft in cache.rglob("*.tmp"):
            draft.unlink()
        for folder in cache.glob("runs/*/*"):  # DVC fails where one is empty
            with suppress(OSError):
                folder.rmdir()

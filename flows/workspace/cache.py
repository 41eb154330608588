"""Where DVC's cache lies, and holding it still."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from flows.workspace.repository import opened, repository


def objects(root: Path) -> Path:
    """The folder of the cache's objects. Asked without DVC's lock, so that a run under way is no hindrance.

    Raises MedloopError where DVC cannot open the workspace.
    """
    with opened(root) as repo:
        return Path(repo.cache.local.path)


@contextlib.contextmanager
def holding_cache(root: Path) -> Iterator[Path | None]:
    """The folder of the cache, in which DVC in any other process changes nothing while the block runs.

    None where it lies outside the workspace, so that nobody here can tell who else needs it.
    """
    with repository(root) as repo:
        folder = Path(repo.cache.local.path).parents[1]
        yield folder if folder.resolve().is_relative_to((root / ".dvc").resolve()) else None

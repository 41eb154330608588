"""Room on the disk: what a run will need, asked before it begins."""

import os
import re
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from contracts.errors import MedloopError
from flows import lockfile
from flows.home import home
from flows.plan import Stage

FLOOR = 512 << 20  # bytes that a run must find beside what its stages write: records, databases, scratch files
COPIES = 2  # a stage's outputs lie in the workspace and in DVC's cache
FEWEST_FILES = 10_000


def told(size: float) -> str:
    """`1.4 GiB`, in the unit that fits."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def needed(root: Path, stages: Collection[str] | None = None) -> int:
    """The bytes that a run of these stages takes, or of all: what they wrote last time, and a floor."""
    entries = lockfile.read(root).entries or {}
    wrote = (text.partition("    outs:")[2] for name, text in entries.items() if stages is None or name in stages)
    return FLOOR + COPIES * sum(int(size) for text in wrote for size in re.findall(r"^\s+size: (\d+)$", text, re.M))


def free(path: Path) -> int:
    """The bytes that may still be written below a folder, which need not be there yet."""
    return shutil.disk_usage(_existing(path)).free


def files_left(path: Path) -> int | None:
    """How many files may still be made below a folder; None where the file system sets no limit."""
    found = os.statvfs(_existing(path))
    return found.f_favail if found.f_files else None


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def require(root: Path, plan: Sequence[Stage]) -> None:
    """Raises MedloopError where a run of these stages would fill the disk: better before hours of work than after."""
    wanted = needed(root, {stage.name for stage in plan if stage.stale})
    for folder in (root, home(root)):
        if free(folder) < wanted:
            raise MedloopError(
                f"the run needs about {told(wanted)} on the disk, and {told(free(folder))} are free",
                where=str(folder),
                mend="medloop gc tells what may go, medloop gc --yes removes it; or free the disk otherwise",
            )

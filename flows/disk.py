"""Room on the disk: what a run will need, asked before it begins."""

import os
import re
import shutil
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from contracts.errors import MedloopError
from flows import lockfile
from flows.home import home
from flows.plan import Stage

FLOOR = 512 << 20  # bytes that a run must find beside what its stages write: records, databases, scratch files
COPIES = 2  # a stage's outputs lie in the workspace and in DVC's cache
FEWEST_FILES = 10_000


def told(number: float) -> str:
    """`1.4 GiB`, in the unit that fits."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "bytes" or number >= 100 else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def size(path: Path) -> int:
    """The bytes of a file, or of all files below a folder; a link counts as itself."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir() or file.is_symlink())


def remove(paths: Iterable[Path]) -> None:
    """Files, and folders with all that is in them; of a link only itself."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def needed(root: Path, stages: Collection[str] | None = None) -> int:
    """The bytes that a run of these stages takes, or of all: what they wrote last time, and a floor."""
    entries = lockfile.read(root).entries or {}
    wrote = (text.partition("    outs:")[2] for name, text in entries.items() if stages is None or name in stages)
    return FLOOR + COPIES * sum(int(number) for text in wrote for number in re.findall(r"^\s+size: (\d+)$", text, re.M))


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

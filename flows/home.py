"""Where things lie: the workspace (the Git repository) and what medloop keeps on this machine."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from contracts.errors import MedloopError

STAGES = "dvc.yaml"


def find_root(start: Path | None = None) -> Path:
    """The workspace: the nearest folder upwards that holds dvc.yaml and params.yaml.

    Raises MedloopError when there is none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / STAGES).is_file() and (folder / "params.yaml").is_file():
            return folder
    raise MedloopError(
        "this is not a medloop workspace: no folder upwards holds dvc.yaml and params.yaml",
        where=str(here),
        mend="change to your clone of the repository",
    )


def home(root: Path) -> Path:
    """The folder for databases, journals and fetched sources; MEDLOOP_HOME moves it, counted from the workspace."""
    moved = os.environ.get("MEDLOOP_HOME")
    return (root / moved).resolve() if moved else root / ".medloop"


def sources(root: Path) -> Path:
    """Fetched sources, each in a folder named by its hash."""
    return home(root) / "sources"


def failures(root: Path) -> Path:
    """What a stage that failed has to show; its outputs are put back as they were before."""
    return home(root) / "failures"


def checkpoints(root: Path) -> Path:
    """Checkpoints of trainings under way; outside a stage's outputs, which DVC deletes before a run."""
    return home(root) / "checkpoints"


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """A folder that is gone after the block; one that a killed process left goes when the next is made."""
    import psutil

    place = home(root) / "scratch"
    place.mkdir(parents=True, exist_ok=True)
    for left in place.iterdir():
        if not psutil.pid_exists(int(left.name.partition("-")[0])):
            shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(dir=place, prefix=f"{os.getpid()}-") as folder:
        yield Path(folder)


def data_folder(root: Path, study: str, stage: str) -> Path:
    """Where a stage of a study keeps its outputs: `data/STUDY/STAGE`, as dvc.yaml has it."""
    return root / "data" / study / stage


def set_aside(root: Path) -> Path:
    """What a sweep under way will put back; in the workspace, whose Git ignores it."""
    return root / ".dvc" / "tmp" / "sweeps"

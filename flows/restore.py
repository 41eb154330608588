"""A study tried with other settings and put back as it was, even when the process dies meanwhile."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from contracts.errors import MedloopError
from flows import console, index, lockfile, workspace
from flows.home import home, set_aside
from flows.store import write_text
from flows.studies import study_file


@contextmanager
def as_before(root: Path, study: str) -> Iterator[None]:
    """Puts the study's file, `dvc.lock` and the data back at the end, or, after a crash, at the next start."""
    put_back(root)
    for path in (study_file(root, study), root / lockfile.NAME):
        if path.is_file():
            kept = set_aside(root) / study / path.relative_to(root)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, kept)
    try:
        yield
    finally:
        put_back(root, cut_short=False)


def put_back(root: Path, *, cut_short: bool = True) -> None:
    """What a sweep that is over has changed; of one that was cut short, also what a person may have changed since.

    A study's file that is replaced then is kept in medloop's home, since nobody can tell whose words it holds.
    """
    for folder in set_aside(root).glob("*"):
        if cut_short:
            _keep_own(root, folder)
        for kept in folder.rglob("*"):
            if kept.is_file():
                write_text(root / kept.relative_to(folder), kept.read_text(encoding="utf-8"))
        index.refresh(root, [])
        for stage in workspace.plan(root, [folder.name]):
            with suppress(MedloopError, FileNotFoundError):  # the latter where what it reads never was there
                workspace.bring_up_to_date(root, stage.name, _leave_stale)
    shutil.rmtree(set_aside(root), ignore_errors=True)


def _keep_own(root: Path, folder: Path) -> None:
    own, before = study_file(root, folder.name), folder / study_file(root, folder.name).relative_to(root)
    told = f"a sweep, folds or a search was cut short: {folder.name} is put back as it was before"
    if own.is_file() and before.is_file() and own.read_bytes() != before.read_bytes():
        copy = home(root) / "replaced" / own.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(own, copy)
        told += f"; what stood in {own.relative_to(root)} is kept in {copy}"
    console.warn(told)


def _leave_stale() -> None:
    raise MedloopError("what the cache does not hold stays stale, as it was")

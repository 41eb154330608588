"""Fault 41 by the real command: a disk that takes no more, that fails, that cannot be written to."""

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from flows import faults
from tests.func.conftest import Outcome
from tests.workspace import MEDLOOP, Workspace, patients, run

Medloop = Callable[..., Outcome]


def kept(workspace: Workspace) -> dict[str, bytes]:
    """The outputs of every stage, and what DVC says of them."""
    files = [path for path in workspace.data().rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in [*files, workspace.root / "dvc.lock"]}


def unfinished(workspace: Workspace) -> list[Path]:
    return [path for path in workspace.root.rglob(".*.tmp") if ".dvc/cache" not in str(path)]


def test_41_a_run_whose_disk_takes_no_more_leaves_what_was_there(copy: Workspace, medloop: Medloop) -> None:
    assert medloop(copy, "status", "tiny").code == 0  # DVC's own databases of a new workspace are larger still
    copy.write_data(patients(40_000))
    before = kept(copy)
    limited = f"ulimit -f 256; exec {MEDLOOP} run tiny"  # KiB: the new table is larger, the files of before are not
    told = run(["bash", "-c", limited], copy.root)
    assert told.returncode == 1, told.stdout + told.stderr
    assert "File too large" in told.stderr and "check the disk" in told.stderr, told.stdout + told.stderr
    assert "Traceback" not in told.stderr
    assert kept(copy) == before
    assert not unfinished(copy)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_41_a_disk_that_fails_is_told_with_the_file(
    number: int, copy: Workspace, medloop: Medloop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = kept(copy)

    def failing(_: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        told = medloop(copy, "stage", "normalize", "tiny")
    assert told.code == 1 and os.strerror(number) in told.text, told.text
    assert kept(copy) == before
    assert not unfinished(copy)


def test_41_a_database_on_such_a_disk_is_told_without_a_traceback() -> None:
    with pytest.raises(sqlite3.OperationalError) as unable:
        sqlite3.connect("/sys/medloop.db")
    fault = faults.told(unable.value, doing="medloop")
    assert fault.problem == "a database cannot be used: unable to open database file" and "check the disk" in fault.mend


def test_41_a_home_that_cannot_be_written_to_is_told(
    copy: Workspace, medloop: Medloop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOOP_HOME", "/sys/medloop")  # where root may not write either
    told = medloop(copy, "run", "tiny")
    assert told.code == 1 and "/sys/medloop" in told.text and "check the disk and the rights" in told.text, told.text

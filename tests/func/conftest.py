import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.workspace import Workspace, make_workspace


@dataclass(frozen=True)
class Outcome:
    """What a command printed, on both streams, and its exit code."""

    code: int
    printed: str

    @property
    def text(self) -> str:
        return " ".join(self.printed.split())


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One home, so one Prefect server and one MLflow database, for all the tests; the server is ended at the end."""
    home = tmp_path_factory.mktemp("home")
    patch = pytest.MonkeyPatch()
    patch.setenv("MEDLOOP_HOME", str(home))
    yield home
    from flows import servers

    servers.stop(home)
    patch.undo()


@pytest.fixture
def workspace(tmp_path: Path, servers: Path) -> Workspace:
    return make_workspace(tmp_path / "workspace")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, servers: Path) -> Workspace:
    """A workspace after one whole `medloop run tiny`; tests may look, not touch."""
    made = make_workspace(tmp_path_factory.mktemp("finished") / "workspace")
    result = made.medloop("run", "tiny")
    assert result.returncode == 0, result.stdout + result.stderr
    return replace(made, key=result.stdout.split("\nrun ")[1].split()[0])


@pytest.fixture
def copy(finished: Workspace, tmp_path: Path) -> Workspace:
    """The finished workspace, to be changed."""
    shutil.copytree(finished.root, tmp_path / "copy", symlinks=True)
    return Workspace(tmp_path / "copy")


@pytest.fixture
def medloop(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """The command's own entry point, in this process, where the heavy imports are paid once."""
    from flows import console
    from flows.cli import main

    for each in (console.console, console.errors):
        monkeypatch.setattr(each, "width", 400)

    def call(workspace: Workspace, *arguments: str) -> Outcome:
        monkeypatch.chdir(workspace.root)
        monkeypatch.setenv("COLUMNS", "400")
        monkeypatch.setattr(sys, "argv", ["medloop", *arguments])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        told = capsys.readouterr()
        assert "Traceback" not in told.out + told.err
        return Outcome(code, told.out + told.err)

    return call

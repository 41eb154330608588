from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workspace import Workspace, make_workspace


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
    return made

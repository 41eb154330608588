"""The board as MLflow's server finds it, and what `medloop ui` says where it does not."""

import importlib
import tomllib
from pathlib import Path
from types import FunctionType

import pytest

from contracts.errors import MedloopError
from flows import board, commands, servers
from flows.board import exposure
from tests.workspace import REPOSITORY


def test_the_plug_ins_are_functions_that_mlflow_can_call() -> None:
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    plugins = declared["project"]["entry-points"]["mlflow.app"]
    assert set(plugins) == {board.APP, board.GUARDED_APP}
    for value in plugins.values():
        module, _, name = value.partition(":")
        assert isinstance(getattr(importlib.import_module(module), name), FunctionType)


def test_every_page_and_its_looks_are_installed_with_the_package() -> None:
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]
    folder = REPOSITORY / "flows" / "board"
    shipped = {path for pattern in declared["package-data"]["flows.board"] for path in folder.glob(pattern)}
    assert shipped == {path for path in folder.rglob("*.*") if path.is_file() and path.suffix not in (".py", ".pyc")}


@pytest.mark.parametrize("installed", [True, False])
def test_mlflow_is_started_with_the_board_where_it_is_installed(
    installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "installed", lambda: installed)
    command = " ".join(servers._command(tmp_path, "mlflow", 5000))
    assert ("--app-name medloop" in command) == installed
    assert "--app-name" not in servers._command(tmp_path, "prefect", 4200)


def test_nobody_else_sees_the_pages_without_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (exposure.SECRET, exposure.PASSWORD, exposure.CONFIG):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(exposure, "find_spec", lambda _: object())
    assert {exposure.check(host, tmp_path) for host in ("127.0.0.1", "localhost", "::1")} == {"127.0.0.1"}
    with pytest.raises(MedloopError, match="no address"):
        exposure.check("example.org", tmp_path)
    for name in (exposure.SECRET, exposure.PASSWORD):
        with pytest.raises(MedloopError, match=f"without a password at '0.0.0.0': .*{name}"):
            exposure.check("0.0.0.0", tmp_path)
        monkeypatch.setenv(name, "a long secret")
    assert exposure.check("0.0.0.0", tmp_path) == "0.0.0.0"
    monkeypatch.setattr(exposure, "find_spec", lambda _: None)
    with pytest.raises(MedloopError, match=r"mlflow\[auth\] is not installed"):
        exposure.check("10.0.0.5", tmp_path)


def test_an_older_installation_is_told_how_to_have_the_board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(servers, "address", lambda *_: "http://127.0.0.1:5000")
    monkeypatch.setattr(board, "installed", lambda: True)
    assert commands._pages(tmp_path)["board"] == "http://127.0.0.1:5000/board/"
    monkeypatch.setattr(board, "installed", lambda: False)
    assert "board" not in commands._pages(tmp_path)
    told = capsys.readouterr()
    assert "pip install -e ." in " ".join((told.out + told.err).split())

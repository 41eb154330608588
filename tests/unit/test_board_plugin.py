"""The board as MLflow's server finds it, and what `medloop ui` says where it does not."""

import importlib
import tomllib
from pathlib import Path
from types import FunctionType

import pytest

from flows import board, commands, servers
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

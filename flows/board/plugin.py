"""What `mlflow server --app-name medloop` opens: MLflow's pages, and the board's beside them. Imports mlflow."""

import os
from pathlib import Path
from typing import Any

from contracts.errors import MedloopError
from flows.board import ROOT
from flows.board.app import mount
from flows.board.server import Board
from flows.home import find_root


def create_app(app: Any = None) -> Any:
    """MLflow's application with the board at /board/; the entry point `medloop` of `mlflow.app`."""
    from mlflow.server import app as mlflow_app
    from mlflow.server.fastapi_app import create_fastapi_app

    whole = _with_board(app or mlflow_app, guarded=False)
    return create_fastapi_app(whole) if _asynchronous() else whole


def create_guarded_app(app: Any = None) -> Any:
    """The same behind MLflow's own authentication; the entry point `medloop-auth`. It needs mlflow[auth]."""
    from mlflow.server import app as mlflow_app
    from mlflow.server.auth import create_app as guarded

    return guarded(_with_board(app or mlflow_app, guarded=True))


def _with_board(app: Any, *, guarded: bool) -> Any:
    from mlflow.server.constants import BACKEND_STORE_URI_ENV_VAR
    from mlflow.server.handlers import STATIC_PREFIX_ENV_VAR

    uri, prefix = os.environ[BACKEND_STORE_URI_ENV_VAR], os.environ.get(STATIC_PREFIX_ENV_VAR, "").rstrip("/")
    return mount(Board(root=_root(), uri=uri, mlflow=app, prefix=prefix, guarded=guarded))


def _asynchronous() -> bool:
    from mlflow.environment_variables import _MLFLOW_SGI_NAME

    return bool(_MLFLOW_SGI_NAME.get() == "uvicorn")


def _root() -> Path | None:
    told = os.environ.get(ROOT)
    try:
        return find_root(Path(told) if told else None)
    except MedloopError:
        return None

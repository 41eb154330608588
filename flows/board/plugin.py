"""What `mlflow server --app-name medloop` opens: MLflow's pages, and the board's beside them. Imports mlflow."""

import os
from pathlib import Path
from typing import Any

from contracts.errors import MedloopError
from flows.board import ROOT
from flows.board.app import Board, blueprint
from flows.home import find_root


def create_app(app: Any = None) -> Any:
    """MLflow's application with the board at /board/; the entry point `medloop` of `mlflow.app`."""
    from mlflow.server import app as mlflow_app
    from mlflow.server.fastapi_app import create_fastapi_app

    whole = with_board(app or mlflow_app, guarded=False)
    return create_fastapi_app(whole) if _asynchronous() else whole


def create_guarded_app(app: Any = None) -> Any:
    """The same behind MLflow's own authentication; the entry point `medloop-auth`. It needs mlflow[auth]."""
    from mlflow.server import app as mlflow_app
    from mlflow.server.auth import create_app as guarded

    return guarded(with_board(app or mlflow_app, guarded=True))


def with_board(app: Any, *, guarded: bool) -> Any:
    """MLflow's Flask application with the board's pages."""
    from mlflow.server.constants import BACKEND_STORE_URI_ENV_VAR
    from mlflow.server.handlers import STATIC_PREFIX_ENV_VAR

    board = Board(
        root=_root(),
        uri=os.environ[BACKEND_STORE_URI_ENV_VAR],
        prefix=os.environ.get(STATIC_PREFIX_ENV_VAR, "").rstrip("/"),
        guarded=guarded,
    )
    app.register_blueprint(blueprint(board))
    return app


def _asynchronous() -> bool:
    from mlflow.environment_variables import _MLFLOW_SGI_NAME

    return bool(_MLFLOW_SGI_NAME.get() == "uvicorn")


def _root() -> Path | None:
    told = os.environ.get(ROOT)
    try:
        return find_root(Path(told) if told else None)
    except MedloopError:
        return None

"""The experiment board: pages of runs, one run, a study, in MLflow's own server. It reads MLflow's tables itself."""

APP, GUARDED_APP = "medloop", "medloop-auth"  # names of the plug-ins, for `mlflow server --app-name`
ROOT = "MEDLOOP_ROOT"  # the workspace, handed on by the one who starts the server
PATH = "/board/"


def installed() -> bool:
    """Whether this installation offers the board to MLflow's server; one made before there was a board does not."""
    from importlib.metadata import entry_points

    return bool(entry_points(group="mlflow.app", name=APP))


def link(what: str, name: str) -> str:
    """A link to a page of the board, in the Markdown of MLflow's descriptions: `run` or `study`, and its name."""
    from urllib.parse import quote

    return f"[On the board]({PATH}{what}/{quote(name)})"

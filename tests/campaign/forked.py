"""The command in a process forked from this one, which has imported all that it needs: a third of the time.

Reads a line of arguments, answers with the process's number, and with its exit code once it has ended.
"""

import os
import sys
from pathlib import Path

NEEDED = (
    *("pandas", "pyarrow.parquet", "great_expectations", "sklearn.linear_model", "sklearn.ensemble", "scipy.stats"),
    *("dvc.repo", "dvc.repo.reproduce", "dvc.stage.cache", "mlflow", "mlflow.models", "plotly.graph_objects"),
    *("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"),
    *("flows.pipeline", "flows.record", "flows.stages", "flows.commands"),
)


def main() -> None:
    from importlib import import_module

    from flows import servers

    root, output = Path.cwd(), sys.argv[1]
    servers.prepare_environment(root)
    server = servers.ensure(root, "prefect")
    os.environ["PREFECT_API_URL"] = os.environ[servers.OUR_PREFECT] = f"{server.address}/api"
    for name in NEEDED:
        import_module(name)
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _be_the_command(line.split(), root, output)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _be_the_command(arguments: list[str], root: Path, output: str) -> None:
    """Does not return."""
    from flows.cli import main as command

    os.setsid()
    os.chdir(root)  # made anew since, under the same name
    for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)):
        os.dup2(os.open(path, flags, 0o644), number)
    os.dup2(1, 2)
    sys.argv = ["medloop", *arguments]
    command()
    sys.exit(0)


if __name__ == "__main__":
    main()

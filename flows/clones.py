"""A clean clone of the workspace at a past revision, with this machine's cache; the working tree stays as it is."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from contracts.errors import MedloopError
from flows import home as homes
from flows import workspace
from flows.environment import LOCK
from flows.git import git
from flows.pseudonyms import key_file

# Runs the stages it is told of, one after another, so that libraries are imported once; it ends when nobody tells it
# any more, in the midst of a stage too. Of a fault that is not medloop's own only the type is told: it may hold values.
STAGES = """
import json, os, queue, signal, sys, threading

told = queue.Queue()

def listen():
    for line in sys.stdin:
        told.put(json.loads(line))
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=listen, daemon=True).start()
from contracts.errors import MedloopError
from flows.cli import app

while True:
    fault = None
    try:
        app(["stage", *told.get()], standalone_mode=False)
    except Exception as error:
        fault = str(error) if isinstance(error, MedloopError) else "an unexpected " + type(error).__name__
    print(json.dumps({"fault": fault}), flush=True)
"""


@contextmanager
def clone_at(root: Path, revision: str) -> Iterator[Path]:
    """The workspace as it was pinned, in a folder of its own that is gone afterwards.

    It shares this workspace's DVC cache, remotes, fetched sources and pseudonyms' key, and nothing else.
    """
    folder = homes.home(root) / "clones" / f"{revision[:12]}-{os.getpid()}"
    _remove_abandoned(folder.parent)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        whole = git(root, "rev-parse", "--show-toplevel")
        git(root, "clone", "--quiet", "--shared", "--no-checkout", whole, str(folder))
        git(folder, "checkout", "--quiet", "--detach", revision)
        clone = folder / git(root, "rev-parse", "--show-prefix")
        workspace.share_cache(root, clone)
        _share_home(root, clone)
        yield clone
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _share_home(root: Path, clone: Path) -> None:
    own = clone / ".medloop"
    own.mkdir(exist_ok=True)
    homes.sources(root).mkdir(parents=True, exist_ok=True)
    (own / "sources").symlink_to(homes.sources(root))
    if key_file(root).is_file():
        (own / key_file(root).name).symlink_to(key_file(root))


def _remove_abandoned(folder: Path) -> None:
    """Clones of processes that are gone."""
    import psutil

    for clone in folder.glob("*-*"):
        if not psutil.pid_exists(int(clone.name.rpartition("-")[2])):
            shutil.rmtree(clone, ignore_errors=True)


@contextmanager
def stages_of(clone: Path, python: str) -> Iterator[Callable[[Sequence[str]], None]]:
    """Runs stages, given as on the command line, by the clone's own code in a process of its own.

    The function raises MedloopError with what went wrong when a stage fails.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("MEDLOOP_HOME", "PYTHONPATH")}
    pipe = subprocess.PIPE
    child = subprocess.Popen(
        [python, "-c", STAGES], cwd=clone, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield partial(_run, child)
    finally:
        child.kill()
        child.communicate()


def _run(child: "subprocess.Popen[str]", arguments: Sequence[str]) -> None:
    assert child.stdin and child.stdout
    with suppress(BrokenPipeError):
        child.stdin.write(json.dumps(list(arguments)) + "\n")
        child.stdin.flush()
    fault: str | None = "its process ended"
    for line in child.stdout:
        if line.startswith('{"fault": '):
            fault = json.loads(line)["fault"]
            break
    if fault:
        raise MedloopError(f"stage {' '.join(arguments)} failed when it was run again: {fault}")


def own_environment(clone: Path) -> str:
    """A virtual environment of exactly the packages that the clone's lock pins; its Python.

    Raises MedloopError when there is no lock or it cannot be installed.
    """
    if not (clone / LOCK).is_file():
        raise MedloopError(f"that revision has no {LOCK}", where=str(clone), mend="leave --env away")
    folder = clone / ".venv"
    python = folder / "bin" / "python"
    uv = shutil.which("uv")
    make = [uv, "venv", "--quiet", "--python", sys.executable] if uv else [sys.executable, "-m", "venv"]
    install = (
        [uv, "pip", "install", "--quiet", "--python", str(python)]
        if uv
        else [str(python), "-m", "pip", "install", "-q"]
    )
    links = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS")
    environment = {**os.environ, **({"UV_FIND_LINKS": links} if links else {})}
    for command in ([*make, str(folder)], [*install, "-r", LOCK]):
        done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise MedloopError(
                f"the run's environment could not be installed: {said[-1] if said else 'no reason was given'}",
                where=LOCK,
                mend="leave --env away to run it with the packages that are here",
            )
    return str(python)

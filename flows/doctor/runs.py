"""Runs that say they go on, processes that nobody waits for, locks and files that a killed run left."""

import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from contracts.errors import listed
from flows import databases, disk, journal, processes, servers, tracking
from flows.doctor.finding import Asked, Finding, fault, note, well
from flows.home import home
from flows.promotion import HISTORY
from flows.workspace.repository import holders

MEND = "medloop doctor --mend; the next run does so too"


def check(root: Path, asked: Asked) -> Iterator[Finding]:
    """All of it. While a run goes on, nothing is said of what only looks abandoned."""
    holder = journal.holder(root, "run")
    if holder:
        yield well("runs", f"process {holder} holds the workspace for a run")
    else:
        yield journals(root)
    yield orphans(root)
    yield locks(root)
    yield leftovers(root)


def journals(root: Path) -> Finding:
    """Runs whose journal says running, though nobody holds the workspace."""
    found = list(journal.all_journals(root))
    going = [run.key for run in found if run.state == "running"]
    if going:
        found_says = f"{listed(going, 3)} still counts as running, and no process runs it"
        return fault("runs", found_says, "runs that ended, as their journals say", MEND, partial(_reconcile, root))
    if damaged := journal.damaged(root):
        found_says, mend = f"damaged, and passed over: {listed(damaged, 3)}", "medloop doctor --mend sets them aside"
        return fault("runs", found_says, "journals as they were written", mend, partial(_set_aside, damaged))
    failed = next((run for run in found[:1] if run.state in ("failed", "crashed")), None)
    if failed:
        said = (failed.error or "").splitlines()[:1]
        return note(
            "runs", f"the newest, {failed.key}, {failed.state}: {''.join(said)}", "medloop run goes on from there"
        )
    return well("runs", f"{len(found)}, none left open")


def _set_aside(damaged: Sequence[Path]) -> str:
    for path in damaged:
        path.rename(f"{path}.damaged")
    return f"{listed(damaged, 3)} set aside as .damaged; Git and MLflow know their runs, which can be reproduced"


def _reconcile(root: Path) -> str:
    with journal.sole_run(root):
        return f"{len(journal.reconcile(root))} runs count as crashed"


def in_mlflow(root: Path, mlflow: Any) -> Finding:
    """Runs of this workspace that MLflow shows as running; only a run that is being recorded is, for seconds."""
    ours = {run.key for run in journal.all_journals(root)}
    everywhere = [each.experiment_id for each in mlflow.search_experiments()]
    found = mlflow.search_runs(everywhere, "attributes.status = 'RUNNING'")
    open_still = [run.info.run_id for run in found if run.data.tags.get("medloop.run") in ours]
    if not open_still:
        return well("in MLflow", "no run is left open")
    found_says = f"{len(open_still)} runs are shown as running, and no process runs them: {listed(open_still, 2)}"
    return fault(
        "in MLflow", found_says, "runs that ended", "medloop doctor --mend", partial(_kill, mlflow, open_still)
    )


def _kill(mlflow: Any, runs: Sequence[str]) -> str:
    for run in runs:
        mlflow.set_terminated(run, "KILLED")
    return f"{len(runs)} runs are shown as killed in MLflow"


def untold(root: Path, mlflow: Any) -> Finding:
    """Runs that MLflow does not know: it is another server by now, or its database began anew."""
    from flows.retelling import unknown

    if not (keys := [run.key for run in unknown(root, mlflow)]):
        return well("told", "MLflow knows every recorded run")
    mend = "medloop doctor --mend tells it, out of Git and DVC's cache"
    return note("told", f"{len(keys)} runs are unknown to MLflow: {listed(keys, 3)}", mend, partial(_tell, root))


def _tell(root: Path) -> str:
    from flows.retelling import tell_again

    with journal.sole_run(root):
        return f"{tell_again(root)} runs are told to MLflow"


def in_prefect(root: Path) -> Finding:
    """Flow runs of this workspace that Prefect shows as running, though nobody holds the workspace for a run."""
    ours = {run.flow_run: run for run in journal.all_journals(root) if run.flow_run}
    servers.prepare_environment(root)
    os.environ["PREFECT_API_URL"] = f"{servers.address(root, 'prefect')}/api"
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
    from prefect.client.schemas.objects import StateType

    going = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING]))
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=FlowRunFilter(state=going))
    open_still = [ours[str(run.id)] for run in found if str(run.id) in ours]
    if not open_still:
        return well("in Prefect", "no run is left open")
    keys = [run.key for run in open_still]
    found_says = f"{len(open_still)} runs that have ended are shown as running: {listed(keys, 3)}"
    mend = "medloop doctor --mend"
    return fault("in Prefect", found_says, "runs that ended", mend, partial(_crash, root, len(open_still)))


def _crash(root: Path, runs: int) -> str:
    from flows.abandoned import end_abandoned

    end_abandoned(root)
    return f"{runs} runs are shown as crashed in Prefect"


def orphans(root: Path) -> Finding:
    """Processes that medloop started for this workspace and that nobody waits for."""
    import psutil

    found, known = list[str](), _known(root)
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words, place = " ".join(process.info["cmdline"] or []), process.info["cwd"]
        worker = place == str(root) and ("multiprocessing" in words or "from flows." in words)
        server = place == str(home(root) / "logs") and re.search("prefect server start|mlflow server", words)
        if (worker or server) and process.pid not in known and _fatherless(process):
            found.append(f"{process.pid} ({words[:60]})")
    if found:
        mend = f"kill {' '.join(each.split()[0] for each in found)}"
        return fault("processes", f"nobody waits for {listed(found, 3)}", "none that outlives its run", mend)
    return well("processes", "none that nobody waits for")


def _fatherless(process: Any) -> bool:
    """Whether its parent has ended, so that it was given to the system's first process, or the session's."""
    import psutil

    try:
        parent = process.parent()
        return parent is None or parent.pid == 1 or parent.name() == "systemd"
    except psutil.Error:
        return False


def _known(root: Path) -> set[int]:
    """The servers that are remembered, and who holds the workspace."""
    held = [journal.holder(root, name) for name in ("run", "serve")]
    running = [servers.running(root, name) for name in servers.PREFERRED_PORT]
    return {int(pid) for pid in held if pid and pid.isdigit()} | {server.pid for server in running if server}


def locks(root: Path) -> Finding:
    """Whom DVC's file of locks names: who is gone it passes over, unless the number is another process's by now."""
    import psutil

    path = root / ".dvc" / "tmp" / "rwlock"
    try:
        said = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        pids = holders(said)
    except (ValueError, KeyError, TypeError, AttributeError):
        found_says, mend = f"{path} cannot be read: DVC refuses to work", "medloop doctor --mend removes it"
        return fault("locks", found_says, "DVC's list of who reads and writes", mend, partial(_unlock, root, path))
    stale = {pid for pid in pids if psutil.pid_exists(pid) and not processes.ran(pid, path.stat().st_mtime)}
    if stale:
        found_says = f"{path} names process {listed(sorted(stale))}, another by now: DVC waits in vain"
        mend = "medloop doctor --mend removes it"
        return fault("locks", found_says, "locks of processes that hold them", mend, partial(_unlock, root, path))
    return well("locks", f"{len(pids)} held" if pids else "none held")


def _unlock(root: Path, path: Path) -> str:
    with journal.sole_run(root):
        path.unlink(missing_ok=True)
    return f"{path} is removed"


def leftovers(root: Path) -> Finding:
    """Files and clones that a killed process did not finish."""
    found = abandoned(root)
    size = sum(map(disk.size, found))
    if found:
        return note(
            "leftovers",
            f"{len(found)} unfinished files and clones, {disk.told(size)}",
            "medloop gc --yes",
            partial(_clear, found),
        )
    return well("leftovers", "none")


def abandoned(root: Path) -> list[Path]:
    """Drafts (`.NAME.PID.tmp`) and clones whose process is gone."""
    import psutil

    drafts = [path for place in (home(root), root / "data", root / "studies") for path in place.rglob(".*.tmp")]
    drafts += list(root.glob(".*.tmp"))
    numbered = [(path, path.name.split(".")[-2]) for path in drafts]
    numbered += [(path, path.name.rpartition("-")[2]) for path in (home(root) / "clones").glob("*-*")]
    return [path for path, pid in numbered if not (pid.isdigit() and psutil.pid_exists(int(pid))) and _rests(path)]


def _rests(path: Path) -> bool:
    """A draft without a number may be another thread's."""
    try:
        return time.time() - path.stat().st_mtime > 60
    except FileNotFoundError:
        return False


def _clear(found: Sequence[Path]) -> str:
    disk.remove(found)
    return f"{len(found)} unfinished files and clones are removed"


def recorded(root: Path, asked: Asked) -> Iterator[Finding]:
    """What MLflow says, where its database is whole: open runs, and the files of champions."""
    from flows.doctor.stored import champions

    if not databases.elsewhere(root, "mlflow") and "mlflow" not in databases.local(root):
        yield well("in MLflow", "nothing is recorded yet")
        return
    with tracking.answering(root):
        mlflow = tracking.client(root)
        if journal.holder(root, "run") is None:
            yield in_mlflow(root, mlflow)
            yield untold(root, mlflow)
        if not asked.quick:
            asked.say("checking the champions' files")
            yield from champions(root, needed(root, mlflow))


def needed(root: Path, mlflow: Any) -> dict[str, Path]:
    """By `STUDY/VERSION` the folder of its files, where they lie here: of champions, former ones, challengers."""
    folders: dict[str, Path] = {}
    for model in mlflow.search_registered_models():
        numbers = {*map(str, model.aliases.values()), *json.loads(model.tags.get(HISTORY, "[]"))}
        for version in mlflow.search_model_versions(f"name = '{model.name}'"):
            run = mlflow.get_run(version.run_id) if str(version.version) in numbers else None
            if run and run.info.artifact_uri.startswith("file:") and tracking.COLLECTED not in run.data.tags:
                place = Path(run.info.artifact_uri.removeprefix("file://"))
                folders[f"{model.name}/{version.version}"] = place / "model"
    return folders

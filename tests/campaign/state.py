"""What a workspace and its home hold after a run: compared with what a run that nobody disturbed left."""

import hashlib
import json
import re
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil

MARK = "MEDLOOP_CAMPAIGN"  # an environment variable that every process of a campaign inherits
TEMPORARY = re.compile(r"\.tmp$|^\.payloads$|\.partial$|^tmp|^medloop-(?!\d+-port-)")  # a port's file stays
KEY = re.compile(r"-\d{8}-\d{4}-\w{4}(-[0-9a-f]{8})?")  # of a run, and of a verdict
OURS = ("data", ".dvc/cache", "dvc.lock", "studies.yaml", "studies")


def processes(mark: str, but: set[int]) -> list[psutil.Process]:
    """Every live process of this campaign, but those and what they started."""
    found = []
    for process in psutil.process_iter():
        try:
            family = {process.pid, *(parent.pid for parent in process.parents())}
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark and not family & but:
                found.append(process)
        except psutil.Error:
            continue
    return found


def family(pid: int, but: set[int]) -> list[psutil.Process]:
    """What a process started, and what that did, but those and theirs."""
    try:
        children = psutil.Process(pid).children()
    except psutil.Error:
        return []
    own = [child for child in children if child.pid not in but]
    return [*own, *(further for child in own for further in family(child.pid, but))]


def files(root: Path) -> dict[str, str]:
    """Every file that medloop and DVC wrote into the workspace, by its path: what is in it."""
    found = {}
    for place in OURS:
        paths = [root / place] if (root / place).is_file() else sorted((root / place).rglob("*"))
        for path in paths:
            if path.is_file():
                found[str(path.relative_to(root))] = hashlib.md5(path.read_bytes()).hexdigest()
    return found


def rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    if not database.exists():
        return []
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
        return opened.execute(query).fetchall()


def tracked(home: Path) -> dict[str, Any]:
    """What MLflow has of runs that ended well, without what names a run or tells the time."""
    database, artifacts = home / "mlflow" / "mlflow.db", home / "mlflow" / "artifacts"
    ended = "join runs r on r.run_uuid = {0}.run_uuid and r.status = 'FINISHED'"
    kinds = rows(database, f"select r.name, t.value from tags t {ended.format('t')} where t.key = 'medloop.kind'")
    told = "select r.name, m.key, m.step, m.value, m.is_nan from metrics m"  # but how long something took
    metrics = rows(database, f"{told} {ended.format('m')} where m.key not like 'cost_%seconds%'")
    ids = {run for (run,) in rows(database, "select run_uuid from runs where status = 'FINISHED'")}
    sent = [path.relative_to(artifacts).parts for path in artifacts.rglob("*") if path.is_file()]
    return {
        "runs": Counter(_anonymous((name,))[0] for name, _ in kinds),
        "metrics": Counter(_anonymous(row) for row in metrics),
        "params": Counter(rows(database, f"select r.name, p.key, p.value from params p {ended.format('p')}")),
        "versions": Counter(rows(database, "select name, version, status from model_versions")),
        "artifacts": Counter(KEY.sub("KEY", "/".join(rest)) for _, run, _, *rest in sent if run in ids),
    }


def _anonymous(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A comparison is named by its run, a look for drift by the time."""
    name = "comparison" if KEY.search(row[0]) else "drift" if row[0].startswith("drift ") else row[0]
    return (name, *row[1:])


def faults(root: Path, home: Path, scratch: Path, clean: dict[str, Any], began: int) -> list[str]:
    """What is not as after a clean run; `began` runs were started since the workspace was fresh."""
    found = []
    now = snapshot(root, home, scratch)
    for what, expected in clean.items():
        if now[what] != expected:
            found.append(f"{what}: {_gap(expected, now[what])}")
    journals = [json.loads(path.read_text()) for path in (home / "runs").glob("*.json")]
    if running := [j["key"] for j in journals if j["state"] == "running"]:
        found.append(f"journals say that they run: {running}")
    if len(journals) > began:
        found.append(f"{len(journals)} journals of {began} runs")
    database = home / "mlflow" / "mlflow.db"
    if open_runs := rows(database, "select name, status from runs where status in ('RUNNING', 'SCHEDULED')"):
        found.append(f"MLflow: {open_runs}")
    twice = rows(database, "select run_uuid, key, step, count(*) from metrics group by 1, 2, 3 having count(*) > 1")
    if twice:
        found.append(f"MLflow has metrics twice: {twice[:3]}")
    prefect, first = home / "prefect" / "prefect.db", min((j["started"] for j in journals), default="9999")
    mine, going = f"created >= datetime('{first}')", "state_type in ('RUNNING', 'PENDING', 'CANCELLING')"
    of_mine = f"flow_run_id in (select id from flow_run where {mine})"
    for table, which in (("flow_run", mine), ("task_run", of_mine)):
        if live := rows(prefect, f"select name, state_type from {table} where {going} and {which}"):
            found.append(f"Prefect's {table}: {live}")
    return found


def decided(home: Path) -> dict[str, Any]:
    """What came of runs and slots: how many were recorded and judged, who is champion, each decision once."""
    database = home / "mlflow" / "mlflow.db"
    tags = rows(database, "select name, version, value from model_version_tags where key like 'medloop.decision.%'")
    ledgers = [json.loads(path.read_text()) for path in (home / "schedules").glob("*.json")]
    states = Counter(slot["state"] for ledger in ledgers for slot in ledger.get("slots", []))
    return {
        "recorded runs": sum(bool(json.loads(path.read_text())["recorded"]) for path in (home / "runs").glob("*.json")),
        "gates": len(list((home / "gates").glob("*/*.json"))),
        "aliases": sorted(rows(database, "select name, alias, version from registered_model_aliases")),
        "decisions": Counter((name, version, json.loads(told)["what"]) for name, version, told in tags),
        "slots": {"done": states.pop("ran", 0) + states.pop("unchanged", 0), **states},
    }


def snapshot(root: Path, home: Path, scratch: Path) -> dict[str, Any]:
    """Files, temporary ones, Git's and DVC's state, and what MLflow has."""
    own = [p for p in home.rglob("*") if "prefect" not in p.relative_to(home).parts[:1]]
    places = [*own, *root.rglob("*"), *scratch.iterdir()]
    return {
        "files": files(root),
        "temporary": sorted(p.name for p in places if TEMPORARY.search(p.name) and p.name != "tmp"),
        "checkpoints": sorted(p.name for p in (home / "checkpoints").rglob("*") if p.is_file()),
        "rwlock": _held(root / ".dvc" / "tmp" / "rwlock"),
        "git": subprocess.run(["git", "status", "--short"], cwd=root, capture_output=True, text=True).stdout,
        "git locks": sorted(p.name for p in (root / ".git").rglob("*.lock")),
        "dvc's folder": sorted(p.name for p in (root / ".dvc" / "tmp").iterdir()),
        **tracked(home),
        **decided(home),
    }


def _held(rwlock: Path) -> dict[str, Any]:
    """What DVC says is being read or written; {"write": {}} and the like say that nothing is."""
    told = rwlock.read_text() if rwlock.is_file() else ""
    return {key: held for key, held in json.loads(told or "{}").items() if held}


def _gap(expected: Any, found: Any) -> str:
    if not isinstance(expected, dict):
        return f"{found!r} instead of {expected!r}"[:300]
    keys = sorted({*expected, *found}, key=str)
    apart = [
        f"{key}: {found.get(key)} instead of {expected.get(key)}" for key in keys if expected.get(key) != found.get(key)
    ]
    return "; ".join(apart[:4]) + (f" … {len(apart)}" if len(apart) > 4 else "")


def servers(home: Path) -> set[int]:
    """The processes of the servers that outlive a run."""
    told = home / "servers.json"
    found = json.loads(told.read_text()) if told.is_file() else {}
    return {server["pid"] for name in ("prefect", "mlflow") if (server := found.get(name))}

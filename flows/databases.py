"""MLflow's and Prefect's databases on this machine: whether they are whole, backups, and their upkeep.

A team's databases are the team's. Every connection is SQLite's own, so all of it may be done while servers run.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contracts.errors import MedloopError
from flows import servers
from flows.disk import free, told
from flows.home import home
from flows.servers import Name
from flows.store import replacing

TIME = "%Y%m%d-%H%M%S"  # in a backup's name
PATIENCE_S = 60  # for a write of others to end
FREED = 0.2  # of its pages: from there on a database is written anew
CHAMPIONS = """
    SELECT name, version || ' (' || run.value || '/' || model.value || ')'
    FROM registered_model_aliases JOIN model_versions USING (name, version)
    JOIN tags AS run ON run.run_uuid = run_id AND run.key = 'medloop.run'
    JOIN tags AS model ON model.run_uuid = run_id AND model.key = 'medloop.model'
    WHERE alias = 'champion' ORDER BY name
"""
TEAM = "PREFECT_API_DATABASE_CONNECTION_URL"


def local(root: Path) -> dict[Name, Path]:
    """The databases that this workspace keeps and has begun."""
    kept: dict[Name, Path] = {
        "mlflow": home(root) / "mlflow" / "mlflow.db",
        "prefect": home(root) / "prefect/prefect.db",
    }
    return {name: path for name, path in kept.items() if not elsewhere(root, name) and path.is_file()}


def elsewhere(root: Path, name: Name) -> bool:
    """Whether the database is a team's, or another that a person set."""
    if name == "prefect":
        return bool(servers.elsewhere("prefect") or os.environ.get(TEAM))
    return servers.tracking_uri(root) != f"sqlite:///{home(root) / 'mlflow' / 'mlflow.db'}"


def fault(path: Path) -> str | None:
    """What is wrong with a database; None where it is whole."""
    try:
        with _opened(path, readonly=True) as database:
            said = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if said == "ok" else said.splitlines()[0]


@contextmanager
def _opened(path: Path, *, readonly: bool = False) -> Iterator[sqlite3.Connection]:
    address = f"{path.resolve().as_uri()}?mode={'ro' if readonly else 'rw'}"
    with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE_S, isolation_level=None)) as database:
        yield database


def backups(root: Path, name: Name) -> list[Path]:
    """A database's backups, newest first."""
    return sorted((home(root) / "backups").glob(f"{name}-*.db"), reverse=True)


def back_up(root: Path, name: Name, path: Path, now: datetime, keep: int) -> Path:
    """A checked copy beside the others, of which the newest are kept; whoever writes meanwhile is not kept waiting.

    Raises MedloopError when the database is not whole: no good backup makes room for a bad one.
    """
    copy = home(root) / "backups" / f"{name}-{max(now, _after(root, name)):{TIME}}.db"
    with replacing(copy) as draft:
        try:
            with _opened(path, readonly=True) as source, closing(sqlite3.connect(draft)) as target:
                source.backup(target, pages=1024)
                target.execute("PRAGMA journal_mode=DELETE")  # the copy is one file
        except sqlite3.DatabaseError as error:
            raise _unfit(name, path, str(error)) from None
        if wrong := fault(draft):
            raise _unfit(name, path, wrong)
    for old in backups(root, name)[max(keep, 1) :]:
        old.unlink()
    return copy


def _after(root: Path, name: Name) -> datetime:
    """A second after the newest backup, by its name: a clock may have been set back since."""
    for known in backups(root, name):
        with suppress(ValueError):  # one that a person named
            return datetime.strptime(known.stem, f"{name}-{TIME}").replace(tzinfo=UTC) + timedelta(seconds=1)
    return datetime.min.replace(tzinfo=UTC)


def champions(path: Path) -> dict[str, str]:
    """By study the champion that a database of MLflow's names: version, run and model; none if it cannot be read."""
    try:
        with _opened(path, readonly=True) as database:
            return {study: f"version {rest}" for study, rest in database.execute(CHAMPIONS)}
    except sqlite3.DatabaseError:
        return {}


def _unfit(name: Name, path: Path, wrong: str) -> MedloopError:
    return MedloopError(
        f"{name}'s database is not whole: {wrong}",
        where=str(path),
        mend=f"medloop restore {name} puts the newest backup in its place",
    )


def tidy(path: Path) -> str:
    """Figures for the planner of queries anew, the log of writes written back, and what was freed given back.

    It is told in a few words. Raises MedloopError where someone else holds the database for long.
    """
    try:
        with _opened(path) as database:
            pages, freed = (database.execute(f"PRAGMA {what}_count").fetchone()[0] for what in ("page", "freelist"))
            shrinks = freed > FREED * pages and free(path.parent) > 2 * path.stat().st_size
            if shrinks:
                database.execute("VACUUM")
            database.execute("ANALYZE")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as error:
        raise MedloopError(str(error), where=str(path), mend="the next upkeep tries again") from None
    return f"{told(path.stat().st_size)}{', written anew' if shrinks else ''}"


def whole_backup(root: Path, name: Name, asked: str | None) -> Path:
    """The backup of this name, by default the newest that is whole.

    Raises MedloopError where the database is a team's, or there is none such.
    """
    if elsewhere(root, name):
        raise MedloopError(f"{name}'s database is a team's, which keeps its own backups", mend="ask who looks after it")
    kept = backups(root, name)
    chosen = next((path for path in kept if asked in (None, path.name) and fault(path) is None), None)
    if chosen is None:
        raise MedloopError(
            f"there is no whole backup of {name}'s database{f' called {asked}' if asked else ''}",
            where=str(home(root) / "backups"),
            mend=f"one of: {', '.join(path.name for path in kept)}" if kept else "medloop upkeep makes one each night",
        )
    return chosen


def restore(root: Path, name: Name, backup: Path, now: datetime) -> Path:
    """Puts a backup in a database's place; where the former is kept, beside those of before. No server may run."""
    path = home(root) / name / f"{name}.db"
    aside = home(root) / "backups" / f"{name}-{now:{TIME}}.replaced"
    with replacing(path) as draft:
        shutil.copyfile(backup, draft)
        for end in ("", "-wal", "-shm"):  # the latter two hold writes that are of the former alone
            if (part := path.with_name(f"{path.name}{end}")).is_file():
                shutil.copyfile(part, aside.with_name(f"{aside.name}{end}"))
        for end in ("-wal", "-shm"):
            path.with_name(f"{path.name}{end}").unlink(missing_ok=True)
    return aside

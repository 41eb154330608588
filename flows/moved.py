"""A workspace that was moved or copied: MLflow's own database names its files by where they lay before."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

NAMED = (("experiments", "artifact_location"), ("runs", "artifact_uri"))


def follow(database: sqlite3.Connection, artifacts: Path) -> None:
    """Names the files under `artifacts`, which came along; else a copy would write into the folder of the original."""
    here, tail = artifacts.as_uri(), "/mlflow/artifacts"
    with suppress(sqlite3.OperationalError), database:  # held, or another version's
        locations = database.execute("SELECT artifact_location FROM experiments").fetchall()
        folders = {str(location).rpartition("/")[0] for (location,) in locations} - {here}
        for former in sorted(folder for folder in folders if folder.startswith("file:") and folder.endswith(tail)):
            if artifacts.is_dir() and not _same(former, artifacts):
                _rename(database, f"{former}/", f"{here}/")


def _rename(database: sqlite3.Connection, former: str, now: str) -> None:
    """Every address that begins with the former one begins with that of now."""
    size = len(former)
    for table, column in NAMED:
        renamed = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?"
        database.execute(renamed, (now, size + 1, size, former))


def _same(former: str, artifacts: Path) -> bool:
    """Whether it is the same folder by another path, as through a link."""
    place = Path(unquote(urlsplit(former).path))
    return place.is_dir() and place.samefile(artifacts)

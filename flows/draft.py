"""`medloop init`: reads a data file and writes the draft of its study."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from contracts.errors import MedloopError
from contracts.names import check_name
from flows import settings
from flows.home import sources
from flows.settings import parse_config
from flows.store import write_text
from flows.studies import study_file
from pipelines.draft import draft, render
from pipelines.sources import FileSource, read


def draft_file(
    root: Path,
    data: str,
    layout: Mapping[str, str],
    *,
    target: str,
    group: str | None,
    time: str | None,
    name: str | None,
) -> tuple[Path, list[str]]:
    """Writes studies/NAME.yaml: its path, and what a person must check.

    Raises MedloopError when the data cannot be read, a column is not there, or the study exists already.
    """
    called = check_name(name or _name_from(data), what="study", where=data)
    path = study_file(root, called)
    if path.exists():
        raise MedloopError(f"there is a study {called} already", where=str(path), mend="give another --name")
    source = parse_config(FileSource, {"path": _from_root(root, data), **layout}, "the options of init")
    drafted = draft(read(source, root=root, cache=sources(root)).table, target=target, group=group, time=time)
    write_text(path, render(drafted, called, {"kind": "file", "path": source.path, **layout}))
    settings.load(root, called)
    return path, drafted.checks


def _name_from(data: str) -> str:
    stem = PurePosixPath(data).name.split(".")[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-")


def _from_root(root: Path, data: str) -> str:
    """The path as the study names it: from the repository's root where it lies inside, else absolute."""
    if "://" in data:
        return data
    path = Path(data).resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

"""`medloop init`: reads a data file and writes the draft of its study."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from contracts.errors import MedloopError, listed
from contracts.names import check_name
from flows import settings
from flows.console import console
from flows.home import find_root, sources
from flows.settings import parse_config
from flows.store import write_text
from flows.studies import study_file
from pipelines.draft import draft, render
from pipelines.guess_files import guess_payloads, kind_of, leaf_first, pattern_of
from pipelines.sources import FileSource, Raw, read
from pipelines.sources.archive import Tree, archive_tree
from pipelines.sources.formats import TABLES
from pipelines.sources.pattern import matched
from pipelines.sources.tree import folder_tree

ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz")
HIDDEN = re.compile(r"(?:^|/)(?:[.~]|__MACOSX/)")


def draft_study(data: str, layout: Mapping[str, str], **roles: Any) -> None:
    """`medloop init`: a drafted study, and what a person must check; `roles` as `draft_file` takes them."""
    root = find_root()
    path, checks = draft_file(root, data, layout, **roles)
    console.print(f"[green]✓[/] Drafted {path.relative_to(root)}. Before you run it, check:")
    for check in checks:
        console.print(f"  • {check}", markup=False)
    console.print(f"\nThen: medloop run {path.stem}")


def draft_file(
    root: Path,
    data: str,
    layout: Mapping[str, str],
    *,
    target: Sequence[str],
    event: str | None,
    group: str | None,
    time: str | None,
    name: str | None,
) -> tuple[Path, list[str]]:
    """Writes studies/NAME.yaml: its path, and what a person must check.

    Raises MedloopError when the data cannot be read, a column is not there, or the study exists already.
    """
    called = _called(name, data)
    path = study_file(root, called)
    if path.exists():
        raise MedloopError(f"there is a study {called} already", where=str(path), mend="give another --name")
    place = _from_root(root, data)
    files = _files(root / place)
    pattern, folders = pattern_of(files, target[0], group) if files else ("", {})
    told: dict[str, object] = {"path": place, **layout, **({"files": pattern} if pattern else {})}
    raw = _read(told, root)
    labelled = _labelled(raw)
    if labelled is not None:  # kept in the study, lest other rows have other labels taken
        told["labels"] = labelled
        raw = _read(told, root)
    table = leaf_first(raw.table, pattern) if pattern else raw.table
    drafted = draft(table, target=target, event=event, group=group, time=time, known={**folders, **guess_payloads(raw)})
    write_text(path, render(drafted, called, {"kind": "file", **told}))
    settings.load(root, called)
    return path, [*drafted.checks, *(_file_checks(files, pattern, group) if pattern else [])]


def _read(told: Mapping[str, object], root: Path) -> Raw:
    return read(parse_config(FileSource, dict(told), "the options of init"), root=root, cache=sources(root))


def _labelled(raw: Raw) -> list[str] | None:
    """The columns whose labels were taken, in every file of a folder; None where no file has labels."""
    files: Any = raw.provenance.get("files", [raw.provenance])
    told = [of["labelled"] for of in files if "labelled" in of] if isinstance(files, list) else []
    return [name for name in told[0] if all(name in others for others in told)] if told else None


def _files(path: Path) -> list[str]:
    """The files in an archive, or below a folder that holds pictures, recordings or reports; none of tables."""
    is_archive = path.is_file() and path.name.lower().endswith(ARCHIVES)
    if not is_archive and not path.is_dir():
        return []
    files = [file for file in _tree(path).sizes() if not HIDDEN.search(file)]
    nested = [file for file in files if "/" in file]
    tables = [file for file in files if "/" not in file and file.lower().endswith(TABLES)]
    return sorted(files) if is_archive or (not tables and kind_of(nested)) else []


def _tree(path: Path) -> Tree:
    from fsspec.implementations.local import LocalFileSystem

    tree = folder_tree(LocalFileSystem(), str(path), where=path.name) if path.is_dir() else None
    tree = tree or archive_tree(path.open("rb"), where=path.name)
    if tree is None:
        raise MedloopError("no archive, whatever its name says", where=path.name, mend="make it again with zip or tar")
    return tree


def _file_checks(files: Sequence[str], pattern: str, group: str | None) -> list[str]:
    """What to check of a study of files, beside what its columns ask."""
    others = Counter(PurePosixPath(file).suffix for file in files if matched(pattern, file) is None)
    told = listed([f"{count:,} {ending or 'without an ending'}" for ending, count in others.most_common()], 4)
    taken = PurePosixPath(pattern).suffix
    alike = any(ending != taken and kind_of([f"x{ending}"]) == kind_of([pattern]) for ending in others)
    mend = f"; {pattern.removesuffix(taken)}.{{format}} takes them all: then write `format` under drop" if alike else ""
    said = f"files: {told} lie or end otherwise than `files: {pattern}` says, and are left out{mend}"
    patient = "files of one patient: if some have several, say which part of a path is the patient's and name it"
    return [
        *([said] if others else []),
        *([] if group else [f"{patient} under group: files: {{label}}/{{patient}}_{{picture}}.jpg"]),
    ]


def _called(name: str | None, data: str) -> str:
    if name is None and not _name_from(data):
        raise MedloopError("no name for the study can be made of the file's", where=data, mend="give one: --name NAME")
    return check_name(_name_from(data) if name is None else name, what="study", where=data)


def _name_from(data: str) -> str:
    stem = PurePosixPath(data).name.split(".")[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", stem)[:64].strip("-")


def _from_root(root: Path, data: str) -> str:
    """The path as the study names it: from the repository's root where it lies inside, else absolute."""
    if "://" in data:
        return data
    path = Path(data).resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

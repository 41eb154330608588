"""studies.yaml: the list that dvc.yaml walks, made from the files in studies/ so that a study is one file."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from contracts.errors import MedloopError
from flows import checked
from flows.settings import Settings, load
from flows.store import read_json, write_json, write_text
from flows.studies import study_names
from models.family import files
from pipelines.sources import FileSource, QuerySource, Source, UnreachableError, WheelSource, fingerprint

INDEX, NOTES = "studies.yaml", "seen"
HEADER = "# Made by medloop from the files in studies/; edit those.\n"


def refresh(
    root: Path, asked: Iterable[str], *, look: bool = False
) -> tuple[dict[str, Settings], dict[str, MedloopError]]:
    """Every study's settings, checked, and the faults to warn of, by study; writes the index anew where it differs.

    asked: the studies that are wanted; a fault of another is no reason to stop, and keeps only that one out
    look: see whether the remote data of those asked for are new; when that cannot be seen, the data seen last count,
        and the fault stands beside the study's settings

    Raises MedloopError for the first fault of a study asked for.
    """
    wanted = set(asked)
    loaded, faults = dict[str, Settings](), dict[str, MedloopError]()
    for name in study_names(root):
        try:
            loaded[name] = load(root, name)
            if look and name in wanted:
                _look(root, loaded[name], faults)
        except MedloopError as fault:
            if name in wanted:
                raise
            faults[name] = fault
    text = HEADER + _rendered(loaded)
    path = root / INDEX
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    if not faults:
        checked.remember(root, [name for name, settings in loaded.items() if _may_change_unseen(settings)])
    return loaded, faults


def watched(settings: Settings) -> str:
    """The file whose change tells DVC that a study's data are new: a local table, else the note on its source."""
    source = settings.source
    return (
        source.path if _is_local_table(settings) and isinstance(source, FileSource) else f"{NOTES}/{settings.name}.json"
    )


def _is_local_table(settings: Settings) -> bool:
    """Whether the source is one local path that holds all there is."""
    source = settings.source
    return isinstance(source, FileSource) and "://" not in source.path and not _has_files(settings)


def _has_files(settings: Settings) -> bool:
    """Whether cells name files, which lie beside the table."""
    return any(column.type in ("image", "sequence") or column.files for column in settings.study.features().values())


def _may_change_unseen(settings: Settings) -> bool:
    return not _is_local_table(settings) and not _is_pinned(settings.source)


def _is_pinned(source: Source) -> bool:
    """Whether all of it comes from wheels, which are pinned by their hash."""
    tables = source.tables.values() if isinstance(source, QuerySource) else [source]
    return all(isinstance(table, WheelSource) for table in tables)


def _look(root: Path, settings: Settings, faults: dict[str, MedloopError]) -> None:
    """Notes what a remote source holds now."""
    if _is_local_table(settings):
        return
    note = root / watched(settings)
    try:
        seen = fingerprint(_with_folder(settings), root=root)
    except UnreachableError as fault:
        if not note.is_file():
            raise
        problem = f"could not look whether the data of {settings.name} are new: {fault.problem}"
        faults[settings.name] = MedloopError(problem, where=fault.where, mend=fault.mend)
    else:
        if not note.is_file() or read_json(note) != seen:
            write_json(note, seen)


def _with_folder(settings: Settings) -> Source:
    """The source, with the folder that its cells' paths count from where it says none."""
    source = settings.source
    if isinstance(source, FileSource) and source.files is None and source.folder is None and _has_files(settings):
        return source.model_copy(update={"folder": "."})
    return source


def _rendered(loaded: Mapping[str, Settings]) -> str:
    studies: dict[str, Any] = {name: {"data": watched(s)} for name, s in loaded.items()}
    experiments = {
        f"{name}-{model}": {"study": name, "model": model, "file": files(model)}
        for name, s in loaded.items()
        for model in s.models
    }
    stream = io.StringIO()
    YAML().dump({"studies": studies, "experiments": experiments}, stream)
    return stream.getvalue()

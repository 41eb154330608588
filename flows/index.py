"""studies.yaml: the list that dvc.yaml walks, made from the files in studies/ so that a study is one file."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from ruamel.yaml import YAML

from flows.settings import Settings, load, study_names
from flows.store import read_json, write_json, write_text
from pipelines.sources import FileSource, Source, UnreachableError, fingerprint

INDEX, NOTES = "studies.yaml", "seen"
HEADER = "# Made by medloop from the files in studies/; edit those.\n"


def refresh(root: Path, look_at: Iterable[str] = ()) -> dict[str, Settings]:
    """Every study's settings, checked; writes the index anew where it differs.

    Looks whether the remote data of the studies in `look_at` are new; a server that does not answer changes nothing.
    """
    loaded = {name: load(root, name) for name in study_names(root)}
    for name in look_at:
        if name in loaded:
            _look(root, loaded[name])
    text = HEADER + _rendered(loaded)
    path = root / INDEX
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    return loaded


def watched(name: str, source: Source) -> str:
    """The file whose change tells DVC that a study's data are new: a local source itself, else the note on it."""
    return source.path if _is_local(source) else f"{NOTES}/{name}.json"


def _is_local(source: Source) -> TypeGuard[FileSource]:
    return isinstance(source, FileSource) and "://" not in source.path


def _look(root: Path, settings: Settings) -> None:
    """Notes what a remote source holds now."""
    if _is_local(settings.source):
        return
    note = root / watched(settings.name, settings.source)
    try:
        seen = fingerprint(settings.source, root=root)
    except UnreachableError:
        if not note.is_file():
            raise
    else:
        if not note.is_file() or read_json(note) != seen:
            write_json(note, seen)


def _rendered(loaded: Mapping[str, Settings]) -> str:
    studies: dict[str, Any] = {name: {"data": watched(name, s.source)} for name, s in loaded.items()}
    experiments = {
        f"{name}-{model}": {"study": name, "model": model} for name, s in loaded.items() for model in s.models
    }
    stream = io.StringIO()
    YAML().dump({"studies": studies, "experiments": experiments}, stream)
    return stream.getvalue()

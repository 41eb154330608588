"""Whether a study's local source has changed, by names, sizes and times; what the change means, DVC finds out."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def local_paths(root: Path, source: object) -> list[Path]:
    """The files and folders on this machine that a study's `source` section names, whatever its kind."""
    return [root / path for path in _paths(source) if "://" not in path]


def _paths(source: object) -> Iterator[str]:
    for key, value in source.items() if isinstance(source, Mapping) else ():
        if key in ("path", "folder") and isinstance(value, str):
            yield value
        else:
            yield from _paths(value)


def stamp(paths: list[Path]) -> str:
    """The same for as long as no file below these paths comes, goes, or is written."""
    digest = hashlib.sha256()
    for path in paths:
        for file in _files(path):
            try:
                found: Any = file.stat()
            except OSError:
                continue
            digest.update(f"{file}\0{found.st_size}\0{found.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
    for folder, folders, files in os.walk(path):
        folders.sort()
        yield from (Path(folder) / name for name in sorted(files))

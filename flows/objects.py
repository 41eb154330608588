"""The objects of DVC's cache as files: which a lock names, which are whole. Nothing here asks DVC, or waits for it."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

NAMED = re.compile(r"^\s*(?:- )?md5: ([0-9a-f]{32}(?:\.dir)?)\s*$", re.MULTILINE)
OUTPUT = re.compile(r"- path: ([^\n]+)\n\s+hash: md5\n\s+md5: ([0-9a-f]{32}(?:\.dir)?)\n")
FOLDER = ".dir"  # the end of the name of an object that lists a folder's files


def named(text: str) -> set[str]:
    """The objects that a dvc.lock or a .dvc file names; what it depends on is among them, which does no harm."""
    return set(NAMED.findall(text))


def all_objects(cache: Path) -> Iterator[tuple[str, Path]]:
    """Every object with its file, in the order of their names."""
    for folder in sorted(cache.glob("[0-9a-f][0-9a-f]")):
        for path in sorted(folder.iterdir()):
            if re.fullmatch(r"[0-9a-f]{30}(\.dir)?", path.name):
                yield folder.name + path.name, path


def file_of(cache: Path, name: str) -> Path:
    """Where an object lies, if it is there."""
    return cache / name[:2] / name[2:]


def is_whole(name: str, path: Path) -> bool:
    """Whether the content is what the name says; of an object that is gone meanwhile nothing is wrong."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest() == name.removesuffix(FOLDER)
    except FileNotFoundError:
        return True


def members(cache: Path, name: str) -> dict[str, str]:
    """By its path within, the objects of a folder's files; none where the list itself is not there.

    Raises ValueError for a list that is damaged.
    """
    path = file_of(cache, name)
    if not path.is_file():
        return {}
    if not is_whole(name, path):
        raise ValueError(name)
    return {entry["relpath"]: entry["md5"] for entry in json.loads(path.read_text(encoding="utf-8"))}


def closure(cache: Path, names: set[str]) -> set[str]:
    """These objects and, of folders, their files. Raises ValueError for a folder's list that is damaged."""
    folders = (name for name in names if name.endswith(FOLDER))
    return names.union(*(members(cache, name).values() for name in folders))


def outputs(cache: Path, text: str) -> dict[str, str]:
    """The path of every output, and of every file of one that is a folder, by the object that a dvc.lock gives it."""
    found: dict[str, str] = {}
    for part in text.split("\n    outs:\n")[1:]:
        entry = re.split(r"\n(?=  \S)", part, maxsplit=1)[0]
        for path, name in OUTPUT.findall(f"{entry}\n"):
            found[name] = path
            if name.endswith(FOLDER):
                with suppress(ValueError):
                    found |= {each: f"{path}/{within}" for within, each in members(cache, name).items()}
    return found

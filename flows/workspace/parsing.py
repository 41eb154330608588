"""DVC's YAML, parsed once a process: DVC itself parses a study some ten times, and all of dvc.lock twice, a stage."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows import lockfile


@functools.cache
def parse_once() -> None:
    """From here on DVC is given what was parsed before, where it reads the same."""
    _studies_once()
    _lock_once()


def _studies_once() -> None:
    """A file whose stat is the same counts as the same, as DVC itself judges."""
    from dvc.utils.serialize import LOADERS, load_yaml

    def load(path: str, fs: Any = None, **options: Any) -> Any:
        if options or getattr(fs, "protocol", "") != "local":
            return load_yaml(path, fs=fs, **options)
        stat = Path(path).stat()
        return _file(path, (stat.st_mtime_ns, stat.st_size, stat.st_ino))

    LOADERS[".yaml"] = load


@functools.lru_cache(maxsize=64)
def _file(path: str, stamp: tuple[int, int, int]) -> Any:
    from dvc.utils.serialize import load_yaml

    return load_yaml(path)


def _lock_once() -> None:
    """An entry of dvc.lock whose text is the same; a lock that is not laid out as DVC writes it is left to DVC."""
    from dvc.dvcfile import Lockfile

    def load(self: Any, **options: Any) -> tuple[Any, str]:
        path = Path(self.path)
        if options or self.repo.fs.protocol != "local" or path.name != lockfile.NAME:
            return own(self, **options)
        lock = lockfile.read(path.parent)
        if not lock.entries or lock.rest[1].strip():
            return own(self)
        self._check_gitignored()
        return {"schema": "2.0", "stages": {name: _entry(text)[name] for name, text in lock.entries.items()}}, lock.text

    own: Callable[..., tuple[Any, str]] = Lockfile._load
    Lockfile._load = load


@functools.lru_cache(maxsize=4096)
def _entry(text: str) -> dict[str, Any]:
    """The entry by its stage. Raises DVC's own errors, as of the whole file."""
    from dvc.dvcfile import Lockfile
    from dvc.utils.serialize import parse_yaml

    entry = parse_yaml(text, lockfile.NAME)
    Lockfile.validate({"schema": "2.0", "stages": entry}, lockfile.NAME)
    return dict(entry)

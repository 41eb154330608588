"""Single files that past runs wrote, out of DVC's cache or a remote, without a clone of the past."""

import contextlib
import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from contracts.errors import MedloopError
from flows.objects import FOLDER, file_of, is_whole

_ONE_THREAD = threading.Lock()
_caches: dict[Path, Path] = {}


def kept_files(root: Path, outputs: Mapping[str, str], paths: Iterable[str]) -> dict[str, Path]:
    """Where the cache holds these files, each checked against its hash; what it lacks is looked for in the remote.

    A file that no output holds is left out.

    Args:
        root: the workspace
        outputs: by path of an output, such as `data/x/train/mlp/model`, its hash as dvc.lock has it
        paths: of files, outputs themselves or within one

    Raises:
        MedloopError: neither the cache nor the remote has a file as its hash says
    """
    found = {path: _hash_of(root, outputs, path) for path in paths}
    return {path: _had(root, value, path) for path, value in found.items() if value}


def _hash_of(root: Path, outputs: Mapping[str, str], path: str) -> str | None:
    if path in outputs:
        return outputs[path]
    for folder, value in outputs.items():
        if path.startswith(f"{folder}/") and value.endswith(FOLDER):
            within = json.loads(_had(root, value, folder).read_text(encoding="utf-8"))
            return next((str(one["md5"]) for one in within if f"{folder}/{one['relpath']}" == path), None)
    return None


def _had(root: Path, value: str, path: str) -> Path:
    """The object of this hash; one that is missing or damaged is fetched. Opening DVC takes longer than reading it."""
    if root in _caches and _sound(_caches[root], value):
        return file_of(_caches[root], value)
    cache = _fetch(root, value)
    if not _sound(cache, value):
        raise MedloopError(
            "neither DVC's cache nor a remote has this file as that run wrote it",
            where=path,
            mend="dvc remote add --default NAME URL where it was pushed to; what is lost everywhere stays lost",
        )
    return file_of(cache, value)


def _fetch(root: Path, value: str) -> Path:
    """The cache's folder; the object is brought there from the remote where it is not sound in it."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc_data.hashfile.hash_info import HashInfo

    with _ONE_THREAD, contextlib.closing(Repo(str(root))) as repo:
        cache = _caches[root] = Path(repo.cache.local.path)
        if not _sound(cache, value):
            file_of(cache, value).unlink(missing_ok=True)
            with contextlib.suppress(DvcException, OSError):
                repo.cloud.pull([HashInfo("md5", value)])
    return cache


def _sound(cache: Path, value: str) -> bool:
    """Whether it is there, and its content what its name says."""
    place = file_of(cache, value)
    return place.is_file() and is_whole(value, place)

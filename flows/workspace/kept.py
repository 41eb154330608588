"""Single files that past runs wrote, out of DVC's cache or a remote, without a clone of the past."""

import contextlib
import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from contracts.errors import MedloopError

_ONE_THREAD = threading.Lock()


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
    from dvc.repo import Repo

    with _ONE_THREAD, contextlib.closing(Repo(str(root))) as repo:
        found = {path: _hash_of(repo, outputs, path) for path in paths}
        return {path: _had(repo, value, path) for path, value in found.items() if value}


def _hash_of(repo: Any, outputs: Mapping[str, str], path: str) -> str | None:
    if path in outputs:
        return outputs[path]
    for folder, value in outputs.items():
        if path.startswith(f"{folder}/") and value.endswith(".dir"):
            within = json.loads(_had(repo, value, folder).read_text(encoding="utf-8"))
            return next((str(one["md5"]) for one in within if f"{folder}/{one['relpath']}" == path), None)
    return None


def _had(repo: Any, value: str, path: str) -> Path:
    """The object of this hash; one that is damaged is fetched again."""
    from dvc.exceptions import DvcException
    from dvc_data.hashfile.hash_info import HashInfo

    place = Path(repo.cache.local.oid_to_path(value))
    if not _sound(repo, place, value):
        place.unlink(missing_ok=True)
        with contextlib.suppress(DvcException, OSError):
            repo.cloud.pull([HashInfo("md5", value)])
    if not _sound(repo, place, value):
        raise MedloopError(
            "neither DVC's cache nor a remote has this file as that run wrote it",
            where=path,
            mend="dvc remote add --default NAME URL where it was pushed to; what is lost everywhere stays lost",
        )
    return place


def _sound(repo: Any, place: Path, value: str) -> bool:
    from dvc_data.hashfile.hash import file_md5

    return place.is_file() and file_md5(str(place), repo.cache.local.fs) == value.removesuffix(".dir")

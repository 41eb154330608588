from pathlib import Path
from typing import Any

from dvc.dvcfile import Lockfile
from dvc.repo import Repo
from dvc.utils.serialize import dump_yaml, load_yaml

from flows.workspace import parsing


def entry(seed: int) -> dict[str, Any]:
    outs = [{"path": f"data/{seed}", "hash": "md5", "md5": "ac77d0c9896dffd4b746348490dafa54", "size": 4}]
    return {"cmd": "medloop stage train", "params": {"params.yaml": {"seed": seed, "share": 0.5}}, "outs": outs}


def test_each_entry_of_the_lock_is_parsed_once_and_an_edit_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "dvc.lock"
    dump_yaml(path, {"schema": "2.0", "stages": {"train@a": entry(0), "train@b": entry(1)}})
    lock = Lockfile(Repo.init(str(tmp_path), no_scm=True), str(path))
    parsing.parse_once()
    parsing._entry.cache_clear()
    assert lock.load() == load_yaml(str(path))
    lock.load()
    assert parsing._entry.cache_info().misses == 2
    path.write_text(path.read_text().replace("seed: 1", "seed: 7"))
    assert lock.load()["stages"]["train@b"]["params"]["params.yaml"]["seed"] == 7
    assert parsing._entry.cache_info().misses == 3


def test_what_stands_behind_the_entries_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "dvc.lock"
    dataset = {"type": "url", "name": "x", "url": "file:///x", "lock": {"meta": {}, "files": []}}
    dump_yaml(path, {"schema": "2.0", "stages": {"train@a": entry(0)}, "datasets": [dataset]})
    parsing.parse_once()
    lock = Lockfile(Repo.init(str(tmp_path), no_scm=True), str(path))
    assert lock.load() == load_yaml(str(path))

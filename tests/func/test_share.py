"""`medloop share` by the real command: a run that someone else can have again with Git and the remote alone."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.func.conftest import Outcome
from tests.workspace import Workspace

Medloop = Callable[..., Outcome]


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def test_a_shared_run_is_had_again_with_git_and_the_remote_alone(
    finished: Workspace, copy: Workspace, tmp_path: Path, medloop: Medloop, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = medloop(copy, "share")
    assert unknown.code == 1
    assert "medloop share ADDRESS" in unknown.text
    git(tmp_path, "init", "--bare", "origin.git")
    git(copy.root, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(copy.root, "push", "origin", "HEAD:main")
    assert medloop(copy, "share", str(tmp_path / "first")).code == 0
    own = "['remote \"shared\"']\n    jobs = 1\n"  # as a key file or a password: the run's commit has no such remote
    (copy.root / ".dvc" / "config.local").write_text(own)
    before = (copy.root / ".dvc" / "config").read_bytes()
    (tmp_path / "file").touch()
    refused = medloop(copy, "share", str(tmp_path / "file" / "store"))
    assert refused.code == 1 and "cannot be reached, or refuses it: Not a directory" in refused.text
    assert (copy.root / ".dvc" / "config").read_bytes() == before
    told = medloop(copy, "share", str(tmp_path / "store"))
    assert told.code == 0, told.text
    assert f"shared {finished.key}: " in told.text
    assert "and Git's origin" in told.text
    git(tmp_path, "clone", "origin.git", "-b", "main", "elsewhere")
    monkeypatch.setenv("MEDLOOP_HOME", str(tmp_path / "home"))
    elsewhere = Workspace(tmp_path / "elsewhere")
    lost = medloop(elsewhere, "reproduce", f"{finished.key}/logistic")
    assert lost.code == 1  # .dvc/config, which names the remote, was not committed yet
    assert "nor a remote has data/tiny/ingest/table.parquet" in lost.text
    (elsewhere.root / ".dvc" / "config").write_bytes((copy.root / ".dvc" / "config").read_bytes())
    (elsewhere.root / ".dvc" / "config.local").write_text(own)
    (elsewhere.root / "dvc.lock").write_text("schema: '2.0'\nstages:\n  ingest@tiny:\n    cmd: cut")  # its own: unread
    again = medloop(elsewhere, "reproduce", f"{finished.key}/logistic")
    assert again.code == 0, again.text
    assert "logistic bit-identical" in again.text


def test_what_does_not_arrive_whole_is_told(copy: Workspace, tmp_path: Path, medloop: Medloop) -> None:
    objects = [path for path in (copy.root / ".dvc" / "cache" / "files").rglob("*") if path.is_file()]
    largest = max(objects, key=lambda path: path.stat().st_size)
    largest.chmod(0o644)
    largest.write_bytes(b"flipped")
    told = medloop(copy, "share", str(tmp_path / "store"))
    assert told.code == 1
    assert f"{largest.parent.name}{largest.name[:6]}…, is neither in the cache as it was nor in the remote" in told.text
    assert not list((tmp_path / "store").rglob(largest.name))

"""Pinning a run: everything that it was made of in one commit, and nothing here touched."""

import subprocess
from pathlib import Path

import pytest

from contracts.errors import MedloopError
from flows import lockfile
from flows.git import git, pin_commit, pins


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDLOOP_HOME", str(tmp_path / "home"))
    root = tmp_path / "repository"
    (root / "studies").mkdir(parents=True)
    (root / ".gitignore").write_text("dvc.lock\n")
    (root / "studies" / "a.yaml").write_text("epochs: 1\n")
    who = ["-c", "user.name=someone", "-c", "user.email=someone@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    return root


def all_files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not {"objects", "exps"} & set(path.parts)
    }


def test_edits_and_new_files_are_pinned_and_nothing_here_changes(repository: Path) -> None:
    (repository / "studies" / "a.yaml").write_text("epochs: 2\n")
    (repository / "dvc.lock").write_text("stages\n")
    (repository / "staged.py").write_text("x = 1\n")
    git(repository, "add", "staged.py")
    (repository / "private.txt").write_text("not asked for\n")
    before = all_files(repository)
    commit = pin_commit(repository, "a-20261122-0315-k3f9", ["dvc.lock"], '{"told": 1}')
    assert all_files(repository) == before
    head = git(repository, "rev-parse", "HEAD")
    assert pins(repository)["a-20261122-0315-k3f9"] == (
        commit,
        f"refs/exps/{head[:2]}/{head[2:]}/a-20261122-0315-k3f9",
    )
    assert git(repository, "rev-parse", f"{commit}^") == head
    assert git(repository, "log", "-1", "--format=%s|%b", commit) == 'medloop: a-20261122-0315-k3f9|{"told": 1}'
    assert git(repository, "show", f"{commit}:studies/a.yaml") == "epochs: 2"
    listed = git(repository, "ls-tree", "-r", "--name-only", commit).split()
    assert listed == [".gitignore", "dvc.lock", "staged.py", "studies/a.yaml"]
    assert not list((repository.parent / "home" / "scratch").iterdir())


def test_a_workspace_in_a_folder_of_its_repository_and_nobody_who_commits(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    for key in ("user.useConfigOnly", "true"), ("user.name", "x"):
        git(repository, "config", *key)
    (repository / ".gitignore").write_text("changed beside it\n")
    (repository / "studies" / "new.json").write_text("{}")
    commit = pin_commit(repository / "studies", "key", ["new.json"], "")
    assert git(repository, "show", f"{commit}:.gitignore") == "changed beside it"
    assert git(repository, "show", f"{commit}:studies/new.json") == "{}"
    assert git(repository, "log", "-1", "--format=%an", commit) == "medloop"


def test_without_a_first_commit_the_mend_is_told(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    with pytest.raises(MedloopError, match="could not be pinned") as stopped:
        pin_commit(tmp_path, "key", [], "")
    assert "git init" in str(stopped.value.mend)


def test_a_damaged_lock_is_had_again_from_the_newest_pin(repository: Path) -> None:
    whole, lock = f"{lockfile.HEAD}  ingest@a:\n    cmd: x\n    outs:\n", repository / lockfile.NAME
    lock.write_text(whole)
    pin_commit(repository, "a-20261122-0315-k3f9", [lockfile.NAME], "")
    lock.write_text(whole[:-10])
    with pytest.raises(MedloopError, match="damaged") as damaged:
        lockfile.read(repository)
    subprocess.run(str(damaged.value.mend).split(" (")[0], cwd=repository, shell=True, check=True)
    assert lock.read_text() == whole

"""DVC's files with a bit flipped or an end cut off: noticed, and told with a command that mends it, or made again."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.errors import MedloopError
from flows import workspace
from flows.workspace import whole


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("workspace")
    (made / ".dvc" / "tmp").mkdir(parents=True)
    (made / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    stage = "    cmd: medloop stage make tiny\n    deps: [source]\n    outs: [folder]\n"
    (made / "dvc.yaml").write_text(f"stages:\n  make:\n{stage}")
    (made / "source").write_text("x")
    return made


@pytest.mark.parametrize("at", ['"relpath"', '"md5"', "[{", "a.json", ": "])
@pytest.mark.parametrize("gone", [True, False], ids=["outputs gone", "outputs there"])
def test_a_flipped_bit_in_a_list_is_noticed_and_mended(
    root: Path, monkeypatch: pytest.MonkeyPatch, at: str, gone: bool
) -> None:
    monkeypatch.chdir(root)
    folder = root / "folder"

    def work() -> None:
        folder.mkdir(exist_ok=True)
        for name in ("a.json", "b.json"):
            (folder / name).write_text(name)

    workspace.bring_up_to_date(root, "make", work)
    (listed,) = (root / ".dvc" / "cache" / "files").rglob("*.dir")
    whole = listed.read_bytes()
    place = whole.index(at.encode()) + len(at) // 2
    listed.chmod(0o644)
    listed.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    if gone:
        for path in (*folder.iterdir(), folder):
            path.rmdir() if path.is_dir() else path.unlink()
    (stage,) = workspace.plan(root, ["tiny"])
    assert stage.stale
    assert workspace.bring_up_to_date(root, "make", work) == "ran"
    assert listed.read_bytes() == whole
    assert not workspace.plan(root, ["tiny"])[0].stale


def test_a_damaged_entry_of_the_cache_of_runs_is_removed_and_made_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    (root / "source").write_text("another")

    def entries() -> set[Path]:
        return {path for path in (root / ".dvc" / "cache" / "runs").rglob("*") if path.is_file()}

    def work() -> None:
        (root / "folder").mkdir(exist_ok=True)
        (root / "folder" / "a.json").write_text("alone")

    before = entries()
    assert workspace.bring_up_to_date(root, "make", work) == "ran"
    (entry,) = entries() - before
    whole = entry.read_bytes()
    entry.write_bytes(b"\xe1" + whole[1:])
    (root / "dvc.lock").unlink()
    assert workspace.bring_up_to_date(root, "make", work) == "ran"
    assert entry.read_bytes() == whole


def test_a_lock_that_is_cut_anywhere_is_told_with_its_mend_or_leads_to_a_run(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    workspace.bring_up_to_date(root, "make", lambda: (root / "folder").mkdir())
    lock = root / "dvc.lock"
    whole = lock.read_text()
    for length in range(0, len(whole) - 1, 3):
        lock.write_text(whole[:length])
        try:
            (stage,) = workspace.plan(root, ["tiny"])
        except MedloopError as error:
            assert error.problem == "dvc.lock is damaged", length
            assert error.mend and error.mend.startswith("git "), length
        else:
            assert stage.stale or "size" in whole[length - 10 :] or "nfiles" in whole[length - 30 :], length
    lock.write_text(whole)


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two stages, of which the first ran in another process, as it were, and the second is to read its file."""
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    (tmp_path / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    stages = (("make", "source", "made"), ("take", "made", "taken"))
    told = [f"  {n}:\n    cmd: medloop stage {n} tiny\n    deps: [{d}]\n    outs: [{o}]\n" for n, d, o in stages]
    (tmp_path / "dvc.yaml").write_text("stages:\n" + "".join(told))
    (tmp_path / "source").write_text("x")
    monkeypatch.chdir(tmp_path)
    workspace.bring_up_to_date(tmp_path, "make", lambda: make(tmp_path))
    monkeypatch.setattr(whole, "_known", set())
    return tmp_path


def make(root: Path) -> None:
    (root / "made").write_text("as it was made")


def rot(path: Path) -> None:
    """A bit flips on the disk: neither time nor size change."""
    told = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(bytes([path.read_bytes()[0] ^ 1]))
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))


def take(root: Path) -> str:
    read = []

    def work() -> None:
        read.append((root / "made").read_text())
        (root / "taken").write_text(read[0])

    assert workspace.bring_up_to_date(root, "take", work) == "ran"
    return read[0]


def test_a_file_that_rotted_since_its_stage_ended_is_brought_back_before_it_is_read(
    pair: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rot(pair / "made")
    assert not workspace.plan(pair, ["tiny"])[0].stale, "DVC looks at time and size"
    assert take(pair) == "as it was made"
    assert "brought back out of DVC's cache: made" in " ".join(capsys.readouterr().err.split())
    assert workspace.damaged_outputs(pair) == {}


def test_one_that_is_nowhere_whole_is_an_error_and_the_next_run_makes_it_again(pair: Path) -> None:
    rot(pair / "made")
    (cached,) = (path for path in (pair / ".dvc" / "cache" / "files").rglob("*") if path.is_file())
    rot(cached)
    assert workspace.damaged_outputs(pair) == {"make": [str(pair / "made")]}
    with pytest.raises(MedloopError, match="neither in DVC's cache nor in a remote as it was: made"):
        take(pair)
    assert workspace.bring_up_to_date(pair, "make", lambda: make(pair)) == "ran"
    assert take(pair) == "as it was made"


def test_what_a_person_wrote_into_an_output_is_replaced_with_a_word(
    pair: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    take(pair)
    assert capsys.readouterr().err == ""
    (pair / "made").write_text("as a person wants it")
    workspace.bring_up_to_date(pair, "make", lambda: make(pair))
    assert "not as make left it, and replaced: made" in " ".join(capsys.readouterr().err.split())
    assert (pair / "made").read_text() == "as it was made"


def test_a_list_of_the_cache_that_rotted_does_not_make_good_files_damaged(pair: Path) -> None:
    def fill() -> None:
        (pair / "made").mkdir()
        (pair / "made" / "file").write_text("good")

    (pair / "source").write_text("a folder this time")
    workspace.bring_up_to_date(pair, "make", fill)
    (listed,) = (pair / ".dvc" / "cache" / "files").rglob("*.dir")
    listed.chmod(0o644)
    hashed = hashlib.md5(b"good").hexdigest()
    listed.write_text(listed.read_text().replace(hashed, "0" * 32))
    code = "from pathlib import Path; from flows import workspace; print(workspace.damaged_outputs(Path.cwd()))"
    fresh = subprocess.run([sys.executable, "-c", code], cwd=pair, env=_path(), capture_output=True, text=True)
    assert fresh.stdout.strip() == "{}", fresh.stderr


def _path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

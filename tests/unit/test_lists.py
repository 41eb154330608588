"""A damaged list of a folder's files in DVC's cache: noticed wherever the bit flipped, and made again."""

from pathlib import Path

import pytest

from flows import workspace


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("workspace")
    (made / ".dvc" / "tmp").mkdir(parents=True)
    (made / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    (made / "dvc.yaml").write_text("stages:\n  make:\n    cmd: medloop stage make tiny\n    outs: [folder]\n")
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

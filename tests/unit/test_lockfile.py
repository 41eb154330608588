from pathlib import Path

import pytest

from contracts.errors import MedloopError
from flows import lockfile

FIRST = """\
  clean@a:
    cmd: medloop stage clean a
    params:
      x:
        note: one

          two
    outs:
    - path: y
      md5: 0123456789abcdef0123456789abcdef
"""
SECOND = "  split@a:\n    cmd: medloop stage split a\n    outs:\n    - path: z\n      md5: 2\n"
TAIL = "datasets:\n- name: d\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / lockfile.NAME).write_text(lockfile.HEAD + FIRST + SECOND + TAIL)
    return tmp_path


def text(root: Path) -> str:
    return (root / lockfile.NAME).read_text()


def test_reading_keeps_every_byte(root: Path) -> None:
    lock = lockfile.read(root)
    assert lock.entries == {"clean@a": FIRST, "split@a": SECOND}
    assert lock.text == text(root)


def test_an_entry_takes_its_own_place(root: Path) -> None:
    lockfile.put(root, "clean@a", FIRST.replace("one", "three"))
    assert text(root) == lockfile.HEAD + FIRST.replace("one", "three") + SECOND + TAIL


def test_a_new_entry_comes_last(tmp_path: Path) -> None:
    lockfile.put(tmp_path, "split@a", SECOND)
    lockfile.put(tmp_path, "clean@a", FIRST)
    assert text(tmp_path) == lockfile.HEAD + SECOND + FIRST


def test_entries_are_put_in_order_and_unknown_ones_last(root: Path) -> None:
    lockfile.order(root, ["split@a"])
    assert text(root) == lockfile.HEAD + SECOND + FIRST + TAIL


@pytest.mark.parametrize(
    "damaged", ["schema", lockfile.HEAD + FIRST + SECOND[:40], lockfile.HEAD + FIRST.split("    outs")[0], TAIL]
)
def test_an_entry_that_was_cut_is_an_error(damaged: str, tmp_path: Path) -> None:
    (tmp_path / lockfile.NAME).write_text(damaged)
    with pytest.raises(MedloopError, match="damaged"):
        lockfile.read(tmp_path)


def test_a_byte_that_flipped_is_told_as_damage(root: Path) -> None:
    content = bytearray((root / lockfile.NAME).read_bytes())
    content[len(content) // 2] ^= 0x80
    (root / lockfile.NAME).write_bytes(content)
    with pytest.raises(MedloopError, match="damaged"):
        lockfile.read(root)


@pytest.mark.parametrize(
    "changed",
    [
        "# mine\n" + lockfile.HEAD + FIRST + SECOND,
        lockfile.HEAD + "# mine\n" + FIRST + SECOND,
        lockfile.HEAD + FIRST.replace("    outs", "# mine\n    outs") + SECOND,
        lockfile.HEAD + FIRST + "  # mine\n" + SECOND,
        lockfile.HEAD + FIRST + FIRST,
        lockfile.HEAD + FIRST.rstrip(),
        "\ufeff" + lockfile.HEAD + FIRST,
    ],
)
def test_what_a_person_changed_is_left_to_dvc(changed: str, tmp_path: Path) -> None:
    (tmp_path / lockfile.NAME).write_text(changed)
    assert not lockfile.put(tmp_path, "clean@a", FIRST)
    lockfile.order(tmp_path, ["split@a", "clean@a"])
    assert text(tmp_path) == changed

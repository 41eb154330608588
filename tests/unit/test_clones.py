"""Stages run by the code of a clone: what goes wrong there is told as it was said."""

import shutil
import sys
from pathlib import Path

import pytest

from contracts import errors
from contracts.errors import MedloopError
from flows import workspace
from flows.clones import stages_of


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        ("SchemaError('a column is gone', gone=['age'])", "a column is gone"),
        ("MedloopError('no such file')", "no such file"),
        ("ValueError('patient-0001')", "an unexpected ValueError"),
    ],
)
def test_a_fault_of_medloops_own_is_told_and_of_another_its_type(tmp_path: Path, raised: str, said: str) -> None:
    for package in ("contracts", "flows"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    shutil.copyfile(str(errors.__file__), tmp_path / "contracts" / "errors.py")
    (tmp_path / "flows" / "cli.py").write_text(
        f"from contracts.errors import MedloopError, SchemaError\ndef app(told, **options):\n    raise {raised}\n"
    )
    with stages_of(tmp_path, sys.executable) as do, pytest.raises(MedloopError) as stopped:
        do(["ingest", "tiny"])
    assert str(stopped.value) == f"stage ingest tiny failed when it was run again: {said}"


@pytest.mark.parametrize("name", ["ward", "Käse"])
def test_a_clone_uses_the_cache_whatever_the_folders_above_it_are_called(tmp_path: Path, name: str) -> None:
    root, clone = tmp_path / name, tmp_path / name / ".medloop" / "clones" / "a"
    for place in (root, clone):
        (place / ".dvc" / "tmp").mkdir(parents=True)
        (place / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    workspace.share_cache(root, clone)
    assert workspace.objects(clone) == workspace.objects(root)

"""What is known of packages and machine."""

import sys
from pathlib import Path

from flows.environment import (
    locked,
    machine,
    other_machine,
    other_versions,
    packages,
    packages_of,
    surroundings,
    told_by,
)

LOCK = """# made by make lock
numpy==2.4.6
    # via medloop
torch==2.13.0 ; python_full_version >= '3.11'
pywin32==311 ; sys_platform == 'win32'
Ruamel.Yaml==0.18.1
loose>=1
"""


def test_a_lock_tells_the_versions_for_this_system() -> None:
    assert locked(LOCK) == {"numpy": "2.4.6", "torch": "2.13.0", "ruamel-yaml": "0.18.1"}


def test_other_versions_are_named_and_a_build_is_no_other() -> None:
    installed = {"numpy": "2.4.5", "torch": "2.13.0+cpu", "more": "1"}
    told = other_versions(locked(LOCK), installed)
    assert told == ["numpy 2.4.5 instead of 2.4.6", "ruamel-yaml missing instead of 0.18.1"]


def test_the_packages_that_are_here_are_found() -> None:
    assert {"numpy", "torch", "medloop"} <= packages().keys()
    assert packages_of(sys.executable) == packages()


def test_a_runs_commit_tells_what_it_ran_on_and_with(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text(LOCK)
    here = surroundings(tmp_path)
    assert here.packages == {name: packages()[name] for name in ("numpy", "ruamel-yaml", "torch")}
    assert told_by(f"medloop: key\n\n{here.model_dump_json()}") == here
    assert told_by("a person's commit") is None and told_by("") is None


def test_another_machine_is_told_by_what_differs() -> None:
    here = machine()
    assert other_machine(here, here) == {}
    there = here.model_copy(update={"processor": "another", "threads": {"OMP_NUM_THREADS": "7"}, "python": "3.10.1"})
    assert {kind: len(said) for kind, said in other_machine(there, here).items()} == {
        "hardware": 1,
        "threads": 1,
        "library": 1,
    }

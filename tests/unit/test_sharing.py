"""Sharing runs: what does not get there is told with the run that it is of."""

from pathlib import Path
from typing import Any

import pytest

from contracts.errors import MedloopError
from flows import sharing
from flows.journal import Journal


def test_what_cannot_be_shared_names_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any) -> int:
        raise MedloopError("an object is lost", where="3f2a", mend="medloop run")

    monkeypatch.setattr(sharing, "pin_of", lambda root, key: ("3f2a", f"refs/exps/3f/2a/{key}"))
    monkeypatch.setattr(sharing.workspace, "push", lost)
    run = Journal.model_construct(key="tiny-20261122-2351-9at6", stages=[])
    failed = sharing._pushed(tmp_path, run, "/mnt/team")
    assert failed is not None
    assert (failed.problem, failed.where) == ("an object is lost", "run tiny-20261122-2351-9at6, 3f2a")

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

    pin = ("3f2a", "refs/exps/3f/2a/tiny-20261122-2351-9at6")
    monkeypatch.setattr(sharing, "pins", lambda root: {"tiny-20261122-2351-9at6": pin})
    monkeypatch.setattr(sharing.workspace, "push", lost)
    run = Journal.model_construct(key="tiny-20261122-2351-9at6", stages=[])
    failed = sharing._pushed(tmp_path, run, "/mnt/team")
    assert failed is not None
    assert (failed.problem, failed.where) == ("an object is lost", "run tiny-20261122-2351-9at6, 3f2a")


def test_what_a_remotes_own_library_raises_is_told_with_the_address_and_where_its_key_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ProtocolError(Exception):
        """As asyncssh's, of a key that is not known."""

    def refused(*_: Any) -> int:
        raise ProtocolError("Too many authentication failures")

    monkeypatch.setattr(sharing, "pins", lambda root: {"tiny-1": ("3f2a", "refs/exps/3f/2a/tiny-1")})
    monkeypatch.setattr(sharing.workspace, "push", refused)
    failed = sharing._pushed(tmp_path, Journal.model_construct(key="tiny-1", stages=[]), "ssh://bob@host/x")
    assert failed is not None
    assert failed.problem == "ssh://bob@host/x cannot be reached, or refuses it: ProtocolError"
    assert ".dvc/config.local" in failed.mend


@pytest.mark.parametrize(
    "address", ["webdavs://bob:hidden@host/x", "ssh://bob:hid@den@host:22/x", "ssh://bob:hidén@host/x"]
)
def test_a_password_is_refused_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(sharing, "find_root", lambda: tmp_path)
    monkeypatch.setattr(sharing.workspace, "share_with", lambda *_: pytest.fail("it was written"))
    with pytest.raises(MedloopError, match="holds a password") as fault:
        sharing.share(address)
    assert "hid" not in str(fault.value)


@pytest.mark.parametrize("address", ["/mnt/a:b@c", "ssh://bob@host:22/x", "s3://team/medloop@1:2"])
def test_other_addresses_are_taken(address: str) -> None:
    sharing._refuse(address)


def test_an_address_at_which_dvc_would_empty_its_settings_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "find_root", lambda: tmp_path)
    monkeypatch.setattr(sharing.workspace, "share_with", lambda *_: pytest.fail("it was written"))
    with pytest.raises(MedloopError, match="plain letters"):
        sharing.share("/mnt/Universitätsklinik")

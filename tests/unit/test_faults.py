"""What an error is taken for."""

import errno
import os

import pytest
from pydantic import BaseModel, model_serializer

from flows import cli
from flows.faults import interrupted, told


class Interrupted(BaseModel):
    @model_serializer
    def _write(self) -> str:
        raise KeyboardInterrupt


def test_ctrl_c_that_pydantic_made_an_error_of_its_own_ends_the_command_as_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "app", lambda: Interrupted().model_dump())
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == ""


def test_an_error_of_its_own_is_none() -> None:
    assert not interrupted(ValueError())
    assert not interrupted(None)


@pytest.mark.parametrize(("number", "mend"), [(errno.ENOSPC, "make room"), (errno.EACCES, "the rights")])
def test_a_full_disk_is_told_with_what_makes_room(number: int, mend: str) -> None:
    try:
        raise OSError(number, os.strerror(number))
    except OSError as error:
        fault = told(error, doing="medloop run")
    assert os.strerror(number) in fault.problem
    assert mend in (fault.mend or "")

"""What the terminal shows, at the width that it has."""

import pytest

from flows import console

HEADER = ["", "model", "MAE", "behind the best", "RMSE"]
ROW = ["2", "last-value", "16.377 (14.372 to 18.541)", "1.801 (−0.120 to 2.990), may be chance", "2.0"]


@pytest.mark.parametrize("width", [80, 200])
def test_a_narrow_terminal_keeps_what_a_model_is_behind_by(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console.console, "width", width)
    console.show_table(HEADER, [ROW], 2)
    lines = capsys.readouterr().out.splitlines()
    assert "behind the best" in lines[0] and max(map(len, lines)) <= width
    assert len(lines) == (3 if width == 80 else 2)

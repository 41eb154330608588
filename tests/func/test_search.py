"""`medloop search` by the real command: settings tried on validation rows, gone on with, all else as it was."""

from pathlib import Path

from tests.func.test_sweep import Medloop, children, state
from tests.workspace import Workspace


def test_a_search_shows_the_best_goes_on_and_leaves_everything_as_it_was(
    copy: Workspace, servers: Path, medloop: Medloop
) -> None:
    before, known = state(copy), children(servers, "search")
    asked = ["search", "tiny", "--model", "mlp", "--over", "width=8..32", "--over", "train.learning_rate=1e-9..1e-2"]
    told = medloop(copy, *asked, "--trials", "2")
    assert told.code == 0, told.text
    assert "On validation rows" in told.text
    assert "test@" not in told.text
    assert "evaluate@" not in told.text
    assert told.printed.count("✓ train@tiny-mlp") == 2
    assert children(servers, "search") - known == 2
    assert "as it is" in told.text
    page = Path(told.printed.split("page ")[1].split()[0])
    assert "What goes together" in page.read_text()
    assert state(copy) == before
    more = medloop(copy, *asked, "--trials", "3")
    assert more.printed.count("✓ train@tiny-mlp") == 1
    assert "trial 3 of 3" in more.text
    assert "trial 2 of" not in more.text


def test_a_setting_that_the_model_does_not_know_is_told_before_any_work(copy: Workspace, medloop: Medloop) -> None:
    told = medloop(copy, "search", "tiny", "--model", "mlp", "--over", "widht=8..32", "--trials", "1")
    assert told.code == 1
    assert "did you mean width" in told.text
    assert "as it is" not in told.text


def test_a_range_that_is_none_is_told_at_once(copy: Workspace, medloop: Medloop) -> None:
    told = medloop(copy, "search", "tiny", "--model", "mlp", "--over", "width=64")
    assert told.code == 1
    assert "a..b" in told.text
    assert "did you mean mlp" in medloop(copy, "search", "tiny", "--model", "mlpp").text

"""What is shown of a run beside its leaderboard."""

from pathlib import Path

import pytest

from flows.outcome import lopsided, show_parts, too_good
from flows.store import write_text
from pipelines.compare import Leaderboard


def board(metric: str, value: float, low: float | None) -> Leaderboard:
    interval = {"value": value, "low": low, "high": None, "reason": ""}
    row = {"model": "ridge", "baseline": True, "metrics": {metric: interval}, "behind": None, "tied": False}
    counts = {"rows": 99, "patients": 99, "positives": 0, "by_class": {}}
    told = {"metric": metric, "confidence": 0.95, "choice": "ridge", "verdict": "", "counts": counts}
    return Leaderboard.model_validate({**told, "rows": [row]})


@pytest.mark.parametrize(
    ("metric", "value", "low", "asked"),
    [
        ("r2", 0.9999, 0.9998, True),
        ("r2", 0.85, 0.8, False),
        ("auroc", 1.0, 0.75, False),  # of few rows: the interval says so
        ("auroc", 0.995, None, True),
        ("mae", 4.2, 4.0, False),
    ],
)
def test_a_nearly_perfect_model_is_asked_about_with_what_it_leans_on(
    tmp_path: Path, metric: str, value: float, low: float | None, asked: bool
) -> None:
    file = tmp_path / "data" / "weights" / "explain" / "ridge" / "explanation.json"
    rises = '{"importances": [{"columns": ["after"], "rise": {"low": 2.0}}, {"columns": ["x"], "rise": {"low": -0.1}}]}'
    write_text(file, rises)
    told = too_good(tmp_path, "weights", board(metric, value, low))
    assert bool(told) is asked
    assert not asked or "leans most on after: make sure that these are known" in told["too good?"]


@pytest.mark.parametrize(
    ("method", "test", "told"),
    [
        ("stratified", 4, "test has 4% of the rows instead of 20%: a patient's rows stay together"),
        ("stratified", 19, ""),
        ("site", 4, ""),
    ],
)
def test_parts_far_from_what_was_asked_are_told(tmp_path: Path, method: str, test: int, told: str) -> None:
    write_text(tmp_path / "params.yaml", "split: {validation: 0.15, test: 0.3}")
    write_text(tmp_path / "studies" / "weights.yaml", "split: {test: 0.2}")
    sizes = f'{{"train": {85 - test}, "validation": 15, "test": {test}}}'
    write_text(tmp_path / "data" / "weights" / "split" / "split.json", f'{{"method": "{method}", "sizes": {sizes}}}')
    assert lopsided(tmp_path, "weights").get("parts", "").startswith(told)
    assert bool(lopsided(tmp_path, "weights")) is bool(told)


def test_a_run_that_failed_tells_only_parts_that_it_made_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test_parts_far_from_what_was_asked_are_told(tmp_path, "stratified", 4, "test has 4%")
    made = (tmp_path / "data" / "weights" / "split" / "split.json").stat().st_mtime
    show_parts(tmp_path, ["weights", "not-split-yet"], made + 1)
    assert capsys.readouterr().out == ""
    show_parts(tmp_path, ["weights", "not-split-yet"], made - 1)
    assert "test has 4% of the rows" in capsys.readouterr().out

"""A search goes on where it stopped, as if it had not, and ends trainings that do not keep up."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest

from flows import search
from flows.console import Watcher
from flows.plan import Epoch, StoppedError
from flows.space import Range, suggest
from pipelines.compare import CompareParams
from pipelines.results import Entry

AXES = {"width": Range(8, 256, whole=True), "rate": Range(1e-4, 1e-2, whole=False), "cell": ("lstm", "gru")}


def study(metric: str = "auroc", folds: int | None = None) -> Any:
    split, compare = SimpleNamespace(folds=folds), CompareParams(metric=metric)
    return SimpleNamespace(name="tiny", split=split, compare=compare)


def opened(home: Path, monkeypatch: pytest.MonkeyPatch, value: float = 0.5, metric: str = "auroc") -> optuna.Study:
    monkeypatch.setenv("MEDLOOP_HOME", str(home))
    own: Any = Entry(evaluation=None, target=None, predicted=np.full((4, 2), value), group=None)  # type: ignore[arg-type]
    return search._opened(home, study(metric), "mlp", AXES, own)


def worth(taken: dict[str, Any]) -> float:
    return float(-abs(np.log10(taken["rate"]) + 3) + (taken["cell"] == "gru"))


def go_on(tried: optuna.Study, most: int, cut_at: int | None = None) -> None:
    for trial in search._proposed(tried, most):
        taken = suggest(trial, AXES)
        if trial.number == cut_at:
            return
        tried.tell(trial, worth(taken))


def test_a_search_that_was_cut_short_proposes_what_one_that_was_not_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on(opened(tmp_path / "whole", monkeypatch), 12)
    go_on(opened(tmp_path / "cut", monkeypatch), 12, cut_at=10)
    go_on(opened(tmp_path / "cut", monkeypatch), 12)
    whole, cut = (opened(tmp_path / name, monkeypatch).trials for name in ("whole", "cut"))
    assert [trial.params for trial in whole] == [trial.params for trial in cut]
    assert len({str(trial.params) for trial in whole}) == 12


def test_other_data_code_or_axes_are_another_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {opened(tmp_path, monkeypatch, value).study_name for value in (0.5, 0.5, 0.25)}
    assert len(names) == 2
    assert opened(tmp_path, monkeypatch, metric="brier").direction.name == "MINIMIZE"


def epoch(number: int, value: float) -> Epoch:
    told = Epoch(f"epoch {number}")
    told.number, told.value = number, value
    return told


@pytest.mark.parametrize("metric", ["auroc", "brier"])
def test_a_training_behind_most_others_is_ended_and_one_ahead_is_not(
    metric: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, watcher = opened(tmp_path, monkeypatch, metric=metric), Watcher()
    found: Any = SimpleNamespace(study=study(metric))
    sign = -1 if metric == "brier" else 1
    ended = []
    for skill in (0.7, 0.71, 0.72, 0.73, 0.74, 0.5, 0.9):
        trial = tried.ask()
        suggest(trial, AXES)
        try:
            with search._pruned(found, trial, watcher):
                for number in range(1, 9):
                    watcher.tell("train", epoch(number, skill))
                    watcher.tell("train", "between epochs")
        except StoppedError:
            ended.append((skill, max(tried.trials[-1].intermediate_values)))
            tried.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            tried.tell(trial, sign * skill)
    assert ended == [(0.5, search.WARM_UP)]
    assert watcher.heed is None


def test_a_training_that_ends_before_it_hears_of_it_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = Watcher()
    monkeypatch.setattr(search, "_reported", lambda trial: {})
    trial: Any = SimpleNamespace(report=lambda value, step: None, should_prune=lambda: True)
    with (
        pytest.raises(StoppedError),
        search._pruned(SimpleNamespace(study=study()), trial, watcher),  # type: ignore[arg-type]
        pytest.raises(StoppedError),
    ):
        watcher.tell("train", epoch(9, 0.5))


def test_epochs_of_different_folds_are_not_set_beside_each_other() -> None:
    watcher = Watcher()
    with search._pruned(SimpleNamespace(study=study(folds=3)), None, watcher):  # type: ignore[arg-type]
        assert watcher.heed is None

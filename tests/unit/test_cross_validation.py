"""A fold that fails is told, the others go on, and nothing is pooled without it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.errors import MedloopError
from flows import console, folds
from pipelines.split import SplitParams


def test_without_every_fold_nothing_is_pooled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tried: list[tuple[int, int]] = []

    def train(root: Path, study: str, values: dict[str, Any], *rest: object, test: bool) -> None:
        assert values["balance.method"] == "none"
        tried.append((values["split.repeat"], values["split.fold"]))
        if tried[-1] == (0, 1):
            raise MedloopError("no training rows of class ill")

    monkeypatch.setattr(folds.trials, "train", train)
    monkeypatch.setattr(folds, "_take", lambda *arguments: None)
    study: Any = SimpleNamespace(name="tiny")
    split = SplitParams(folds=3, repeats=2)
    with pytest.raises(
        MedloopError, match=r"1 of 6 folds failed.*fold 2 of 3, repeat 1 of 2: no training rows"
    ) as told:
        folds.tested(tmp_path, study, split, {"balance.method": "none"}, ["logistic"], console.Watcher())
    assert tried == [(repeat, fold) for repeat in range(2) for fold in range(3)]
    assert "are not done again" in told.value.mend


def test_folds_are_as_many_as_asked_else_as_the_study_says_else_five() -> None:
    plain: Any = SimpleNamespace(name="tiny", split=SplitParams())
    own: Any = SimpleNamespace(name="tiny", split=SplitParams(folds=4, repeats=2, validation=0.3))
    assert (folds.with_folds(plain, None, None).folds, folds.with_folds(plain, 3, 2).repeats) == (5, 2)
    taken = folds.with_folds(own, None, None)
    assert (taken.folds, taken.repeats, taken.validation) == (4, 2, 0.3)

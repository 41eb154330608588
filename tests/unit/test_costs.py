"""What a model costs: its size of any run, seconds of one that this run trained; no fault here is one of the run."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from flows import costs
from flows.journal import StageRecord

STAGE = StageRecord(name="dvc.yaml:train@heart-mlp", state="ran", seconds=12.5, summary="")
SIZE = {"cost_parameters": 10.0}


@pytest.fixture
def context(tmp_path: Path) -> SimpleNamespace:
    (tmp_path / "train" / "model").mkdir(parents=True)
    save_file({"a": np.zeros((2, 3)), "b": np.zeros(4)}, tmp_path / "train" / "model" / "weights.safetensors")
    settings = SimpleNamespace(name="heart")
    return SimpleNamespace(root=tmp_path, settings=settings, model="mlp", model_folder=lambda stage: tmp_path / stage)


def test_a_model_that_was_trained_is_timed(context: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(costs.workers, "call", lambda doing, _, *given, say: asked.append(given) or 0.25)
    found = costs.costs(context, [STAGE], print)
    assert asked == [(context.root, "heart", "mlp")]
    assert found.pop("cost_bytes") > 80
    assert found == {**SIZE, "cost_train_seconds": 12.5, "cost_predict_seconds_per_1000_rows": 0.25}


@pytest.mark.parametrize("other", [{"state": "restored"}, {"name": "train@heart-mlp-large"}])
def test_another_is_measured_by_its_size_alone(
    other: dict[str, str], context: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs.workers, "call", lambda *_, **__: pytest.fail("nothing is imported for this"))
    found = costs.costs(context, [STAGE.model_copy(update=other)], print)
    assert set(found) == {"cost_bytes", "cost_parameters"}


def test_what_cannot_be_timed_is_told(
    context: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> float:
        raise MemoryError

    monkeypatch.setattr(costs.workers, "call", fails)
    found = costs.costs(context, [STAGE], print)
    assert found["cost_train_seconds"] == 12.5 and "cost_predict_seconds_per_1000_rows" not in found
    told = capsys.readouterr()
    assert "how long mlp takes to predict is not known" in " ".join((told.out + told.err).split())

"""What is checked before any work."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from contracts.errors import MedloopError
from flows.preflight import check_models
from flows.settings import load
from tests.workspace import STUDY


def check(root: Path, **changes: Any) -> None:
    (root / "studies").mkdir()
    (root / "params.yaml").write_text("train: {}\n")
    with (root / "studies" / "tiny.yaml").open("w") as stream:
        YAML().dump({**STUDY, **changes}, stream)
    check_models(root, load(root, "tiny"), say=lambda said: None)


def test_models_that_fit_pass(tmp_path: Path) -> None:
    columns = {**STUDY["columns"], "scan": {"type": "image"}}
    check(tmp_path, columns=columns, models={"mlp": {}, "cnn": {"width": 8}, "fusion": {}})


def test_a_model_that_reads_no_column_of_the_study_names_those_that_fit(tmp_path: Path) -> None:
    with pytest.raises(MedloopError, match="cnn reads columns of kind image; the study has table") as error:
        check(tmp_path, models={"mlp": {}, "cnn": {}})
    assert error.value.where.endswith("tiny.yaml, models.cnn")
    assert "mlp" in error.value.mend and "rnn" not in error.value.mend


def test_a_misspelt_setting_is_told_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(MedloopError, match="widht") as error:
        check(tmp_path, models={"mlp": {"widht": 3, "train": {"epochs": 2}}})
    assert "models.mlp" in error.value.where


@pytest.mark.parametrize(
    ("models", "problem", "place"),
    [
        ({"mlp": {"width": "wide"}}, "integer", "models.ensemble.models.mlp.width"),
        ({"mlp": {"train": {"epochs": "ten"}}}, "integer", "models.ensemble.models.mlp.train.epochs"),
        ({"mpl": {}}, "did you mean mlp", "models.ensemble.models.mpl"),
        ({"mlp": {"seeds": 0}}, "seeds", "models.ensemble"),
        ({"mlp": None}, "dict", "models.ensemble.models"),
        ([], "dict", "models.ensemble.models"),
        ({"cnn": {}}, "cnn reads columns of kind image", "models.ensemble"),
    ],
)
def test_a_fault_in_a_model_that_another_is_made_of_is_told_with_its_place(
    models: object, problem: str, place: str, tmp_path: Path
) -> None:
    with pytest.raises(MedloopError, match=problem) as error:
        check(tmp_path, models={"ensemble": {"models": models}})
    assert error.value.where.endswith(f"tiny.yaml, {place}")

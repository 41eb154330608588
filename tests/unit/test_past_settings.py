"""Settings of past commits, whose files today's code would refuse."""

from pathlib import Path

import pytest

from contracts.errors import MedloopError
from flows import past_settings
from flows.settings import load
from tests.workspace import REPOSITORY, Workspace

LATER = ("protect", "explain", "balance")  # sections that medloop did not know at first


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A study of a version before some sections, whose `compare` is empty."""
    (tmp_path / "studies").mkdir()
    (tmp_path / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    Workspace(tmp_path).write_study(lambda study: [study.pop(key) for key in LATER])
    with pytest.raises(MedloopError, match="lacks protect"):
        load(tmp_path, "tiny")
    return tmp_path


def test_the_metric_is_that_of_then(old: Path) -> None:
    assert past_settings.metric(old, "tiny") == "auroc"
    Workspace(old).write_study(lambda study: study["compare"].update(metric="brier"))
    assert past_settings.metric(old, "tiny") == "brier"
    Workspace(old).write_study(lambda study: study.update(target={"column": "age", "task": "regression"}))
    assert past_settings.metric(old, "tiny") == "mae"


def test_values_are_set_where_todays_code_cannot_read_the_study(old: Path) -> None:
    past_settings.change(old, "tiny", ["models.mlp.long_gone=3", "impute.numeric=mean"])
    text = (old / "studies" / "tiny.yaml").read_text()
    assert "long_gone: 3" in text and "numeric: mean" in text


def test_and_checked_where_it_can(old: Path) -> None:
    Workspace(old).write_study()
    with pytest.raises(MedloopError, match="did you mean numeric"):
        past_settings.change(old, "tiny", ["impute.numric=mean"])


def test_another_seed_is_given_where_that_of_then_stood(old: Path) -> None:
    assert past_settings.seeded(old, "tiny", "mlp", 7) == ["train.seed=7"]
    Workspace(old).write_study(lambda study: study["models"].update(mlp={"train": {"seed": 3}}))
    assert past_settings.seeded(old, "tiny", "mlp", 7) == ["train.seed=7", "models.mlp.train.seed=7"]
    assert past_settings.seeded(old, "tiny", "logistic", 7) == ["train.seed=7"]


def test_files_that_git_does_not_keep_are_found(old: Path) -> None:
    assert list(past_settings.local_sources(old, "tiny")) == ["patients.csv"]
    tables = {"a": {"path": "a.csv"}, "b": {"path": "b.csv", "folder": "scans"}, "c": {"path": "s3://c/c.csv"}}
    Workspace(old).write_study(lambda study: study.update(source={"kind": "query", "tables": tables}))
    assert list(past_settings.local_sources(old, "tiny")) == ["a.csv", "b.csv", "scans"]

"""Studies' files into settings: what is merged, which faults are told where, and whom a broken file stops."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from contracts.errors import MedloopError
from flows import index
from flows.settings import _page, load
from pipelines.sources import UnreachableError
from tests.workspace import STUDY


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., None]:
    """Writes a study's file, the made-up study changed in some keys."""
    (tmp_path / "studies").mkdir()
    (tmp_path / "params.yaml").write_text("default_study: tiny\ntrain: {epochs: 9}\nmodels: {mlp: {hidden: [8]}}\n")

    def write(name: str = "tiny", **changes: Any) -> None:
        with (tmp_path / "studies" / f"{name}.yaml").open("w") as stream:
            YAML().dump({**STUDY, **changes}, stream)

    return write


def test_the_study_overrides_the_shared_values(tmp_path: Path, write: Callable[..., None]) -> None:
    write(train={"patience": 2}, models={"mlp": None, "logistic": {"max_iter": 25}})
    settings = load(tmp_path, "tiny")
    assert settings.train == {"epochs": 9, "patience": 2}
    assert settings.models == {"mlp": {"hidden": [8]}, "logistic": {"max_iter": 25}}


def test_a_models_own_training_goes_before_the_studys(tmp_path: Path, write: Callable[..., None]) -> None:
    (tmp_path / "params.yaml").write_text(
        "train: {epochs: 9}\nmodels: {mlp: {hidden: [8], train: {seed: 3, threads: 2}}}\n"
    )
    write(train={"patience": 2}, models={"mlp": {"train": {"epochs": 4, "seed": 5}}, "logistic": {}})
    settings = load(tmp_path, "tiny")
    assert settings.training("mlp") == {"epochs": 4, "patience": 2, "seed": 5, "threads": 2}
    assert settings.training("logistic") == {"epochs": 9, "patience": 2}
    assert settings.architecture("mlp") == {"hidden": [8]}
    write(models={"mlp": {"train": None}, "logistic": {"train": None}})
    assert load(tmp_path, "tiny").training("mlp") == {**STUDY["train"], "seed": 3, "threads": 2}
    assert load(tmp_path, "tiny").training("logistic") == STUDY["train"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"models": {"mlp": {"train": {"epoch": 3}}}},
            r"did you mean epochs(.|\n)*tiny\.yaml, models\.mlp\.train\.epoch",
        ),
        ({"train": {"min_delta": float("nan")}}, r"usual size(.|\n)*tiny\.yaml, train\.min_delta"),
        ({"models": {"mlp": {"train": {"seed": 10**22}}}}, r"usual size(.|\n)*tiny\.yaml, models\.mlp\.train\.seed"),
        ({"models": {"mlp": {"train": 3}}}, r"mapping of keys(.|\n)*tiny\.yaml, models\.mlp\.train"),
        ({"notify": {"to": ["slack://a-token"]}}, r"holds a secret, or may(?!(.|\n)*a-token)(.|\n)*notify\.to"),
        ({"drift": {"leave_out": "age"}}, r"a list was expected: \[age\]; got 'age'(.|\n)*drift\.leave_out"),
        ({"drift": {"leave_out": ["agee"]}}, r"drift\.leave_out: agee is no declared feature \(did you mean age\?\)"),
        ({"gate": {"margn": 0.1}}, r"unknown key margn \(did you mean margin\?\)(.|\n)*tiny\.yaml, gate\.margn"),
        ({"gate": {"metric": "mae"}}, r"metric: mae does not fit the task classes(.|\n)*tiny\.yaml, gate\.metric"),
        ({"gate": {"subgroups": {"sx": []}}}, r"subgroups: sx is no declared feature \(did you mean sex\?\)"),
        ({"gate": {"subgroups": {"age": []}}}, r"subgroups: age is numeric, and so it is cut at numbers"),
        ({"train": {"epoch": 3}}, r"did you mean epochs(.|\n)*tiny\.yaml, train\.epoch"),
        ({"train": {"epochs": 0}}, r"1 or more(.|\n)*tiny\.yaml, train"),
        ({"train": {"threshold": "best"}}, r"tiny\.yaml, train\.threshold"),
        ({"train": [1]}, r"mapping of keys(.|\n)*tiny\.yaml, train"),
        ({"models": 3}, r"mapping of keys(.|\n)*tiny\.yaml, models"),
        ({"models": {"mlp": 3}}, r"mapping of keys(.|\n)*tiny\.yaml, models\.mlp"),
        ({"models": None}, r"tiny\.yaml, models"),
        ({"models": {"../mlp": {}}}, r"model name(.|\n)*tiny\.yaml, models"),
        ({"source": None}, r"tiny\.yaml, source"),
        ({"columns": None}, r"tiny\.yaml, columns"),
        ({"impute": {"numerics": "mean"}}, r"did you mean numeric(.|\n)*tiny\.yaml, impute"),
    ],
)
def test_a_fault_is_told_with_its_file_and_key(
    tmp_path: Path, write: Callable[..., None], changes: dict[str, Any], told: str
) -> None:
    write(**changes)
    with pytest.raises(MedloopError, match=told):
        load(tmp_path, "tiny")


@pytest.mark.parametrize(
    ("section", "page"),
    [
        ("impute", "pipelines/impute.py"),
        ("train", "docs/training.md"),
        ("columns", "docs/study.md"),
        ("", "docs/study.md"),
    ],
)
def test_a_fault_is_told_where_its_keys_are_explained(section: str, page: str) -> None:
    assert _page(section) == page
    assert (Path(__file__).parents[2] / page).is_file()


def test_a_study_need_not_name_what_no_stage_reads(tmp_path: Path, write: Callable[..., None]) -> None:
    (tmp_path / "params.yaml").write_text("models: {mlp: {}}\ngate: {decision: promote, margin: better}\n")
    write(gate={"subgroups": {"sex": [], "age": [50]}})
    gate = load(tmp_path, "tiny").gate
    assert (gate.decision, gate.margin, gate.subgroups) == ("promote", "better", {"sex": (), "age": (50.0,)})
    write()
    assert load(tmp_path, "tiny").gate.decision == "promote"


def test_a_shared_training_key_is_told_in_its_own_file(tmp_path: Path, write: Callable[..., None]) -> None:
    write()
    (tmp_path / "params.yaml").write_text("train: {epoch: 9}\n")
    with pytest.raises(MedloopError, match=r"params\.yaml, train\.epoch"):
        load(tmp_path, "tiny")


def test_a_broken_study_stops_only_its_own_run(tmp_path: Path, write: Callable[..., None]) -> None:
    write()
    write("other", train={"epoch": 3})
    write("Bad Name")
    loaded, faults = index.refresh(tmp_path, ["tiny"])
    assert list(loaded) == ["tiny"]
    assert list(faults) == ["Bad Name", "other"]
    listed = YAML(typ="safe").load(tmp_path / "studies.yaml")
    assert list(listed["studies"]) == ["tiny"]
    assert {entry["study"] for entry in listed["experiments"].values()} == {"tiny"}
    with pytest.raises(MedloopError, match="did you mean epochs"):
        index.refresh(tmp_path, ["tiny", "other"])


def test_a_source_that_cannot_be_seen_is_told_and_the_note_stays(
    tmp_path: Path, write: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(source={"kind": "file", "path": "https://example.org/patients.csv"})
    monkeypatch.setattr(index, "fingerprint", lambda source, root: {"etag": "1"})
    assert index.refresh(tmp_path, ["tiny"], look=True)[1] == {}
    note = tmp_path / "seen" / "tiny.json"
    seen = note.read_bytes()

    def unreachable(source: object, root: Path) -> dict[str, str]:
        raise UnreachableError("no answer", where="https://example.org")

    monkeypatch.setattr(index, "fingerprint", unreachable)
    loaded, faults = index.refresh(tmp_path, ["tiny"], look=True)
    assert "tiny" in loaded
    assert "could not look whether the data of tiny are new: no answer" in str(faults["tiny"])
    assert note.read_bytes() == seen
    assert index.refresh(tmp_path, ["tiny"])[1] == {}
    note.unlink()
    with pytest.raises(UnreachableError):
        index.refresh(tmp_path, ["tiny"], look=True)

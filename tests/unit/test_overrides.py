"""`-S`: a value is set in every study named, or nothing is changed at all."""

import io
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from contracts.errors import MedloopError
from flows import overrides
from flows.settings import load
from tests.workspace import STUDY

COMMENT = "# checked by Ada\r\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two studies, whose files have a comment and line ends of Windows."""
    (tmp_path / "params.yaml").write_text("default_study: tiny\ntrain: {epochs: 9}\n")
    (tmp_path / "studies").mkdir()
    stream = io.StringIO()
    YAML().dump({**STUDY, "models": {"logistic": {}}}, stream)
    text = COMMENT + stream.getvalue().replace("\n", "\r\n")
    for name in ("tiny", "other"):
        (tmp_path / "studies" / f"{name}.yaml").write_bytes(text.encode())
    return tmp_path


def content(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "studies").iterdir()}


def test_values_are_set_in_every_study_and_comments_kept(root: Path) -> None:
    overrides.apply(
        root, ["tiny", "other"], ["train.epochs=7", "evaluate.resamples=150", "models.logistic.max_iter=25"]
    )
    for name in ("tiny", "other"):
        settings = load(root, name)
        assert (settings.train["epochs"], settings.evaluate.resamples) == (7, 150)
        assert settings.models == {"logistic": {"max_iter": 25}}
        assert COMMENT.strip() in (root / "studies" / f"{name}.yaml").read_text()


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("train.epoch=3", "did you mean epochs"),
        ("train.epochs=many", "epochs"),
        ("train.epochs.x=3", "epochs"),
        ("models.logistic.max_iters=1", "did you mean max_iter"),
        ("models.logistics.max_iter=1", "did you mean logistic"),
        ("models.logistic=", "a mapping"),
        ("impute.numerics=mean", "did you mean numeric"),
        ("trains.epochs=3", "did you mean train"),
        ("impute.numeric=[", "not YAML"),
        ("epochs", "section.key=value"),
    ],
)
def test_a_wrong_assignment_changes_no_file(root: Path, assignment: str, told: str) -> None:
    before = content(root)
    with pytest.raises(MedloopError, match=told):
        overrides.apply(root, ["tiny", "other"], ["train.patience=4", assignment])
    assert content(root) == before


@pytest.mark.parametrize(
    "broken", [b"a: [", b"", b"- a list", b"train: \xff", COMMENT.encode() + b"impute: &a {}\nbalance: *a\n"]
)
def test_a_broken_study_is_told_and_the_others_stay_as_they_were(root: Path, broken: bytes) -> None:
    (root / "studies" / "other.yaml").write_bytes(broken)
    before = content(root)
    with pytest.raises(MedloopError, match=r"other\.yaml"):
        overrides.apply(root, ["tiny", "other"], ["train.epochs=7"])
    assert content(root) == before


def test_an_unknown_study_is_told_with_the_nearest(root: Path) -> None:
    before = content(root)
    with pytest.raises(MedloopError, match="did you mean tiny"):
        overrides.apply(root, ["other", "tinny"], ["train.epochs=7"])
    assert content(root) == before


def test_an_empty_section_takes_a_value(root: Path) -> None:
    path = root / "studies" / "tiny.yaml"
    path.write_text(path.read_text().replace("impute: {}", "impute:"))
    overrides.apply(root, ["tiny"], ["impute.numeric=mean"])
    assert load(root, "tiny").impute.numeric == "mean"


def test_other_writers_keep_their_way_with_nulls() -> None:
    """DVC writes dvc.lock with the same library in the same process; `dvc repro` must leave the same bytes."""
    own, other = io.StringIO(), io.StringIO()
    overrides._round_trip().dump({"time": None}, own)
    YAML().dump({"time": None}, other)
    assert own.getvalue() == "time: null\n"
    assert other.getvalue() == "time:\n"

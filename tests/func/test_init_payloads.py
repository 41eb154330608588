"""From a folder of pictures to a trained model and scored new pictures, by the commands that a user types."""

import pandas as pd
import pytest
from ruamel.yaml import YAML

from tests import mixed
from tests.func.conftest import Outcome
from tests.workspace import Workspace


@pytest.fixture
def pictures(workspace: Workspace) -> Workspace:
    """A workspace with the made-up study's pictures, in a folder a class."""
    mixed.write(workspace)
    visits = pd.read_csv(workspace.root / "mixed" / "visits.csv", dtype="str").dropna()
    for ill, number, scan in zip(visits["ill"], visits["record"], visits["scan"], strict=True):
        place = workspace.root / "scans" / ill / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        (workspace.root / "mixed" / scan).rename(place)
    (workspace.root / "scans" / "about.txt").write_text("pictures")
    return workspace


def test_pictures_with_another_ending_are_told_before_they_are_lost(pictures: Workspace, medloop) -> None:
    place = sorted((pictures.root / "scans").rglob("*.png"))[0]
    place.rename(place.with_suffix(".PNG"))
    drafted: Outcome = medloop(pictures, "init", "scans", "--target", "ill")
    assert "1 .txt, 1 .PNG lie or end otherwise than `files: {ill}/{picture}.png` says" in drafted.text
    assert "{ill}/{picture}.{format} takes them all: then write `format` under drop" in drafted.text


def test_a_folder_of_pictures_is_drafted_run_and_asked(pictures: Workspace, medloop) -> None:
    drafted: Outcome = medloop(pictures, "init", "scans", "--target", "ill")
    assert drafted.code == 0, drafted.printed
    assert "1 .txt lie or end otherwise than `files: {ill}/{picture}.png` says, and are left out •" in drafted.text
    file = pictures.root / "studies" / "scans.yaml"
    study = YAML(typ="safe").load(file.read_text())
    assert study["columns"] == {"file": {"type": "image", "size": [32, 32], "colour": "grey", "depth": 8}}
    assert study["id"] == "picture"
    drafted_text, network = file.read_text(), "  # cnn: {}  # reads columns of type image themselves\n"
    assert network in drafted_text
    models = drafted_text.index("models:\n") + len("models:\n")
    file.write_text(drafted_text[:models] + "  cnn: {filters: [8], width: 16, train: {epochs: 2}}\n")
    ran: Outcome = medloop(pictures, "run", "scans")
    assert ran.code == 0, ran.printed
    assert "rows of 3 columns; 1 other files are not as `files` says" in ran.text
    new = pictures.root / "new"
    new.mkdir()
    for place in sorted((pictures.root / "scans").rglob("*.png"))[:5]:
        (new / place.name).write_bytes(place.read_bytes())
    (new / "torn.png").write_bytes(place.read_bytes()[:200])
    (new / "about.txt").write_text("pictures")
    asked: Outcome = medloop(pictures, "predict", "scans", "new", "--out", "scores.csv")
    assert asked.code == 0, asked.printed
    assert "1 files of new were left out" in asked.text
    assert "5 rows scored, 1 could not be" in asked.text
    scores = pd.read_csv(pictures.root / "scores.csv", dtype="str", keep_default_na=False)
    assert (scores["predicted"] != "").tolist() == [True] * 5 + [False]
    assert "torn.png" in scores["reason"][5]
    assert scores["id"][5] == "torn"

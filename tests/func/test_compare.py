"""`medloop compare` by the real command: runs found by each of their names, and one page that holds no patient."""

from collections.abc import Callable
from pathlib import Path

from tests.func.conftest import Outcome
from tests.workspace import NUMBER, RECORD, Workspace

Medloop = Callable[..., Outcome]


def test_runs_are_compared_by_any_of_their_names(finished: Workspace, medloop: Medloop, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told = medloop(finished, "compare", f"{finished.key}/mlp", "tiny/logistic", "--html", str(page))
    assert told.code == 0, told.text
    assert "on AUROC" in told.text and "shared test rows" in told.text
    html = page.read_text(encoding="utf-8")
    for part in ("Metrics", "Curves and thresholds", "Training", "What differs", "Where the two disagree"):
        assert f">{part}</h2>" in html
    assert "<code>mlp.width</code>" in html, "a setting that differs"
    shown = html[html.index("<main>") :]
    assert not [one for one in (RECORD, NUMBER, "patient-0", "patient-1") if one in shown]
    assert "http://" not in shown and "https://" not in shown


def test_a_key_names_all_its_models(finished: Workspace, medloop: Medloop) -> None:
    told = medloop(finished, "compare", finished.key)
    assert told.code == 0 and "behind the best by" in told.text, told.text
    again = medloop(finished, "compare", "tiny@champion", f"{finished.key}/mlp", f"{finished.key}/logistic")
    assert again.code == 0, again.text


def test_a_card_is_drafted_from_the_record(finished: Workspace, medloop: Medloop, tmp_path: Path) -> None:
    paths = {kind: tmp_path / f"card.{kind}" for kind in ("html", "markdown")}
    told = medloop(
        finished, "card", f"{finished.key}/mlp", "--html", str(paths["html"]), "--markdown", str(paths["markdown"])
    )
    assert told.code == 0 and "of 27 items" in told.text, told.text
    for path in paths.values():
        text = path.read_text(encoding="utf-8")
        for said in (
            "A made-up study",
            f"medloop reproduce {finished.key}/mlp",
            "A person must fill in",
            "no leak found",
        ):
            assert said in text.replace("\\", ""), said
        assert RECORD not in text and NUMBER not in text and "patient-0" not in text
    assert "names 3 runs" in medloop(finished, "card", finished.key).text


def test_a_damaged_object_is_no_evidence(finished: Workspace, copy: Workspace, medloop: Medloop) -> None:
    from flows import home
    from flows.comparing import runs
    from flows.comparing.files import of

    run = runs.find(copy.root, [f"{finished.key}/mlp", "tiny/mlp"])[0]
    place = of(copy.root, run).paths("evaluate", ["evaluation.json"])["evaluation.json"]
    place.chmod(0o644)
    place.write_text("{}")
    told = medloop(copy, "compare", f"{finished.key}/mlp", "tiny/logistic")
    assert told.code == 3 and "neither DVC's cache nor a remote has this file as that run wrote it" in told.text
    assert home.find_root(copy.root) == copy.root


def test_wrong_input_is_told(finished: Workspace, medloop: Medloop, tmp_path: Path) -> None:
    for arguments, said in (
        (("tiny/mlp",), "a comparison takes two runs or more"),
        (("tiny/mpl", "tiny/mlp"), "the working tree has no result of tiny/mpl"),
        (("nosuch", "tiny/mlp"), "no run is called 'nosuch'"),
        (("tiny/mlp", "tiny/logistic", "--by", "nosuch"), "nosuch is no column that groups can be made of"),
        (("tiny/mlp", "tiny/logistic", "--by", "age=old"), "numbers were expected after =; got 'old'"),
        (("tiny/mlp", "tiny/logistic", "--html", str(tmp_path / "no" / "page.html")), "there is no such folder"),
    ):
        told = medloop(finished, "compare", *arguments)
        assert told.code == 1 and said in told.text, told.text

"""dvc.yaml is the one list of stages: it must name all the code that shapes a stage's outputs."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
# Plumbing: paths, settings (DVC compares their values) and the words of errors shape no output.
PLUMBING = ("contracts/errors.py", "contracts/names.py", "contracts/__init__.py")
OURS = ("contracts", "pipelines", "models")


def module_file(name: str) -> Path | None:
    path = ROOT.joinpath(*name.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


@cache
def imported(path: Path) -> frozenset[Path]:
    """The files of ours that a file imports, wherever in it the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    ours = {n for n in names if n.split(".")[0] in OURS or n == "flows.arrays"}
    return frozenset(f for f in map(module_file, ours) if f)


def closure(stage: str) -> set[str]:
    reached, waiting = set[Path](), [ROOT / "flows" / "stages" / f"{stage}.py"]
    if stage in ("train", "explain", "evaluate"):  # families are found by name, each a dependency of its own models
        families = sorted((ROOT / "models" / "families").glob("[a-z]*.py"))
        waiting += sorted({file for family in families for file in imported(family)} - set(families))
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += imported(path)
    names = {p.relative_to(ROOT).as_posix() for p in reached if p.read_text().strip()}
    return {n for n in names if n not in PLUMBING and not n.endswith(("pipelines/__init__.py", "models/__init__.py"))}


@pytest.mark.parametrize("stage", STAGES)
def test_code_dependencies_are_declared(stage: str) -> None:
    declared = {d for d in STAGES[stage]["do"]["deps"] if d.endswith(".py") and "${" not in d}
    assert declared == closure(stage), f"under deps of {stage} in dvc.yaml"


@pytest.mark.parametrize("stage", ["train", "explain", "evaluate"])
def test_a_model_depends_on_its_own_family_only(stage: str) -> None:
    deps = STAGES[stage]["do"]["deps"]
    assert [d for d in deps if d.startswith(("models/families/", "${item.file}"))] == ["${item.file}"]


@pytest.mark.parametrize("stage", ["train", "explain"])
def test_training_and_explaining_cannot_see_test_rows(stage: str) -> None:
    deps = STAGES[stage]["do"]["deps"]
    assert not [d for d in deps if "test.parquet" in d or "samples.parquet" in d]


def test_every_stage_has_its_module_and_the_other_way_round() -> None:
    modules = {p.stem for p in (ROOT / "flows" / "stages").glob("*.py")} - {"__init__"}
    assert modules == set(STAGES)


def test_every_dependency_is_locked() -> None:
    """`make run` installs the lock alone: what pyproject names and the lock lacks is missing in a clean clone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    locked = set(re.findall(r"^([a-z0-9.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    names = {re.split(r"[\[<>=!~ ]", requirement)[0].lower().replace(".", "-") for requirement in wanted}
    assert names - locked == set()

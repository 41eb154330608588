"""A temporary medloop workspace with a small, messy, made-up study; the real command runs in it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

REPOSITORY = Path(__file__).parents[1]
CODE = ("contracts", "flows", "pipelines", "models", "dvc.yaml", "params.yaml", ".gitignore", ".dvcignore", ".dvc")
MEDLOOP = Path(sys.executable).with_name("medloop")


# Planted for a search of what medloop keeps: an id, a level and a number that no text holds by chance.
RECORD, LEVEL, NUMBER = "record-qzx7", "quit-qzx7", "123.456789"


def patients(rows: int = 360, seed: int = 0) -> pd.DataFrame:
    """Cells as text: a label that age and glucose explain in part, blanks, codes, an id with leading zeros."""
    rng = np.random.default_rng(seed)
    age, glucose = rng.normal(55, 14, rows).round(0), rng.normal(100, 20, rows).round(1)
    ill = rng.random(rows) < 1 / (1 + np.exp(-(0.06 * (age - 60) + 0.05 * (glucose - 105))))
    table = pd.DataFrame(
        {
            "record": [f"{i:05d}" for i in range(1, rows + 1)],
            "patient": [f"patient-{i // 2:04d}" for i in range(rows)],
            "age": age.astype(int).astype(str),
            "glucose": glucose.astype(str),
            "sex": rng.choice(["f", "m"], rows),
            "smoker": rng.choice(["never", LEVEL, "current", ""], rows),
            "ill": np.where(ill, "yes", "no"),
        }
    )
    table.loc[rng.random(rows) < 0.15, "glucose"] = ""
    table.loc[rows // 2, ["record", "glucose"]] = RECORD, NUMBER
    return table


STUDY = {
    "title": "A made-up study",
    "source": {"kind": "file", "path": "patients.csv"},
    "id": "record",
    "group": "patient",
    "time": None,
    "target": {"column": "ill", "classes": ["no", "yes"], "positive": "yes"},
    "cohort": {},
    "columns": {
        "age": {"type": "numeric", "unit": "years", "range": [0, 120]},
        "glucose": {"type": "numeric", "unit": "mg/dL", "range": [20, 600]},
        "sex": {"type": "categorical", "levels": ["f", "m"]},
        "smoker": {"type": "categorical"},
    },
    "drop": {},
    "protect": {"age": {"cap": 89}},
    **{s: {} for s in ("ingest", "validate", "clean", "split", "impute", "normalize", "balance", "audit", "compare")},
    "train": {"epochs": 3},
    "explain": {"repeats": 2},
    "evaluate": {"resamples": 200},
    "models": {"logistic": {}, "boosting": {}, "mlp": {}},
}


@dataclass(frozen=True)
class Workspace:
    """A Git repository with medloop's code, one study `tiny`, and its data; `key` is that of its last run."""

    root: Path
    key: str = ""

    def write_study(self, change: Callable[[dict], object] | None = None, name: str = "tiny") -> None:
        study = YAML(typ="safe").load(_text(STUDY))
        if change:
            change(study)
        (self.root / "studies" / f"{name}.yaml").write_text(_text(study), encoding="utf-8")

    def write_data(self, table: pd.DataFrame) -> None:
        table.to_csv(self.root / "patients.csv", index=False)

    def medloop(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """The real command in a process of its own."""
        return run([str(MEDLOOP), *arguments], self.root, env)

    def dvc(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run([str(MEDLOOP.with_name("dvc")), *arguments], self.root)

    def data(self, *parts: str) -> Path:
        return self.root.joinpath("data", "tiny", *parts)


def _text(study: dict) -> str:
    import io

    stream = io.StringIO()
    YAML().dump(study, stream)
    return stream.getvalue()


def run(command: Sequence[str], root: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    path = f"{MEDLOOP.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "200", **(env or {})}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=600)


def make_workspace(root: Path) -> Workspace:
    root.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "tmp", "cache", "config.local")
    for name in CODE:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=ignored)
        else:
            shutil.copyfile(source, root / name)
    (root / "studies").mkdir()
    workspace = Workspace(root)
    workspace.write_study()
    workspace.write_data(patients())
    git = ["git", "-c", "user.name=tester", "-c", "user.email=tester@example.org", "-c", "init.defaultBranch=main"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "a workspace"]):
        subprocess.run([*git, *arguments], cwd=root, check=True, capture_output=True)
    return workspace

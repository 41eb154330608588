"""What made each run: its settings, data, code and environment, and what of these differs."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import MedloopError
from contracts.study import PAYLOADS
from flows import environment, record, settings
from flows.comparing.files import Files, entry
from flows.comparing.rows import Judged
from flows.comparing.runs import Run
from flows.environment import Machine
from flows.git import git
from flows.stages import Context
from flows.store import read_table
from pipelines.comparison.differs import DataDifference, data_difference, differing

if TYPE_CHECKING:
    import pandas as pd

DEPENDENCY = re.compile(r"^    - path: (\S+\.py)\n      hash: md5\n      md5: '?([^\s']+)'?\n", re.MULTILINE)
STAGES = ("ingest", "clean", "split", "impute", "normalize", "balance", "train", "evaluate")
OF_MODEL = ("train", "evaluate")
MOST_LINES, LOCK = 300, "requirements.lock"


@dataclass(frozen=True, kw_only=True)
class Code:
    """The commits of two runs, how many lines of which files changed between, and the changes themselves."""

    first: str
    second: str
    stat: str
    shaping: Sequence[str]
    diff: str


def with_params(root: Path, runs: Sequence[Run]) -> dict[str, Mapping[str, Any]]:
    """By name of each run its settings; of the working tree, as they would be recorded."""
    return {run.name: run.params or _present(root, run) for run in runs}


def _present(root: Path, run: Run) -> dict[str, str]:
    try:
        found = record.params_of(
            Context(root=root, settings=settings.load(root, run.study), model=run.model), run.model
        )
    except MedloopError:
        return {}
    return {key: of if isinstance(of, str) else json.dumps(of, ensure_ascii=False) for key, of in found.items()}


def params_that_differ(root: Path, runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """Settings that are not the same in all runs, by name, then run."""
    return {name: of for name, of in differing(with_params(root, runs)).items() if name != "model"}


def data(first: Judged, other: Judged) -> DataDifference | None:
    """How the second's samples differ from the first's; None where they are the same file."""
    if first.data == other.data and first.data:
        return None
    one, two = (_samples(of) for of in (first, other))
    return data_difference(one, two, (first.schema.features, other.schema.features))


def _samples(of: Judged) -> "pd.DataFrame":
    path = of.files.paths("clean", ["samples.parquet"])["samples.parquet"]
    table = read_table(path)
    hidden = [name for name, column in of.schema.features.items() if column.type in PAYLOADS]
    return table.drop(columns=[name for name in (*hidden, "@group", "@time") if name in table.columns])


def code(root: Path, first: Files, other: Files) -> Code | None:
    """What changed in code and settings between the commits that pin two runs; None where nothing did."""
    revisions = [of.revision for of in (first, other) if of.revision]
    if len(revisions) == 2 and revisions[0] == revisions[1]:
        return None
    swapped = first.revision is None  # Git compares a commit with the working tree in this direction only
    between = ["-R", *revisions] if swapped else revisions
    if not revisions:
        return None
    study = f"studies/{other.run.study}.yaml"
    watched = ["*.py", "params.yaml", "dvc.yaml", study]
    stat = git(root, "diff", "--stat=100", *between, "--", *watched)
    if not stat:
        return None
    one, two = (dependencies(of) for of in (first, other))
    shaping = sorted(path for path in one.keys() | two.keys() if one.get(path) != two.get(path))
    lines = git(root, "diff", "--unified=2", *between, "--", "params.yaml", study, *shaping).splitlines()
    cut = [f"… and {len(lines) - MOST_LINES:,} more lines"] if len(lines) > MOST_LINES else []
    return Code(
        first=(first.revision or "the working tree")[:16],
        second=(other.revision or "the working tree")[:16],
        stat=_short(stat),
        shaping=shaping,
        diff="\n".join([*lines[:MOST_LINES], *cut]),
    )


def _short(stat: str, most: int = 40) -> str:
    lines = stat.splitlines()
    return (
        stat if len(lines) <= most else "\n".join([*lines[: most - 1], f" … {len(lines) - most} more files", lines[-1]])
    )


def dependencies(of: Files) -> dict[str, str]:
    """The code that shaped the model and its figures, by path its hash, as dvc.lock has it."""
    found: dict[str, str] = {}
    for stage in STAGES:
        arguments = (stage, of.run.study, *([of.run.model] if stage in OF_MODEL else []))
        found |= dict(DEPENDENCY.findall(entry(of.lock, " ".join(arguments)).partition("\n    outs:\n")[0] + "\n"))
    return found


def packages(root: Path, runs: Sequence[Files]) -> dict[str, dict[str, str]]:
    """Packages whose version is not the same in all locks, by name, then run."""
    by_run = {of.run.name: _locked(root, of) for of in runs}
    return differing(by_run)


def _locked(root: Path, of: Files) -> dict[str, str]:
    try:
        text = git(root, "show", f"{of.revision}:./{LOCK}") if of.revision else (root / LOCK).read_text("utf-8")
    except (MedloopError, OSError):
        return {}
    return environment.locked(text)


def machines(runs: Sequence[Run]) -> dict[str, dict[str, str]]:
    """Hardware, Python and threads that are not the same in all runs that tell them, by name, then run."""
    told = {run.name: _machine(run) for run in runs}
    return differing({name: of for name, of in told.items() if of})


def _machine(run: Run) -> dict[str, str]:
    text = run.tags.get("medloop.machine")
    if text:
        machine = Machine.model_validate_json(text)
    elif run.run_id:
        return {}
    else:
        machine = environment.machine()
    return {name: str(value) for name, value in machine.model_dump().items()}

"""What a run wrote, file by file: out of the working tree, or as the commit that pins it says, out of DVC's cache."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flows import workspace
from flows.comparing.runs import Run, commit
from flows.git import git
from flows.home import data_folder

OUTPUT = re.compile(r"^    - path: (\S+)\n      hash: md5\n      md5: '?([^\s']+)'?\n", re.MULTILINE)
NEXT = re.compile(r"^  \S", re.MULTILINE)
OF_MODEL = ("train", "explain", "evaluate")


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files of a run. `revision`: the commit that pins it; None is the working tree. `told`: its dvc.lock, read."""

    root: Path
    run: Run
    revision: str | None
    told: str = ""

    def paths(self, stage: str, names: Sequence[str]) -> dict[str, Path]:
        """Where these files of a stage lie; without those that it did not write.

        Raises MedloopError when the run's cache has lost them.
        """
        folder = data_folder(Path(), self.run.study, stage) / (self.run.model if stage in OF_MODEL else "")
        wanted = {name: (folder / name).as_posix() for name in names}
        if self.revision is None:
            return {name: self.root / path for name, path in wanted.items() if (self.root / path).exists()}
        model = self.run.model if stage in OF_MODEL else ""
        found = workspace.kept_files(self.root, self.outputs(stage, model), wanted.values())
        return {name: found[path] for name, path in wanted.items() if path in found}

    @property
    def lock(self) -> str:
        """The text of the run's dvc.lock."""
        if self.told or not self.revision:
            return self.told or (self.root / "dvc.lock").read_text("utf-8")
        return _lock(self.root, self.revision)

    def outputs(self, stage: str, model: str = "") -> dict[str, str]:
        """By path of each output of a stage its hash, as dvc.lock has it."""
        return outputs(self.lock, " ".join(filter(None, (stage, self.run.study, model))))


def of(root: Path, run: Run) -> Files:
    """A run's files. Raises MedloopError when this clone has not the commit that pins it."""
    return Files(root=root, run=run, revision=commit(root, run) if run.run_id else None)


@functools.lru_cache(maxsize=16)
def _lock(root: Path, revision: str) -> str:
    return git(root, "show", f"{revision}:./dvc.lock") + "\n"


def entry(lock: str, arguments: str) -> str:
    """What dvc.lock says of the stage whose command is `medloop stage` and these arguments; "" where it has none."""
    start = lock.find(f"    cmd: medloop stage {arguments}\n")
    if start < 0:
        return ""
    following = NEXT.search(lock, start)
    return lock[start : following.start() if following else len(lock)]


def outputs(lock: str, arguments: str) -> dict[str, str]:
    """The outputs of that stage and their hashes."""
    return dict(OUTPUT.findall(entry(lock, arguments).partition("\n    outs:\n")[2] + "\n"))

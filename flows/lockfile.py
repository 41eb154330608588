"""dvc.lock as text: one entry put in place, the others left as they are, byte for byte as DVC would write them.

DVC parses and writes all entries for each stage that ran, which takes longer the more studies there are.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import MedloopError
from flows.store import write_text

NAME = "dvc.lock"
HEAD = "schema: '2.0'\nstages:\n"
ENTRY = re.compile(r"^  (\S[^\n]*?):\n(?:(?:    [^\n]*)?\n)*", re.MULTILINE)


@dataclass(frozen=True)
class Lock:
    """What stands before the entries, the entries by stage, what stands behind them."""

    head: str
    entries: dict[str, str]
    tail: str

    @property
    def text(self) -> str:
        """The file."""
        return "".join([self.head, *self.entries.values(), self.tail])


def read(root: Path) -> Lock:
    """The lock. Raises MedloopError when it is truncated: DVC would run everything again, without a word."""
    path = root / NAME
    if not path.is_file():
        return Lock(HEAD, {}, "")
    text = path.read_text(encoding="utf-8")
    start = text.find("\nstages:\n") + len("\nstages:\n")
    found = list(ENTRY.finditer(text, start))
    end = found[-1].end() if found else start
    whole = all("\n    cmd:" in entry[0] and "\n    outs:\n" in entry[0] for entry in found)
    if not (text.startswith("schema:") and text.endswith("\n") and found and found[0].start() == start and whole):
        raise MedloopError(
            "dvc.lock is damaged", where=str(path), mend="git checkout dvc.lock, or delete it to run every stage again"
        )
    return Lock(text[:start], {entry[1]: entry[0] for entry in found}, text[end:])


def put(root: Path, stage: str, entry: str) -> None:
    """Puts a stage's entry in the place of its last one, or behind all others."""
    lock = read(root)
    _write(root, Lock(lock.head, {**lock.entries, stage: entry}, lock.tail))


def order(root: Path, stages: Sequence[str]) -> None:
    """Puts the entries in the order of these stages; those of unknown stages come last."""
    lock = read(root)
    place = {stage: number for number, stage in enumerate(stages)}
    ordered = sorted(lock.entries, key=lambda stage: place.get(stage, len(place)))
    _write(root, Lock(lock.head, {stage: lock.entries[stage] for stage in ordered}, lock.tail))


def _write(root: Path, lock: Lock) -> None:
    path = root / NAME
    if not path.is_file() or path.read_text(encoding="utf-8") != lock.text:
        write_text(path, lock.text)

"""dvc.lock as text: one entry put in place, the others left as they are, byte for byte as DVC would write them.

DVC parses and writes all entries for each stage that ran, which takes longer the more studies there are.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import MedloopError
from flows.git import newest_pin
from flows.store import write_text

NAME = "dvc.lock"
HEAD = "schema: '2.0'\nstages:\n"
CUT = re.compile(r"^      md5: [0-9a-f]{0,31}\Z", re.MULTILINE)  # DVC takes what is all digits for a number, and fails
ENTRY = re.compile(r"^  ([^\s#'\"][^\n]*?):\n(?:(?:    [^\n]*)?\n)*", re.MULTILINE)


@dataclass(frozen=True)
class Lock:
    """The file's text, and its entries by stage; no entries where it is not laid out as DVC writes it."""

    text: str
    entries: dict[str, str] | None

    @property
    def rest(self) -> tuple[str, str]:
        """What stands before the entries and behind them."""
        start = self.text.index("\nstages:\n") + len("\nstages:\n")
        return self.text[:start], self.text[start + sum(map(len, (self.entries or {}).values())) :]


def read(root: Path) -> Lock:
    """The lock. Raises MedloopError when an entry was cut: DVC would run it and what follows again, without a word.

    Entries that are missing altogether cannot be told from stages that never ran.
    """
    path = root / NAME
    if not path.is_file():
        return Lock(HEAD, {})
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise damaged(root) from None
    counts = [len(re.findall(rf"^{key}", text, re.MULTILINE)) for key in ("    cmd:", "    outs:\\s*$")]
    files = [len(re.findall(rf"^    {key} ", text, re.MULTILINE)) for key in ("- path:", "  md5:")]
    if "schema:" not in text or counts[0] != counts[1] or files[0] != files[1] or CUT.search(text):
        raise damaged(root)
    return Lock(text, _entries(text))


def damaged(root: Path) -> MedloopError:
    """What is told of a lock that cannot be used, with the command that mends it."""
    mend = f"{_whole(root)}, or delete it to run every stage again"
    return MedloopError("dvc.lock is damaged", where=str(root / NAME), mend=mend)


def _whole(root: Path) -> str:
    """The command that has it as the last run left it, which Git's branch may never have been told."""
    with suppress(MedloopError):
        if pin := newest_pin(root):
            return f"git show {pin[:12]}:{NAME} > {NAME} (as the last run left it)"
    return f"git checkout {NAME}"


def _entries(text: str) -> dict[str, str] | None:
    head, _, body = text.partition("\nstages:\n")
    end = re.search(r"^[a-z]", body, re.MULTILINE)
    body = body[: end.start()] if end else body
    found = list(ENTRY.finditer(body))
    entries = {entry[1]: entry[0] for entry in found}
    laid_out = head == "schema: '2.0'" and "".join(entries.values()) == body and text.endswith("\n")
    return entries if laid_out and len(entries) == len(found) else None


def put(root: Path, stage: str, entry: str) -> bool:
    """Puts a stage's entry in the place of its last one, or behind all others; False where DVC has to."""
    lock = read(root)
    if lock.entries is None:
        return False
    _write(root, lock, {**lock.entries, stage: entry})
    return True


def order(root: Path, stages: Sequence[str]) -> None:
    """Puts the entries in the order of these stages; those of unknown stages come last."""
    lock = read(root)
    if lock.entries is not None:
        place = {stage: number for number, stage in enumerate(stages)}
        ordered = sorted(lock.entries, key=lambda stage: place.get(stage, len(place)))
        _write(root, lock, {stage: lock.entries[stage] for stage in ordered})


def _write(root: Path, lock: Lock, entries: dict[str, str]) -> None:
    head, tail = lock.rest
    text = "".join([head, *entries.values(), tail])
    if text != lock.text:
        write_text(root / NAME, text)

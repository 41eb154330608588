"""Disk, clock, ownership."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import available_timezones

from contracts.errors import MedloopError, listed
from flows import disk, journal, ledger
from flows.disk import told
from flows.doctor.finding import Asked, Finding, fault, note, well
from flows.home import home

SLACK = timedelta(minutes=5)
PATIENCE_S = 5
FREE = "medloop gc tells what may go, medloop gc --yes removes it; or free the disk otherwise"


def check(root: Path, asked: Asked) -> Iterator[Finding]:
    """All of it."""
    yield room(root)
    yield clock(root, datetime.now(UTC))
    yield owners(root)


def room(root: Path) -> Finding:
    """Whether a whole run of every study would find bytes and files enough."""
    try:
        wanted = disk.needed(root)
    except MedloopError:  # dvc.lock is damaged, which is told elsewhere
        wanted = disk.FLOOR
    folders = dict.fromkeys((root, home(root)))
    for folder in folders:
        left, files = disk.free(folder), disk.files_left(folder)
        if left < wanted:
            found = f"{told(left)} are free on the disk of {folder}"
            return fault("disk", found, f"{told(wanted)}, what a run of everything would take", FREE)
        if files is not None and files < disk.FEWEST_FILES:
            return fault(
                "disk", f"{files} more files fit on the disk of {folder}", f"{disk.FEWEST_FILES:,} or more", FREE
            )
    scratch = Path(tempfile.gettempdir())
    if disk.free(scratch) < disk.FLOOR:
        mend = f"free {scratch}, or set TMPDIR to a folder on another disk"
        return fault("disk", f"{told(disk.free(scratch))} are free in {scratch}", told(disk.FLOOR), mend)
    return well("disk", f"{told(disk.free(root))} free; a run of everything would take {told(wanted)}")


def clock(root: Path, now: datetime) -> Finding:
    """Whether it is behind what runs and slots have seen, knows time zones, and is set by a time server."""
    last = max((*_seen_by_runs(root), *_seen_by_slots(root)), default=None)
    if last and now < last - SLACK:
        found = f"{now:%Y-%m-%d %H:%M} UTC, before what already happened ({last:%Y-%m-%d %H:%M} UTC)"
        return fault("clock", found, "a clock that goes forward", "set it: timedatectl set-ntp true; date -u shows it")
    if not available_timezones():
        return fault(
            "clock",
            "there are no time zone data",
            "schedules on local clocks",
            "uv pip install tzdata",
        )
    synchronised = _synchronised()
    if synchronised is False:
        return note("clock", f"{now:%Y-%m-%d %H:%M} UTC; no time server sets it", "timedatectl set-ntp true")
    return well("clock", f"{now:%Y-%m-%d %H:%M} UTC{', set by a time server' if synchronised else ''}")


def _seen_by_runs(root: Path) -> Iterator[datetime]:
    for run in journal.all_journals(root):
        yield datetime.fromisoformat(run.ended or run.started)


def _seen_by_slots(root: Path) -> Iterator[datetime]:
    for path in (home(root) / "schedules").glob("*.json"):
        try:
            kept = ledger.read(root, path.stem)
        except MedloopError:
            continue
        if kept:
            yield kept.through
            yield from (slot.started for slot in kept.slots if slot.started)


def _synchronised() -> bool | None:
    """None where this cannot be told."""
    if not shutil.which("timedatectl"):
        return None
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(said)


def owners(root: Path) -> Finding:
    """Files of another user, such as of a run by root, which this user's runs could not replace."""
    places = [home(root), *home(root).glob("*"), *home(root).glob("*/*"), root / "data", *(root / "data").glob("*/*")]
    places += [root / ".dvc" / "tmp", *(root / ".dvc" / "cache").glob("files/md5/*"), root / "dvc.lock"]
    wrong = [path for path in places if path.exists() and not path.is_symlink() and not _ours(path)]
    if wrong:
        found = f"not this user's, or not writable: {listed([str(path) for path in wrong], 3)}"
        mend = f'sudo chown -R "$USER" {home(root)} {root / "data"} {root / ".dvc"}; chmod -R u+rwX {home(root)}'
        return fault("ownership", found, "folders that runs may write to", mend)
    return well("ownership", "all of it is this user's")


def _ours(path: Path) -> bool:
    return path.stat().st_uid == os.geteuid() and (not path.is_dir() or os.access(path, os.W_OK | os.X_OK))

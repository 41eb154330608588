"""What runs that were killed left behind: the next one says so, and clears it away."""

import hashlib
from pathlib import Path

from flows import console, journal, workspace
from flows.home import checkpoints, home


def recover(root: Path) -> None:
    """Marks the runs that never ended as crashed, and says so; what they had not put in its place is removed.

    The workspace must be held (`journal.sole_run`).
    """
    _clear_drafts(root)
    newest = next(journal.all_journals(root), None)  # one that failed on a full or broken disk leaves drafts, too
    if journal.any_open(root) or (newest and newest.state == "failed"):
        workspace.clear_leftovers(root)  # first, so that one that is killed meanwhile is not the last to see to it
    for gone in journal.reconcile(root):
        console.warn(f"{gone.key} had crashed; what it finished is not done again")


def tell_damaged(root: Path) -> None:
    """Journals and checkpoints that are not as they were written: passed over, and said so."""
    for path in journal.damaged(root):
        console.warn(f"{path} is damaged, and passed over; medloop doctor --mend sets it aside")
    for path in damaged_checkpoints(root):
        console.warn(f"{path} is damaged, and passed over for the checkpoint before")


def damaged_checkpoints(root: Path) -> list[Path]:
    """Those of unfinished trainings whose content is not what their name says."""
    found = sorted(checkpoints(root).rglob("*.safetensors"))
    return [path for path in found if _sha256(path)[:16] != path.stem.partition("-")[2]]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _clear_drafts(root: Path) -> None:
    """Files that processes that are gone had not finished, as `flows.store.replacing` names them."""
    import psutil

    places = [root, root / "studies", home(root), *home(root).glob("*/"), *home(root).glob("*/*/")]
    for draft in (draft for place in places for draft in place.glob(".*.*.tmp")):
        pid = draft.name.split(".")[-2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            draft.unlink()

"""Which objects of DVC's cache anything names: any commit that Git can reach, any lock on the disk, any recent stage.

DVC's own `gc` is no help: it parses dvc.lock as YAML at every commit, minutes for a few dozen, and takes one revision,
or all. What is named is the same, and more: what a stage depends on, and stages that are no longer in dvc.yaml.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

from contracts.errors import MedloopError
from flows import objects
from flows.git import blobs, git, told_of
from flows.home import home, set_aside
from flows.lockfile import NAME as LOCK

NAMING = (LOCK, "*.dvc")  # files that name objects
OBJECTS, TRIED = Path("files") / "md5", Path("runs")  # within the cache
DAY_S = 86_400


def needed(root: Path, cache: Path, without: Collection[str], tried: int, now: datetime) -> set[str]:
    """The objects that must stay, when these refs are gone. tried: days that stages stay which were only tried.

    Raises MedloopError where a folder's list is damaged, so that nobody can tell which files are its.
    """
    names = {name for text in _texts(root, without) for name in objects.named(text)}
    for path in (cache / TRIED).glob("*/*/*"):
        if now.timestamp() - path.stat().st_mtime < tried * DAY_S:
            names |= objects.named(path.read_text(encoding="utf-8", errors="replace"))
    try:
        return objects.closure(cache / OBJECTS, names)
    except ValueError as damaged:
        raise MedloopError(
            f"the object {damaged} is damaged, and with it the list of a folder's files: nothing is removed",
            where=str(cache),
            mend="medloop doctor --mend, then medloop gc again",
        ) from None


def _texts(root: Path, without: Collection[str]) -> Iterator[str]:
    """Every file that names objects: at each commit that changed it, here, in other worktrees and clones, set aside."""
    yield from _committed(root, without)
    here = git(root, "ls-files", "--cached", "--others", "--", *NAMING).splitlines()
    places = [root / path for path in dict.fromkeys([LOCK, *here])]
    prefix = git(root, "rev-parse", "--show-prefix")
    trees = git(root, "worktree", "list", "--porcelain").splitlines()
    for tree in (Path(line.removeprefix("worktree ")) / prefix for line in trees if line.startswith("worktree ")):
        places += [tree / LOCK, *tree.glob("*.dvc")]
    for folder in (set_aside(root), home(root) / "clones"):
        places += [path for kind in NAMING for path in folder.rglob(kind)]
    yield from (path.read_text(encoding="utf-8") for path in places if path.is_file())


def _committed(root: Path, without: Collection[str]) -> Iterator[str]:
    refs = git(root, "for-each-ref", "--format=%(objectname) %(refname)").splitlines()
    tips = [line.split(maxsplit=1)[0] for line in refs if line.split(maxsplit=1)[1] not in without]
    trees = git(root, "worktree", "list", "--porcelain").splitlines()
    tips += [line.removeprefix("HEAD ") for line in trees if line.startswith("HEAD ")]
    asked = "".join(f"{tip}\n" for tip in dict.fromkeys(tips))
    log = ["log", "--stdin", "--format=", "--raw", "--no-abbrev", "--no-renames", "--full-history", "-m"]
    changes = told_of(root, asked, *log, "--", *(f":(glob)**/{kind}" for kind in NAMING)).decode(errors="replace")
    found = {line.split()[3] for line in changes.splitlines() if line.startswith(":")}
    yield from blobs(root, sorted(blob for blob in found if blob.strip("0")))

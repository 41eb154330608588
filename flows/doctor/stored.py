"""What is kept: databases, DVC's cache, champions' files, checkpoints, the DVC remote."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from contracts.errors import MedloopError, listed
from flows import bundle, databases, journal, lockfile, objects, servers, workspace
from flows.disk import told
from flows.doctor.finding import Asked, Finding, fault, note, of_error, well
from flows.faults import told as explained
from flows.home import checkpoints, home
from flows.recovery import damaged_checkpoints
from flows.store import read_json, write_json

LARGE_LOG = 256 << 20  # bytes that a database's log of writes should not reach
OLD_BACKUP_DAYS = 7
LIMIT_S = 60.0  # for hashing objects, unless all are asked for; the next look goes on where this one stopped
NOTE = "doctor.json"


def check(root: Path, asked: Asked) -> Iterator[Finding]:
    """All of it."""
    yield from _databases(root, asked)
    try:
        lockfile.read(root)
        yield well("dvc.lock", "whole")
    except MedloopError as error:
        yield of_error("dvc.lock", "a lock whose every entry is whole", error)
    yield from cache(root, workspace.objects(root), asked)
    if not asked.quick and journal.holder(root, "run") is None:
        asked.say("hashing what the stages wrote")
        yield outputs(root)
    yield unfinished(root)


def _databases(root: Path, asked: Asked) -> Iterator[Finding]:
    for name in servers.PREFERRED_PORT:
        path = databases.local(root).get(name)
        if path:
            yield database(root, name, path, quick=asked.quick)
        elif databases.elsewhere(root, name):
            yield well(f"{name} data", "a team's: its upkeep is theirs")


def database(root: Path, name: servers.Name, path: Path, *, quick: bool, now: datetime | None = None) -> Finding:
    """Whether it is whole, its log of writes small, and its newest backup not old."""
    called, log = f"{name} data", path.with_name(f"{path.name}-wal")
    if not quick and (wrong := databases.fault(path)):
        kept = databases.backups(root, name)
        mend = f"medloop restore {name}" + ("" if kept else f"; there is no backup: mv {path} aside, it begins anew")
        return fault(called, f"damaged: {wrong}", f"{path}, whole", mend)
    size = log.stat().st_size if log.is_file() else 0
    if size > LARGE_LOG:
        return fault(called, f"its log of writes takes {told(size)}", f"{told(LARGE_LOG)} or less", "medloop upkeep")
    newest = next(iter(databases.backups(root, name)), None)
    whole = f"{told(path.stat().st_size)}" if quick else f"{told(path.stat().st_size)}, whole"
    if newest is None:
        return note(called, f"{whole}; there is no backup", "medloop upkeep; medloop serve does so nightly")
    age = (now or datetime.now(UTC)) - datetime.fromtimestamp(newest.stat().st_mtime, UTC)
    if age.days > OLD_BACKUP_DAYS:
        return note(called, f"{whole}; its newest backup is {age.days} days old", "medloop upkeep")
    return well(called, f"{whole}; backup {newest.name}")


def cache(root: Path, folder: Path, asked: Asked) -> Iterator[Finding]:
    """Objects that dvc.lock names and the cache lacks, and objects whose content is not what their name says."""
    lock = root / lockfile.NAME
    paths = objects.outputs(folder, lock.read_text(encoding="utf-8")) if lock.is_file() else {}
    absent = {name: path for name, path in paths.items() if not objects.file_of(folder, name).is_file()}
    lost = sorted(path for path in absent.values() if (root / path).exists())
    if lost:
        found = f"{len(lost)} objects are missing, though what they hold lies in the workspace: {listed(lost, 3)}"
        yield fault(
            "cache", found, "all that dvc.lock names", "dvc commit --force brings it there; dvc pull, where shared"
        )
    elif absent:
        studies = sorted({path.split("/")[1] for path in absent.values() if path.startswith("data/")})
        found = f"what dvc.lock names of {listed(studies, 4)} is not on this machine"
        yield note("cache", found, "medloop run STUDY makes it; dvc pull brings it where runs are shared")
    if not asked.quick:
        yield hashed(root, folder, paths, asked)


def hashed(root: Path, folder: Path, paths: Mapping[str, str], asked: Asked, limit_s: float = LIMIT_S) -> Finding:
    """As many objects as the time allows, from where the last look stopped; with `everything`, all."""
    mark = home(root) / NOTE
    everything = list(objects.all_objects(folder))
    through = "" if asked.everything or not mark.is_file() else str(read_json(mark)["through"])
    turned = [pair for pair in everything if pair[0] > through] + [pair for pair in everything if pair[0] <= through]
    begun, size, damaged, number = time.monotonic(), 0, list[tuple[str, Path]](), 0
    for number, (name, path) in enumerate(turned, 1):
        size += path.stat().st_size if path.is_file() else 0
        if not objects.is_whole(name, path):
            damaged.append((name, path))
        asked.say(f"hashing the cache, {number} of {len(turned)} objects")
        if not asked.everything and time.monotonic() - begun > limit_s:
            break
    if turned:
        write_json(mark, {"through": turned[number - 1][0]})
    looked = (
        f"{number} of {len(turned)} objects ({told(size)})"
        if number < len(turned)
        else f"{number} objects ({told(size)})"
    )
    if not damaged:
        rest = "; medloop doctor --all looks at all" if number < len(turned) else ""
        return well("cache", f"{looked} are as their names say{rest}")
    shown = [f"{paths.get(name, 'of an earlier run')} ({path})" for name, path in damaged]
    return fault(
        "cache",
        f"{len(damaged)} of {looked} are damaged: {listed(shown, 3)}",
        "content that hashes to the object's name",
        "medloop doctor --mend removes it; medloop run then makes it again, or dvc pull brings it. Check the disk",
        partial(_drop, [path for _, path in damaged]),
    )


def _drop(damaged: list[Path]) -> str:
    for path in damaged:
        path.unlink(missing_ok=True)
    return f"{len(damaged)} damaged objects are removed"


def outputs(root: Path) -> Finding:
    """What lies in the workspace, figures and reports too; DVC looks at time and size alone."""
    found = workspace.damaged_outputs(root)
    if not found:
        return well("outputs", "every file of data/ is as its stage wrote it, or says that it was changed since")
    paths = [str(Path(path).relative_to(root)) for those in found.values() for path in those]
    mend = "medloop doctor --mend brings it back out of DVC's cache; where none has it, medloop run makes it again"
    remedy = partial(_brought_back, root, list(found), len(paths))
    return fault("outputs", f"damaged: {listed(paths, 3)}", "files as their stages wrote them", mend, remedy)


def _brought_back(root: Path, stages: list[str], number: int) -> str:
    with journal.sole_run(root):
        workspace.make_whole(root, stages)
    return f"{number} damaged files are brought back out of DVC's cache"


def unfinished(root: Path) -> Finding:
    """Checkpoints of trainings that did not end; a damaged one is passed over for the one before."""
    if wrong := damaged_checkpoints(root):
        shown = listed([path.relative_to(home(root)) for path in wrong], 3)
        mend = "medloop doctor --mend removes them; training goes on from the checkpoint before"
        return fault("checkpoints", f"damaged: {shown}", "content as the name says", mend, partial(_drop, wrong))
    return well("checkpoints", f"{len(list(checkpoints(root).rglob('*.safetensors')))} of unfinished trainings")


def champions(root: Path, artifacts: Mapping[str, Path]) -> Iterator[Finding]:
    """By `STUDY/VERSION` the folder of its files: of models that serve, that served, or that may."""
    wrong = dict[str, str]()
    for name, folder in artifacts.items():
        try:
            bundle.verify(folder)
        except MedloopError as error:
            wrong[name] = error.problem
    if wrong:
        mend = "medloop doctor --mend packs them again out of DVC's cache"
        found = "; ".join(f"{name}: {said}" for name, said in wrong.items())
        yield fault("models", found, "files as they were recorded", mend, partial(_packed, root, list(wrong)))
    else:
        yield well("models", f"{len(artifacts)} champions, former ones and challengers, each file as recorded")


def _packed(root: Path, names: list[str]) -> str:
    from flows.repacking import pack_again

    for name in names:
        pack_again(root, *name.split("/"))
    return f"{listed(names)} packed again, as recorded"


def remote(root: Path, asked: Asked) -> Finding:
    """Whether the DVC remote can be reached and written to."""
    address = workspace.shared_with(root)
    if not address:
        return well("remote", "runs are not shared; medloop share ADDRESS would")
    if asked.quick:
        return well("remote", f"{address} is not asked (--quick)")
    try:
        asked.say(f"asking {address}")
        workspace.try_remote(root)
    except Exception as error:  # whatever a remote's own library raises
        fault_of = explained(error, doing=f"writing to {address}")
        found = f"{address}: {fault_of.problem}"
        return fault("remote", found, "a remote that can be written to", "check network, address and rights")
    return well("remote", f"{address} can be written to")

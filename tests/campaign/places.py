"""Where a run is caught: the file that is being written, linked or renamed, by a pattern; see trap/sitecustomize.py."""

from dataclasses import dataclass

OWN = r"\.[^/ ]*\.\d+\.tmp\b"  # a file that `flows.store` has not put in its place yet
DVCS = r"\.[\w-]{22}\.tmp\b"  # one of DVC's


@dataclass(frozen=True)
class Place:
    """The nth event of a process that fits; `after_s` later."""

    name: str
    fits: str
    nth: int = 1
    after_s: float = 0.0


def begins(stage: str) -> Place:
    return Place(f"{stage}, start", rf"os\.mkdir \S*/data/tiny/{stage}")


def writes(stage: str) -> Place:
    return Place(f"{stage}, writing", rf"os\.rename \S*/data/tiny/{stage}/(\S*/)?{OWN}")


def ends(stage: str, nth: int = 1) -> Place:
    """The last file was put in its place, which `replacing` ends by removing the temporary name."""
    return Place(f"{stage}, end", rf"os\.remove \S*/data/tiny/{stage}/(\S*/)?{OWN}", nth)


def commits(stage: str) -> Place:
    """DVC puts its copy in the place of an output."""
    return Place(f"{stage}, DVC's commit", rf"os\.rename \S*/data/tiny/{stage}/(\S*/)?{DVCS}")


KILLS = ("tree", "main")
RUN_CACHE = Place("DVC's run cache", rf"os\.rename \S*/cache/runs/\S*{DVCS}", 3)
OBJECT = Place("DVC's cache, an object", rf"os\.rename \S*/cache/files/\S*{DVCS}", 5)
OBJECT_OPEN = Place("DVC's cache, copying", r"open \S*/cache/files/\S*\.tmp", 3)
LOCK = Place("dvc.lock", r"os\.rename \S*/\.dvc\.lock\.\d+\.tmp", 2)
ORDERED = Place("dvc.lock, put in order", LOCK.fits, 16)  # after fifteen stages
RESERVED = Place("DVC's rwlock", r"open \S*/\.dvc/tmp/rwlock w", 2)
JOURNAL = Place("the journal", r"os\.rename \S*/runs/\.\S*\.tmp", 3)
IN_EPOCH = Place("train/mlp, in an epoch", r"os\.mkdir \S*/checkpoints/tiny/mlp", 1, 0.5)
CHECKPOINT = Place("train/mlp, a checkpoint", r"os\.rename \S*/checkpoints/tiny/mlp/\S*safetensors")
INDEX = Place("pinning, the files", r"subprocess\.Popen .*git add --update")
OBJECTS = Place("pinning, the tree", r"subprocess\.Popen .*git write-tree", 1, 0.005)
REFS = Place("pinning, the reference", r"subprocess\.Popen .*git update-ref", 1, 0.005)
ARTIFACT = [Place(f"MLflow, artifact {n}", r"open \S*/mlflow/artifacts/", n) for n in (1, 4, 9, 20, 33)]
PACKED = Place("MLflow, packing a model", r"open \S*/scratch/\S*/model/", 2)
DATABASE = [Place(f"MLflow, {s} s into it", r"os\.mkdir \S*/mlflow/artifacts/", 1, s) for s in (0.3, 0.8, 1.5)]
RECORDED = Place("recorded, before the journal says so", r"os\.rename \S*/runs/\.\S*\.tmp", 20)

# CHAINS: a name, how (in turn), and the places in the order in which a run comes to them.
CHAINS: list[tuple[str, tuple[str, ...], list[Place]]] = [
    ("stages 1", KILLS, [begins("ingest"), writes("validate"), ends("clean"), commits("split"), begins("impute"),
                         writes("normalize"), ends("balance"), commits("audit"), IN_EPOCH, commits("train/mlp"),
                         begins("explain"), writes("evaluate"), ends("compare")]),
    ("stages 2", KILLS, [writes("ingest"), ends("validate"), commits("clean"), begins("split"), writes("impute"),
                         ends("normalize"), commits("balance"), begins("audit"), CHECKPOINT, begins("train"),
                         writes("train"), ends("explain"), commits("evaluate"), commits("compare")]),
    ("stages 3", KILLS, [ends("ingest"), commits("ingest"), begins("validate"), commits("validate"), begins("clean"),
                         writes("clean"), writes("split"), ends("split"), ends("impute"), commits("impute")]),
    ("stages 4", KILLS, [begins("normalize"), commits("normalize"), begins("balance"), writes("balance"),
                         writes("audit"), ends("audit"), ends("train"), writes("explain"), commits("explain"),
                         begins("evaluate"), ends("evaluate"), begins("compare"), writes("compare")]),
    ("commit", KILLS, [RESERVED, OBJECT_OPEN, OBJECT, RUN_CACHE, LOCK, JOURNAL]),
    ("order", ("main",), [ORDERED]),
    ("pinning", KILLS, [INDEX, OBJECTS, REFS]),
    ("mlflow", KILLS, [PACKED, *ARTIFACT, *DATABASE]),
    ("recorded", ("main",), [RECORDED]),
    ("asked to end", ("term", "int"), [writes("ingest"), IN_EPOCH, writes("explain"), OBJECT, ARTIFACT[1]]),
    ("worker", ("self",), [CHECKPOINT, begins("explain"), writes("evaluate")]),
    ("disk full", ("ENOSPC",), [writes("ingest"), commits("validate"), writes("split"), OBJECT_OPEN, LOCK, JOURNAL,
                                CHECKPOINT, begins("train"), PACKED, ARTIFACT[1], OBJECTS]),
    ("I/O error", ("EIO", "EROFS"), [begins("ingest"), commits("clean"), writes("impute"), OBJECT, RUN_CACHE,
                                     IN_EPOCH, ends("explain"), ARTIFACT[2], INDEX]),
]  # fmt: skip

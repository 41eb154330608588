"""Hundreds of runs: those that were tested on the rows of the first of them, read with as few questions as can be."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from contracts.errors import MedloopError
from flows.comparing import files
from flows.comparing.entries import EVALUATION, entry_of
from flows.comparing.files import Files
from flows.comparing.rows import Judged, split_of
from flows.comparing.runs import Run
from flows.git import blobs, git, pins
from pipelines.comparison.many import Many, many
from pipelines.results import Entry


def beside(root: Path, runs: Sequence[Run], first: Judged, metric: str) -> Many:
    """All runs beside the first of them, on its own test rows; a run whose predictions are not of these is counted."""
    entries = {first.run.name: first.entry}
    for of in _files(root, [run for run in runs if run.name != first.run.name]):
        if found := _entry(of, first):
            entries[of.run.name] = found
    return many(entries, first.run.name, metric, len(runs))


def _files(root: Path, runs: Sequence[Run]) -> Iterator[Files]:
    """The files of the runs that this clone has pinned; each dvc.lock, which may be megabytes, is read once."""
    yield from (files.of(root, run) for run in runs if not run.run_id)
    known, pinned = pins(root), dict[str, list[Run]]()
    for run in runs:
        key = next(filter(known.get, (run.tags.get("medloop.experiment", ""), run.key)), "")
        if run.run_id and key:
            pinned.setdefault(known[key][0], []).append(run)
    named = git(root, "rev-parse", *(f"{revision}:./dvc.lock" for revision in pinned)).split() if pinned else []
    for text, (revision, of) in zip(blobs(root, named), pinned.items(), strict=True):
        yield from (Files(root=root, run=run, revision=revision, told=text) for run in of)


def _entry(of: Files, first: Judged) -> Entry | None:
    """What a run says of the first one's test rows; None where it was not tested on these, or says it in another form.

    Of the same samples in the same parts, so that none of these rows taught it either.
    """
    if split_of(of) != first.split:
        return None
    try:
        found = of.paths("evaluate", EVALUATION)
        entry = entry_of(found, first.entry.evaluation.task)
    except (MedloopError, KeyError):
        return None
    same = np.array_equal(entry.target, first.entry.target) and np.array_equal(entry.group, first.entry.group)
    return entry if same and entry.evaluation.question == first.entry.evaluation.question else None

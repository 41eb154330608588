"""Cross-validation: every fold of the development rows is tested once a repeat, and its predictions are pooled.

Each fold is a run like any other, with the fold in the test set's place, so that every step is fitted anew on the
fold's own training rows. The frozen test set is set aside and no row of it is touched; a fold that was done before
comes out of DVC's run cache; at the end the study, `dvc.lock` and the data are as they were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from contracts.errors import MedloopError
from flows import console, journal, record, tracking, trials
from flows.home import data_folder
from flows.restore import as_before
from flows.settings import Settings
from flows.stages.compare import entry as read_entry
from flows.store import read_model, read_table, write_json, write_table
from pipelines.audit import Certificate
from pipelines.compare import Leaderboard, compare, table
from pipelines.folds_page import folds_page
from pipelines.pooling import Spread, pooled, spread
from pipelines.results import Entry
from pipelines.split import SplitParams
from pipelines.tasks import RESULTS

if TYPE_CHECKING:
    import pandas as pd

FOLDS = 5


@dataclass
class Folds:
    """What the folds found: entries by model, by repeat, by fold; predictions; what was doubted; what failed and why.

    `doubts`: by fold, the sentence of a leak certificate that is not clean.
    """

    study: Settings
    split: SplitParams
    key: str
    tested: dict[str, list[list[Entry]]] = field(default_factory=dict)
    predictions: "list[pd.DataFrame]" = field(default_factory=list)
    doubts: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def entries(self) -> dict[str, Entry]:
        """By model, the pooled predictions judged."""
        return {model: pooled(folds, self.study.evaluate) for model, folds in self.tested.items()}


def with_folds(study: Settings, folds: int | None, repeats: int | None) -> SplitParams:
    """The study's split in so many folds; by default as many as the study says, else five, drawn once.

    Raises MedloopError when the study cannot be split so.
    """
    own = study.split
    asked = {"folds": folds or own.folds or FOLDS, "repeats": repeats or own.repeats, "fold": None, "repeat": 0}
    try:
        return SplitParams.model_validate({**own.model_dump(), **asked})
    except ValidationError as error:
        problem = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise MedloopError(problem, where=f"{study.name}, split", mend="choose another split.method") from None


def cross_validate(
    root: Path, study: Settings, split: SplitParams, models: Sequence[str], watcher: console.Watcher
) -> Folds:
    """Trains the models on all folds but one, tests them on that one, for each fold of each repeat.

    A fold that fails is told and the others go on. Raises MedloopError when one failed: what is pooled without it
    would say nothing of its patients.
    """
    with as_before(root, study.name):
        found = tested(root, study, split, {}, models, watcher)
    _tell_mlflow(root, found)
    return found


def tested(
    root: Path,
    study: Settings,
    split: SplitParams,
    values: Mapping[str, object],
    models: Sequence[str],
    watcher: console.Watcher,
) -> Folds:
    """All folds, with these values written into the study's file, which is to be put back; see `cross_validate`."""
    found = Folds(study=study, split=split, key=journal.new_key([study.name]), tested={model: [] for model in models})
    for repeat in range(split.repeats):
        for folds in found.tested.values():
            folds.append([])
        for fold in range(split.folds or 0):
            told = _told(split, repeat, fold)
            console.console.print(f"[bold]{told}[/]")
            chosen = {"folds": split.folds, "repeats": split.repeats, "fold": fold, "repeat": repeat}
            written = {**values, **{f"split.{key}": value for key, value in chosen.items()}}
            try:
                trials.train(root, study.name, written, models, watcher, test=True)
                _take(root, found, told, repeat, fold)
            except MedloopError as fault:
                found.failed[told] = fault.problem
                console.warn(f"{told}: {fault.problem}")
    _refuse_gaps(found)
    return found


def _told(split: SplitParams, repeat: int, fold: int) -> str:
    """`fold 2 of 5`, counted from 1 as people do."""
    return f"fold {fold + 1} of {split.folds}" + (f", repeat {repeat + 1} of {split.repeats}" * (split.repeats > 1))


def _take(root: Path, found: Folds, told: str, repeat: int, fold: int) -> None:
    """Keeps what the run of a fold left, before the next one takes its place."""
    name = found.study.name
    certificate = read_model(data_folder(root, name, "audit") / "certificate.json", Certificate)
    if certificate.verdict != "clean" or not certificate.intact:
        found.doubts[told] = certificate.sentence
    for model, folds in found.tested.items():
        folder = data_folder(root, name, "evaluate") / model
        folds[repeat].append(read_entry(folder, RESULTS[found.study.study.target.task]))
        rows = read_table(folder / "predictions.parquet")
        rows[["@model", "@repeat", "@fold"]] = model, repeat, fold
        found.predictions.append(rows)


def _refuse_gaps(found: Folds) -> None:
    if found.failed:
        whole = found.split.repeats * (found.split.folds or 0)
        why = "; ".join(f"{told}: {problem}" for told, problem in found.failed.items())
        raise MedloopError(
            f"{len(found.failed)} of {whole} folds failed, and without their patients the rest is not pooled: {why}",
            where=found.study.name,
            mend="mend it and give the same command: folds that are done are not done again",
        )


def _tell_mlflow(root: Path, found: Folds) -> None:
    """A run for each fold and model."""
    told = {
        f"{model}, {_told(found.split, repeat, fold)}": tracking.Content(
            params={"model": model, "repeat": repeat, "fold": fold}, metrics=record.metrics(entry.evaluation, "fold")
        )
        for model, repeats in found.tested.items()
        for repeat, folds in enumerate(repeats)
        for fold, entry in enumerate(folds)
    }
    trials.tell_mlflow(root, found.study.name, found.key, "folds", told, _board(found, found.entries).verdict)


def _board(found: Folds, entries: Mapping[str, Entry]) -> Leaderboard:
    baselines = {name for name, entry in entries.items() if entry.evaluation.baseline}
    board = compare(entries, found.study.compare, baselines, part="development")
    if found.doubts:
        caution = f"Too good to be true? {_certificates(found)}. Until then: {board.verdict}"
        board = board.model_copy(update={"verdict": caution})
    return board


def _certificates(found: Folds) -> str:
    whole = found.split.repeats * (found.split.folds or 0)
    if not found.doubts:
        return f"clean in all {whole} folds"
    return "; ".join(f"{told}: {sentence}" for told, sentence in found.doubts.items())


def show(root: Path, found: Folds) -> None:
    """The verdict, the table, the spread, the certificates; a page, the figures and the predictions as files."""
    entries = found.entries
    board = _board(found, entries)
    spreads = {row.model: spread(found.tested[row.model], board.metric) for row in board.rows}
    evaluations = {model: entry.evaluation for model, entry in entries.items()}
    title = f"{found.study.study.title}: {found.split.folds} folds"
    folder = trials.keep(root, found.key, board, folds_page(board, evaluations, spreads, title))
    plain = {model: of.model_dump() for model, of in spreads.items()}
    write_json(folder / "folds.json", {"spread": plain, "doubts": found.doubts, "split": found.split.model_dump()})
    import pandas as pd

    write_table(folder / "predictions.parquet", pd.concat(found.predictions, ignore_index=True))
    header, *rows = table(board)
    console.show_leaderboard(f"On development rows, out of fold, {board.verdict}", header, rows)
    console.show_facts(_facts(found, spreads, folder))


def _facts(found: Folds, spreads: Mapping[str, Spread], folder: Path) -> dict[str, object]:
    kept = {f"{model}, folds": told for model, told in spreads.items()}
    return {
        **kept,
        "certificates": _certificates(found),
        "test set": "set aside, no row of it was touched",
        "predictions": folder / "predictions.parquet",
        "page": folder / "leaderboard.html",
    }

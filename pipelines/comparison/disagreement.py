"""Where two models of classes call rows differently: how many, at which scores, in which groups; counts alone."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contracts.study import Column, Frozen
from pipelines.comparison.decision import SMALL
from pipelines.evaluate import Evaluation
from pipelines.gate import groups
from pipelines.results import Entry

if TYPE_CHECKING:
    import pandas as pd

EDGES = (0.0, 0.05, 0.1, 0.2, 0.4)


class Disagreement(Frozen):
    """Rows that a first and a second model call differently; None for counts of 1 to SMALL - 1.

    first_right, second_right, neither: rows called differently, by who is right. by_gap: by how far their probabilities
    lie apart: from, rows, of these called differently. by_group: group, rows, called differently.
    """

    rows: int
    differ: int | None
    first_right: int | None
    second_right: int | None
    neither: int | None
    by_gap: tuple[tuple[str, int | None, int | None], ...]
    by_group: tuple[tuple[str, int, int | None], ...]


def disagreement(
    first: Entry,
    second: Entry,
    rows: "pd.DataFrame",
    features: Mapping[str, Column],
    columns: Mapping[str, Sequence[float]],
    *,
    min_patients: int,
) -> Disagreement | None:
    """None where the task's answers are no classes. `rows`: the samples judged, in the order of the entries."""
    if not isinstance(first.evaluation, Evaluation) or not isinstance(second.evaluation, Evaluation):
        return None
    one, two = (called(entry, of) for entry, of in ((first, first.evaluation), (second, second.evaluation)))
    differ, truth = one != two, first.target
    gap = np.abs(first.predicted.astype(np.float64) - second.predicted).max(axis=1)
    counts = [differ, differ & (one == truth), differ & (two == truth), differ & (one != truth) & (two != truth)]
    total, first_right, second_right, neither = (shown(int(of.sum())) for of in counts)
    return Disagreement(
        rows=len(truth),
        differ=total,
        first_right=first_right,
        second_right=second_right,
        neither=neither,
        by_gap=tuple(_by_gap(gap, differ)),
        by_group=tuple(_by_group(first.group, differ, rows, features, columns, min_patients)),
    )


def called(entry: Entry, of: Evaluation) -> NDArray[np.int64]:
    """The class that each row is given, (N,)."""
    if len(of.classes) > 2:
        return np.asarray(entry.predicted.argmax(axis=1))
    at = of.classes.index(of.positive)
    threshold = 0.5 if of.threshold is None else of.threshold
    return np.where(entry.predicted[:, at] >= threshold, at, 1 - at)


def shown(count: int) -> int | None:
    """None where it is a few."""
    return None if 0 < count < SMALL else count


def _by_gap(gap: NDArray[np.float64], differ: NDArray[np.bool_]) -> list[tuple[str, int | None, int | None]]:
    place = np.searchsorted(EDGES, gap, side="right") - 1
    names = [*(f"{low:g} to {high:g}" for low, high in pairwise(EDGES)), f"{EDGES[-1]:g} and more"]
    return [
        (name, shown(int((place == k).sum())), shown(int((differ & (place == k)).sum())))
        for k, name in enumerate(names)
    ]


def _by_group(
    patients: NDArray[np.object_],
    differ: NDArray[np.bool_],
    rows: "pd.DataFrame",
    features: Mapping[str, Column],
    columns: Mapping[str, Sequence[float]],
    least: int,
) -> list[tuple[str, int, int | None]]:
    found = []
    for column, cuts in columns.items():
        named = groups(rows[column], features[column], tuple(cuts))
        for name in sorted(set(named)):
            at = np.asarray(named == name)
            if len(np.unique(patients[at])) >= least:
                found.append((f"{column} {name}", int(at.sum()), shown(int((differ & at).sum()))))
    return found

"""The guard's look at a table that comes in pieces: its judgement is of all rows, not of each piece."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from contracts.study import Study
from pipelines.guard import filled, judged, watched
from pipelines.identifiers import Counts, Suspicion
from pipelines.table import coded

MANY = 50_000  # different texts of a column that are counted over all pieces


class Watch:
    """How often each text of a column occurs, over all pieces; no column holds more than MANY different ones.

    So each column is judged as it would be in one piece. One of more different texts is judged by what was counted
    until then and from there on piece by piece, and what any of these shows is told: what a single cell gives away is
    never missed, and a rule about most of a column's texts needs one piece in which it holds.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._counts: dict[str, Counts] = {}
        self._found: dict[str, list[Suspicion]] = {}
        self._filled: dict[str, int] = {}

    def look(self, table: pd.DataFrame) -> None:
        """Takes the next piece in."""
        for name in watched(table.columns, self._study):
            counts = _counted(table[name])
            if name not in self._found and name in self._counts:
                counts = _added(self._counts[name], counts)
            if name not in self._found and len(counts) <= MANY:
                self._counts[name] = counts
            else:
                self._judge(name, counts)

    def suspicions(self) -> list[Suspicion]:
        """What the columns may identify people by, one line a column."""
        told = [judged(name, counts, self._study) or self._merged(name) for name, counts in self._counts.items()]
        return [suspicion for suspicion in told if suspicion]

    def _judge(self, name: str, counts: Counts) -> None:
        suspicion = judged(name, counts, self._study)
        self._found.setdefault(name, []).extend([suspicion] if suspicion else [])
        self._filled[name] = self._filled.get(name, 0) + int(filled(counts, self._study.columns.get(name)).sum())
        self._counts[name] = counts.iloc[:0]

    def _merged(self, name: str) -> Suspicion | None:
        """Of several kinds that the parts of a column show, the one of most cells."""
        found = self._found.get(name, ())
        kinds = {suspicion.kind: _cells(found, suspicion.kind) for suspicion in found}
        first = next((suspicion for suspicion in found if kinds[suspicion.kind] == max(kinds.values())), None)
        return first and first.model_copy(update={"cells": kinds[first.kind], "filled": self._filled[name]})


def _counted(cells: "pd.Series[str]") -> Counts:
    numbers, texts = coded(cells)
    return pd.Series(np.bincount(numbers, minlength=len(texts)), index=pd.Index(texts))


def _added(before: Counts, after: Counts) -> Counts:
    texts = before.index.append(after.index)
    at, distinct = pd.factorize(texts)
    sums = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(sums, at, np.concatenate([before, after]))
    return pd.Series(sums, index=distinct)


def _cells(found: Sequence[Suspicion], kind: str) -> int:
    return sum(suspicion.cells for suspicion in found if suspicion.kind == kind)

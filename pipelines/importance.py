"""Permutation importance: how much worse a model gets when a column tells of other patients.

Breiman, Random forests (Machine Learning 2001), for any model and loss as Fisher, Rudin & Dominici, All models are
wrong, but many are useful (JMLR 2019). It says what the model leans on, not what makes people ill.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.examples import Examples

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Columns = tuple[str, ...]
Losses = Callable[[Examples], Floats]  # of each row, (N,); of whatever task

CELLS = 1 << 22  # of the tables that are scored at once


def exchanged(group: NDArray[Any], random: np.random.Generator) -> Whole:
    """By row, the row of another patient that its values are taken from.

    Patients stand in a ring at random and each takes those of the one before, none their own. The rows of a patient
    stay together and in order: one of fewer rows gives them again from the first, one of more gives the first.

    Shape: group (N,), of two patients or more -> (N,).
    """
    _, patient = np.unique(group, return_inverse=True)
    rows = np.split(np.argsort(patient, kind="stable"), np.cumsum(np.bincount(patient))[:-1])
    ring = random.permutation(len(rows))
    taken = np.empty(len(patient), dtype=np.int64)
    for own, other in zip(ring, np.roll(ring, 1), strict=True):
        taken[rows[own]] = np.resize(rows[other], len(rows[own]))
    return taken


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """The rows that columns are exchanged in. `sources`: the study's column that each of the table's F tells of."""

    losses: Losses
    examples: Examples
    sources: Sequence[str]

    def rises(
        self, columns: Sequence[Columns], group: NDArray[Any], *, repeats: int, most: int, seed: int
    ) -> dict[Columns, Floats]:
        """By how much each row's loss rises when columns are exchanged between patients, on average over the repeats.

        columns: those that are exchanged together; one of payloads moves with its figures in the table
        repeats: how often; all columns and models meet the same exchanges
        most: of more columns, only those are repeated and told whose first exchange changes the rows' losses most

        Shape: group (N,) -> (N,) by columns.
        """
        orders = [exchanged(group, np.random.default_rng([seed, repeat])) for repeat in range(repeats)]
        before = self.losses(self.examples)
        sums = {chosen: loss - before for chosen, _, loss in self._after(columns, orders[:1])}
        asked = sorted(sums, key=lambda chosen: -float(np.abs(sums[chosen]).mean()))[:most]
        for chosen, _, loss in self._after(asked, orders[1:]):
            sums[chosen] = sums[chosen] + (loss - before)
        return {chosen: sums[chosen] / repeats for chosen in columns if chosen in asked}

    def _after(self, columns: Sequence[Columns], orders: Sequence[Whole]) -> Iterator[tuple[Columns, Whole, Floats]]:
        """The losses of every choice of columns in every order; as many at once as the memory for it holds."""
        pairs = [(chosen, order) for chosen in columns for order in orders]
        of_payloads = [pair for pair in pairs if set(pair[0]) & set(self.examples.payloads)]
        of_table = [pair for pair in pairs if not set(pair[0]) & set(self.examples.payloads)]
        at_once = max(1, CELLS // max(self.examples.table.size, 1))
        batches = [[pair] for pair in of_payloads]
        batches += [of_table[start : start + at_once] for start in range(0, len(of_table), at_once)]
        for batch in batches:
            losses = self.losses(self._exchanged(batch)).reshape(len(batch), -1)
            yield from ((*pair, loss) for pair, loss in zip(batch, losses, strict=True))

    def _exchanged(self, batch: Sequence[tuple[Columns, Whole]]) -> Examples:
        """The rows once for each pair, one after another; payloads, which would be copied, of a single pair only."""
        of = self.examples
        rows = np.arange(len(of)) if of.at is None else of.at
        table, payloads = np.tile(of.table, (len(batch), 1, 1)), dict(of.payloads)
        for variant, (chosen, order) in zip(table, batch, strict=True):
            features = np.flatnonzero([source in chosen for source in self.sources])
            variant[:, features] = of.table[np.ix_(order, features)]
            for name in set(chosen) & set(payloads):
                places = np.arange(len(payloads[name]))
                places[rows] = rows[order]
                payloads[name] = payloads[name].take(places)
        target = None if of.target is None else np.concatenate([of.target] * len(batch))
        table = table.reshape(-1, of.table.shape[1])
        return Examples(table=table, payloads=payloads, at=np.tile(rows, len(batch)), target=target)


def alike(table: NDArray[np.float32], sources: Sequence[str], names: Sequence[str], above: float) -> list[Columns]:
    """The columns `names`, those together of which every two tell nearly the same: complete linkage.

    One of them stands in for another that is exchanged alone, and neither would seem to matter. Of two numbers it is
    Spearman's correlation, either way, that is to lie above the bound; of columns of several features the root of the
    RV coefficient of their ranks (Escoufier, Biometrics 1973), which is the same for one feature each.

    Shape: table (N, F), sources F.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(names) < 2 or above >= 1:
        return [(name,) for name in names]
    apart = squareform(1 - _correlation(table, sources, names), checks=False)
    label = fcluster(linkage(apart, "complete"), 1 - above, "distance").tolist()
    return [tuple(name for name, of in zip(names, label, strict=True) if of == one) for one in dict.fromkeys(label)]


def _correlation(table: NDArray[np.float32], sources: Sequence[str], names: Sequence[str]) -> Floats:
    """The root of the RV coefficient of every two columns; 0 of one without features. Shape: (K, K)."""
    from scipy.stats import rankdata

    ranks = rankdata(table, axis=0) / max(len(table), 1)
    ranks -= ranks.mean(axis=0)
    of = np.array([[source == name for name in names] for source in sources], dtype=np.float64)
    shared = np.stack([((ranks[:, own > 0].T @ ranks) ** 2).sum(axis=0) @ of for own in of.T])
    size = np.sqrt(np.diag(shared))
    size[size == 0] = 1
    return np.asarray(np.sqrt(shared / np.outer(size, size)), dtype=np.float64)

"""The pattern of missingness: which columns have gaps, which go missing together, whether gaps are by chance."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from contracts.study import Frozen
from contracts.tables import Schema
from pipelines.gap_costs import Cost
from pipelines.mcar import Little, little, some_rows
from pipelines.regression import Array
from pipelines.table import Block, Each, Table, as_table, patient_numbers

FEWEST = 5  # rows: what fewer have in common might tell of a person
WORST = 40
PATTERNS = 20
PAIRS = 30
AT_ONCE = 1 << 16  # patterns
NOTABLE = 0.3  # the least correlation of gaps that is listed


class Gaps(Frozen):
    """The share of rows in which columns have a gap: one column, or several whose gaps are in the same rows."""

    columns: tuple[str, ...]
    share: float


class Pattern(Frozen):
    """How many rows have gaps in these columns and no others."""

    columns: tuple[str, ...]
    rows: int


class Pair(Frozen):
    """The correlation of the gaps of two columns: 1 where they are always together, -1 where never."""

    first: str
    second: str
    correlation: float


class Missingness(Frozen):
    """What the gaps of (N, K) cells look like. It holds shares and counts of rows, no value and no id.

    cells: the share of cells that are missing; complete: rows without a gap.
    shares: by column, in the table's order.
    blocks: columns with gaps, those with the same gaps as one, by falling share.
    patterns: the most frequent patterns that 5 rows or more share; distinct: how many there are in all.
    worst: the first column of each of the first 40 blocks that 5 rows or more miss and 5 or more have;
    correlation: of their gaps, (W, W). pairs: those of at least 0.3 either way, strongest first.
    costs: what the gaps cost by column, where multiple imputation told it.
    """

    rows: int
    cells: float
    complete: int
    shares: dict[str, float]
    blocks: tuple[Gaps, ...]
    patterns: tuple[Pattern, ...]
    distinct: int
    worst: tuple[str, ...]
    correlation: tuple[tuple[float, ...], ...] = Field(default=())
    pairs: tuple[Pair, ...]
    little: Little
    costs: tuple[Cost, ...] = ()


def missingness(samples: pd.DataFrame | Table, schema: Schema, each: Each = map) -> Missingness:
    """Describe the gaps of `samples`, in whatever order its rows are; all is told by how many rows have each pattern.

    Of more patterns than columns and rows suggest, as many as rows at worst, each takes a bit a column.
    """
    table, names = as_table(samples), list(schema.features)
    patterns = _merged(list(each(partial(_patterns_of, names), table.blocks)))
    rows, counts = len(table), patterns.counts(names)
    blocks = _blocks(patterns, names, counts, rows)
    worst = [b.columns[0] for b in blocks if FEWEST <= counts[b.columns[0]] <= rows - FEWEST][:WORST]
    correlation = _correlation(patterns.together([names.index(name) for name in worst]), rows)
    complete = ~patterns.packed.any(axis=1)
    return Missingness(
        rows=rows,
        cells=_share(sum(counts.values()) / (rows * len(names))) if rows and names else 0.0,
        complete=int(patterns.rows[complete].sum()),
        shares={name: _share(count / rows) if rows else float("nan") for name, count in counts.items()},
        blocks=tuple(blocks),
        patterns=_frequent(patterns, names),
        distinct=len(patterns.rows),
        worst=tuple(worst),
        correlation=tuple(tuple(row) for row in correlation.round(3).tolist()),
        pairs=_pairs(worst, correlation),
        little=little(_tested(table, schema.of_type("numeric")), schema.of_type("numeric")),
    )


@dataclass(frozen=True)
class GapPatterns:
    """The different patterns of gaps, (M, K / 8) bits, a column each, in bytes; and how many rows have each, (M,)."""

    packed: NDArray[np.uint8]
    rows: NDArray[np.int64]

    def of_column(self, place: int) -> NDArray[np.bool_]:
        """(M,) the patterns with a gap in the column at this place."""
        return (self.packed[:, place // 8] >> (7 - place % 8) & 1).astype(bool)

    def counts(self, names: Sequence[str]) -> dict[str, int]:
        """The rows with a gap, by column."""
        return {name: int(self.rows[self.of_column(place)].sum()) for place, name in enumerate(names)}

    def together(self, places: Sequence[int]) -> Array:
        """(W, W) the rows with a gap in both of two columns; exact, as sums of whole numbers are."""
        sums = np.zeros((len(places), len(places)))
        for start in range(0, len(self.rows), AT_ONCE):
            some = GapPatterns(self.packed[start : start + AT_ONCE], self.rows[start : start + AT_ONCE])
            gaps = np.array([some.of_column(place) for place in places], dtype=np.float64)
            sums += (gaps * some.rows) @ gaps.T if len(places) else 0
        return sums


def _patterns_of(names: Sequence[str], block: Block) -> GapPatterns:
    gaps = block.read(names).isna().to_numpy(dtype=bool)
    return _distinct(np.packbits(gaps, axis=1), np.ones(len(gaps), dtype=np.int64))


def _merged(found: Sequence[GapPatterns]) -> GapPatterns:
    return _distinct(np.concatenate([p.packed for p in found]), np.concatenate([p.rows for p in found]))


def _distinct(packed: NDArray[np.uint8], rows: NDArray[np.int64]) -> GapPatterns:
    if not packed.shape[1]:
        return GapPatterns(packed[: len(rows) > 0], rows.sum(keepdims=True)[: len(rows) > 0])
    whole = np.ascontiguousarray(packed).view(f"V{packed.shape[1]}").ravel()
    _, first, place = np.unique(whole, return_index=True, return_inverse=True)
    return GapPatterns(packed[first], np.bincount(place, weights=rows, minlength=len(first)).astype(np.int64))


def _tested(table: Table, numeric: Sequence[str]) -> pd.DataFrame:
    """The rows of Little's test, by `@id`: one a patient, since it takes them as independent, and not too many."""
    ids = table.read(["@id"])
    if "@group" in table:
        ids = ids.assign(patient=patient_numbers(table))
    ids = ids.sort_values("@id")
    at = some_rows(ids.drop_duplicates("patient") if "patient" in ids else ids).index.to_numpy()
    return table.take(np.sort(at), ["@id", *numeric]).sort_values("@id", ignore_index=True)


def _blocks(patterns: GapPatterns, names: Sequence[str], counts: dict[str, int], rows: int) -> list[Gaps]:
    alike: dict[str, list[str]] = {}
    for place, name in enumerate(names):
        if counts[name]:
            alike.setdefault(hashlib.sha256(patterns.of_column(place).tobytes()).hexdigest(), []).append(name)
    blocks = [Gaps(columns=tuple(same), share=_share(counts[same[0]] / rows)) for same in alike.values()]
    return sorted(blocks, key=lambda block: (-block.share, block.columns))


def _frequent(patterns: GapPatterns, names: Sequence[str]) -> tuple[Pattern, ...]:
    often = np.flatnonzero(patterns.rows >= FEWEST)
    often = often[np.argsort(-patterns.rows[often], kind="stable")]
    # Those as frequent as the last shown one vie for its place by their names.
    least = patterns.rows[often][PATTERNS - 1 : PATTERNS]
    vying = often[patterns.rows[often] >= (least[0] if len(least) else 0)]
    found = []
    for at in vying:
        gaps = np.unpackbits(patterns.packed[at], count=len(names)).astype(bool)
        columns = tuple(name for name, gap in zip(names, gaps, strict=True) if gap)
        found.append(Pattern(columns=columns, rows=int(patterns.rows[at])))
    return tuple(sorted(found, key=lambda pattern: (-pattern.rows, pattern.columns))[:PATTERNS])


def _correlation(together: Array, rows: int) -> Array:
    """(W, W) of gaps, by how many rows have both of two."""
    if len(together) < 2:
        return np.ones((len(together), len(together)))
    counts = np.diag(together)
    covariance = together * rows - np.outer(counts, counts)
    deviation = np.sqrt(np.diag(covariance))
    return np.asarray(covariance / np.outer(deviation, deviation))


def _pairs(names: list[str], correlation: Array) -> tuple[Pair, ...]:
    pairs = [
        Pair(first=names[i], second=names[j], correlation=round(float(correlation[i, j]), 3))
        for i, j in combinations(range(len(names)), 2)
        if abs(correlation[i, j]) >= NOTABLE
    ]
    return tuple(sorted(pairs, key=lambda pair: (-abs(pair.correlation), pair.first, pair.second))[:PAIRS])


def _share(value: float) -> float:
    return round(float(value), 6)

"""The pattern of missingness: which columns have gaps, which go missing together, whether gaps are by chance."""

from itertools import combinations

import numpy as np
import pandas as pd
from pydantic import Field

from contracts.study import Frozen
from contracts.tables import Schema
from pipelines.gap_costs import Cost
from pipelines.mcar import Little, little
from pipelines.regression import Array

FEWEST = 5  # rows: what fewer have in common might tell of a person
WORST = 40
PATTERNS = 20
PAIRS = 30
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


def missingness(samples: pd.DataFrame, schema: Schema) -> Missingness:
    """Describe the gaps of `samples`, in whatever order its rows are."""
    samples = samples.sort_values("@id", ignore_index=True)
    gaps = samples[list(schema.features)].isna()
    blocks = _blocks(gaps)
    counts = gaps.sum()
    worst = [b.columns[0] for b in blocks if FEWEST <= counts[b.columns[0]] <= len(gaps) - FEWEST][:WORST]
    correlation = _correlation(gaps[worst])
    patterns = gaps.value_counts()
    return Missingness(
        rows=len(gaps),
        cells=_share(gaps.to_numpy().mean()) if gaps.size else 0.0,
        complete=int((~gaps.any(axis=1)).sum()),
        shares={str(name): _share(share) for name, share in gaps.mean().items()},
        blocks=tuple(blocks),
        patterns=_patterns(gaps, patterns),
        distinct=len(patterns),
        worst=tuple(worst),
        correlation=tuple(tuple(row) for row in correlation.round(3).tolist()),
        pairs=_pairs(worst, correlation),
        little=little(_one_a_patient(samples), schema.of_type("numeric")),
    )


def _one_a_patient(samples: pd.DataFrame) -> pd.DataFrame:
    """The test takes rows as independent, and those of one patient are not."""
    return samples.drop_duplicates("@group") if "@group" in samples else samples


def _blocks(gaps: pd.DataFrame) -> list[Gaps]:
    alike: dict[bytes, list[str]] = {}
    for name in gaps.columns[gaps.any()]:
        alike.setdefault(gaps[name].to_numpy().tobytes(), []).append(name)
    blocks = [Gaps(columns=tuple(names), share=_share(gaps[names[0]].mean())) for names in alike.values()]
    return sorted(blocks, key=lambda block: (-block.share, block.columns))


def _patterns(gaps: pd.DataFrame, counts: "pd.Series[int]") -> tuple[Pattern, ...]:
    often = counts[counts >= FEWEST]
    found = [
        Pattern(columns=tuple(gaps.columns[np.array(key, dtype=bool)]), rows=int(rows)) for key, rows in often.items()
    ]
    return tuple(sorted(found, key=lambda pattern: (-pattern.rows, pattern.columns))[:PATTERNS])


def _correlation(gaps: pd.DataFrame) -> Array:
    if gaps.shape[1] < 2:
        return np.ones((gaps.shape[1], gaps.shape[1]))
    return np.asarray(np.corrcoef(gaps.to_numpy(dtype=np.float64), rowvar=False))


def _pairs(names: list[str], correlation: Array) -> tuple[Pair, ...]:
    pairs = [
        Pair(first=names[i], second=names[j], correlation=round(float(correlation[i, j]), 3))
        for i, j in combinations(range(len(names)), 2)
        if abs(correlation[i, j]) >= NOTABLE
    ]
    return tuple(sorted(pairs, key=lambda pair: (-abs(pair.correlation), pair.first, pair.second))[:PAIRS])


def _share(value: float) -> float:
    return round(float(value), 6)

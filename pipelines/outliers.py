"""Values and rows that are far off, by what the training rows are like.

Fences: Tukey, "Exploratory Data Analysis", 1977; robust z scores: Iglewicz and Hoaglin, "How to Detect and Handle
Outliers", 1993. Isolation forest: Liu, Ting and Zhou, ICDM 2008, grown here and not by scikit-learn, whose cuts lie
between the extremes of a node and whose leaves hold a single row. These cuts are drawn from the box between Tukey's
outer fences whatever rows lie there (as in Tan, Ting and Liu, IJCAI 2011), and leaves of few rows all count as 5, so
that no patient's value is stored and none can be singled out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from contracts.errors import MedloopError
from contracts.frames import with_columns
from contracts.study import Column, Frozen
from pipelines.forest import Tree, mean_of_leaves
from pipelines.regression import Array
from pipelines.table import Block, Table

OutlierMethod = Literal["none", "iqr", "robust_z", "isolation_forest"]
OutlierAction = Literal["missing", "clip", "flag"]

FEWEST = 20  # training values of a column that has fences
NORMAL = 0.6745  # the median absolute deviation of a standard normal
OUTER = 3.0  # interquartile ranges
TREES, SAMPLE, DEEPEST, LEAF = 60, 256, 10, 5
SCORE = "outlier score"


class Fence(Frozen):
    """The lowest and highest value that is none, and how many training cells lie beyond."""

    low: float
    high: float
    beyond: int


class Isolation(Frozen):
    """Trees over `middle`'s columns, gaps at these medians; a leaf's value is the length of the way to it."""

    middle: dict[str, float]
    trees: tuple[Tree, ...]
    usual: float


class Outliers(Frozen):
    """What outliers are, and what becomes of them. unfenced: the columns asked for that have no fences.

    made: by added column, the one that it tells of ("": the row).
    """

    action: OutlierAction
    fences: dict[str, Fence] = Field(default={})
    unfenced: tuple[str, ...] = ()
    isolation: Isolation | None = None
    made: dict[str, str] = Field(default={})


def fit_outliers(
    train: Table,
    features: Mapping[str, Column],
    columns: Sequence[str],
    method: OutlierMethod,
    action: OutlierAction,
    *,
    fences: float,
    seed: int,
) -> Outliers:
    """Learn from training rows what is far off in each of `columns`, some of the `features`.

    Raises MedloopError when one is not numeric, a column to be added has the name of a feature, or none of them can be
    judged by a forest.
    """
    strange = next((name for name in columns if features[name].type != "numeric"), None)
    if strange:
        kind = features[strange].type
        raise MedloopError(
            f"impute.outlier_columns names {strange}, a column of type {kind}", mend="name numeric columns only"
        )
    spans = {name: _span(train[name].dropna(), method, fences) for name in columns}
    found = {name: span for name, span in spans.items() if span}
    made: dict[str, str] = {}
    if method == "isolation_forest":
        made = {SCORE: ""}
    elif action == "flag":
        made = {f"{name} outlier": name for name in found}
    clash = sorted(set(made) & set(features))
    if clash:
        raise MedloopError(f"column {clash[0]} has the name of one that impute.outliers adds", mend="rename it")
    return Outliers(
        action=action,
        fences={} if method == "isolation_forest" else {name: _fence(train[name], *s) for name, s in found.items()},
        unfenced=tuple(name for name, span in spans.items() if not span),
        isolation=_grow(train, found, seed) if method == "isolation_forest" else None,
        made=made,
    )


def mark_outliers(outliers: Outliers, samples: pd.DataFrame) -> pd.DataFrame:
    """The samples with cells beyond the fences missing, clipped or flagged, or with the rows' score; no row goes."""
    if outliers.isolation:
        return samples.assign(**{SCORE: _scores(outliers.isolation, samples)})
    columns = {}
    for name, fence in outliers.fences.items():
        values = samples[name]
        beyond = (values < fence.low) | (values > fence.high)
        match outliers.action:
            case "missing":
                columns[name] = values.mask(beyond)
            case "clip":
                columns[name] = values.clip(fence.low, fence.high)
            case "flag":
                columns[f"{name} outlier"] = beyond.astype(np.float64)
    return with_columns(samples, columns)


@dataclass(frozen=True)
class Marked:
    """Rows with their outlying cells missing or clipped, as the fits see them."""

    block: Block
    outliers: Outliers

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return self.block.columns

    def __len__(self) -> int:
        return len(self.block)

    def read(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Its rows: all columns, or those asked for."""
        rows = self.block.read(columns)
        fences = {name: fence for name, fence in self.outliers.fences.items() if name in rows}
        return mark_outliers(self.outliers.model_copy(update={"fences": fences}), rows)


def _span(values: "pd.Series[float]", method: OutlierMethod, fences: float) -> tuple[float, float] | None:
    if len(values) < FEWEST or values.nunique() <= 2:
        return None
    low, middle, high = np.percentile(values, [25, 50, 75])
    deviation = np.median(np.abs(values - middle)) / NORMAL
    if high == low or deviation == 0:
        return None
    if method == "robust_z":
        return float(middle - fences * deviation), float(middle + fences * deviation)
    reach = (OUTER if method == "isolation_forest" else fences) * (high - low)
    return float(low - reach), float(high + reach)


def _fence(values: "pd.Series[float]", low: float, high: float) -> Fence:
    return Fence(low=low, high=high, beyond=int(((values < low) | (values > high)).sum()))


def _grow(train: Table, spans: dict[str, tuple[float, float]], seed: int) -> Isolation:
    if not spans:
        raise MedloopError(
            "impute.outliers: an isolation forest needs a numeric column of some spread",
            mend="set impute.outliers: none",
        )
    middle = {name: float(train[name].median()) for name in spans}
    table = train.read(list(spans)).fillna(middle).to_numpy(dtype=np.float64)
    rng = np.random.default_rng(seed)
    size = min(SAMPLE, len(table))
    box = np.array(list(spans.values()))
    trees = tuple(_tree(table[rng.choice(len(table), size, replace=False)], box, rng) for _ in range(TREES))
    return Isolation(middle=middle, trees=trees, usual=_rest(size))


def _tree(rows: Array, box: Array, rng: np.random.Generator) -> Tree:
    nodes: list[tuple[int, float, int, int, float]] = []

    def grow(rows: Array, box: Array, depth: int) -> int:
        at = len(nodes)
        if len(rows) <= LEAF or depth == DEEPEST:
            nodes.append((-1, 0.0, -1, -1, round(depth + _rest(max(len(rows), LEAF)), 3)))
            return at
        column = int(rng.integers(len(box)))
        cut = float(rng.uniform(*box[column]))
        below, lower, upper = rows[:, column] <= cut, box.copy(), box.copy()
        lower[column, 1] = upper[column, 0] = cut
        nodes.append((column, cut, -1, -1, 0.0))
        left, right = grow(rows[below], lower, depth + 1), grow(rows[~below], upper, depth + 1)
        nodes[at] = (column, cut, left, right, 0.0)
        return at

    grow(rows, box, 0)
    feature, threshold, left, right, value = zip(*nodes, strict=True)
    return Tree(feature=feature, threshold=threshold, left=left, right=right, value=value)


def _rest(rows: int) -> float:
    """The average length of the ways to `rows` rows in a tree that would part them all (Liu and others, equation 1)."""
    return 2 * (np.log(rows - 1) + np.euler_gamma) - 2 * (rows - 1) / rows if rows > 2 else rows - 1.0


def _scores(isolation: Isolation, samples: pd.DataFrame) -> Array:
    """(N,) between 0 and 1: about 0.5 for rows like most, the nearer to 1 the farther off."""
    table = samples[list(isolation.middle)].fillna(isolation.middle).to_numpy(dtype=np.float64)
    return np.asarray(2 ** (-mean_of_leaves(isolation.trees, table) / isolation.usual))

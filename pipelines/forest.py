"""Gaps of numeric columns filled with what random forests on all other numeric columns expect.

missForest: Stekhoven and Bühlmann, Bioinformatics 28, 2012; here with few and small trees that are kept as plain
numbers. A leaf is the average of 10 training rows or more, and a cut lies between as many on either side, so no
patient's value is stored.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from contracts.study import Frozen
from pipelines.regression import Array

TREES, LEAVES, ROWS_A_LEAF = 10, 64, 10
ROUNDS = 3


class Tree(Frozen):
    """(M,) nodes: rows whose `feature` is at most `threshold` go left, the others right; a leaf's feature is -1."""

    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[float, ...]


class Forests(Frozen):
    """By filled column its trees; `columns` are the numeric ones that features count.

    `order`: of filling, which the stored file's sorted keys do not keep; older files lack it.
    """

    columns: tuple[str, ...]
    trees: dict[str, tuple[Tree, ...]]
    order: tuple[str, ...] = ()


def fit_forests(
    train: pd.DataFrame, columns: list[str], filled: list[str], fills: Mapping[str, float | str], *, seed: int
) -> Forests:
    """Grow a forest for each of `filled` on all other `columns`, from the training rows that have a value.

    Filling and growing take turns, the column with the fewest gaps first.
    """
    gaps = train[columns].isna()
    order = sorted(filled, key=lambda name: (gaps[name].to_numpy().sum(), name))
    table = _start(train, columns, fills)
    grown: dict[str, tuple[Tree, ...]] = {}
    for turn in range(ROUNDS):
        for name in order:
            place, empty = columns.index(name), gaps[name].to_numpy()
            if empty.any() or turn == ROUNDS - 1:
                grown[name] = _grow(np.delete(table[~empty], place, axis=1), table[~empty, place], place, seed)
                table[empty, place] = mean_of_leaves(grown[name], table[empty])
    return Forests(columns=tuple(columns), trees=grown, order=tuple(order))


def fill_forests(
    forests: Forests, samples: pd.DataFrame, fills: Mapping[str, float | str]
) -> dict[str, "pd.Series[Any]"]:
    """The columns of `forests.trees` without gaps; each row on its own."""
    columns = list(forests.columns)
    table = _start(samples, columns, fills)
    gaps = samples[columns].isna()
    for _ in range(ROUNDS):
        for name in forests.order or forests.trees:
            empty = gaps[name].to_numpy()
            table[empty, columns.index(name)] = mean_of_leaves(forests.trees[name], table[empty])
    filled = pd.DataFrame(table, columns=columns, index=samples.index)
    return {name: samples[name].fillna(filled[name]) for name in forests.trees}


def _start(samples: pd.DataFrame, columns: list[str], fills: Mapping[str, float | str]) -> Array:
    return samples[columns].fillna({name: fills[name] for name in columns}).to_numpy(dtype=np.float64, copy=True)


def _grow(others: Array, target: Array, place: int, seed: int) -> tuple[Tree, ...]:
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(
        TREES, max_leaf_nodes=LEAVES, min_samples_leaf=ROWS_A_LEAF, max_features=1 / 3, random_state=seed, n_jobs=1
    )
    return tuple(_plain(grown.tree_, place) for grown in forest.fit(others, target).estimators_)


def _plain(tree: Any, place: int) -> Tree:
    """`place` is the column that the forest does not see: those beyond it count one more."""
    inner = tree.children_left >= 0
    feature = np.where(inner, tree.feature + (tree.feature >= place), -1)
    return Tree(
        feature=tuple(feature.tolist()),
        threshold=tuple(np.where(inner, tree.threshold, 0.0).tolist()),
        left=tuple(tree.children_left.tolist()),
        right=tuple(tree.children_right.tolist()),
        value=tuple(float(f"{v:.6g}") for v in tree.value[:, 0, 0]),
    )


def mean_of_leaves(trees: tuple[Tree, ...], rows: Array) -> Array:
    """(N,) the mean over the trees."""
    total = np.zeros(len(rows))
    for tree in trees:
        feature, threshold, left, right = (
            np.array(part) for part in (tree.feature, tree.threshold, tree.left, tree.right)
        )
        node = np.zeros(len(rows), dtype=np.int64)
        while (inner := feature[node] >= 0).any():
            at = node[inner]
            lower = rows[inner, feature[at]].astype(np.float32) <= threshold[at]
            node[inner] = np.where(lower, left[at], right[at])
        total += np.array(tree.value)[node]
    return total / len(trees)

"""Gradient boosting of trees on binned columns (scikit-learn's HistGradientBoostingClassifier and Regressor).

The method is LightGBM's (Ke et al., NeurIPS 2017). The fitted trees are kept as plain arrays and
scored with numpy: no pickle, the same bytes each time, and scoring needs no scikit-learn.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.examples import Examples, Inputs, Kind
from contracts.tasks import Task

READS: tuple[Kind, ...] = ("table",)
TASKS: tuple[Task, ...] = ("classes", "ordinal", "regression")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults grow small trees, each from a part of the columns.

    learning_rate: how much of each tree is taken
    max_iter: most rounds, each of one tree (three classes or more: one a class)
    max_leaf_nodes: most leaves of a tree
    min_samples_leaf: fewest training rows in a leaf
    max_features: share of the columns tried at each split
    l2_regularization: penalty on a leaf's value
    patience: rounds without a lower validation loss after which it stops; the best round's trees are kept
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    learning_rate: float = 0.1
    max_iter: int = 1000
    max_leaf_nodes: int = 16
    min_samples_leaf: int = 20
    max_features: float = 0.3
    l2_regularization: float = 1.0
    patience: int = 30

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or not 0 < self.max_features <= 1 or self.l2_regularization < 0:
            raise ValueError("learning_rate is above 0, max_features in (0, 1], l2_regularization 0 or more")
        if self.max_leaf_nodes < 2 or min(self.max_iter, self.min_samples_leaf, self.patience) < 1:
            raise ValueError("max_leaf_nodes is 2 or more, max_iter, min_samples_leaf and patience 1 or more")


def fit(
    train: Examples, validation: Examples, *, config: Config, inputs: Inputs, seed: int, threads: int
) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
    """The trees up to the round with the lowest validation loss, as arrays, and the number of rounds.

    Shape: `roots` (R, K), `baseline` (K,), the rest one entry a node; K is 1 for two classes and for a number.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    kind = HistGradientBoostingRegressor if inputs.task == "regression" else HistGradientBoostingClassifier
    model = kind(
        learning_rate=config.learning_rate,
        max_iter=config.max_iter,
        max_leaf_nodes=config.max_leaf_nodes,
        min_samples_leaf=config.min_samples_leaf,
        max_features=config.max_features,
        l2_regularization=config.l2_regularization,
        n_iter_no_change=config.patience,
        early_stopping=True,
        random_state=seed,
    )
    with threadpool_limits(threads):
        model.fit(
            train.table,
            _scaled(train, inputs),
            sample_weight=train.weight,
            X_val=validation.table,
            y_val=_scaled(validation, inputs),
            sample_weight_val=validation.weight,
        )
    rounds = int(np.argmax(model.validation_score_))
    return _arrays(model, rounds), {"rounds": float(rounds)}


def _scaled(examples: Examples, inputs: Inputs) -> NDArray[Any]:
    """(N,) the class's index, or the number scaled."""
    assert examples.target is not None
    return (examples.target - inputs.centre) / inputs.spread if inputs.task == "regression" else examples.target


def _arrays(model: Any, rounds: int) -> dict[str, NDArray[Any]]:
    """The first `rounds` rounds of trees laid end to end; a leaf is its own child, so walking may overrun."""
    trees = [tree.nodes for trees in model._predictors[:rounds] for tree in trees]
    sizes = np.array([len(nodes) for nodes in trees], dtype=np.int64)
    roots = np.cumsum(sizes) - sizes
    nodes = np.concatenate([*trees, model._predictors[0][0].nodes[:0]])
    leaf, start, own = nodes["is_leaf"].astype(bool), np.repeat(roots, sizes), np.arange(len(nodes))
    baseline = np.asarray(model._baseline_prediction, dtype=np.float64).ravel()
    return {
        "baseline": baseline,
        "depth": np.array([nodes["depth"].max(initial=0)], dtype=np.int64),
        "roots": roots.reshape(-1, len(baseline)),
        "column": np.where(leaf, 0, nodes["feature_idx"]).astype(np.int64),
        "cut": np.where(leaf, 0.0, nodes["num_threshold"]),
        "missing_left": nodes["missing_go_to_left"].astype(bool),
        "left": np.where(leaf, own, start + nodes["left"]).astype(np.int64),
        "right": np.where(leaf, own, start + nodes["right"]).astype(np.int64),
        "value": nodes["value"].astype(np.float64),
    }


def outputs(arrays: dict[str, NDArray[Any]], table: NDArray[np.float32]) -> NDArray[np.float64]:
    """The trees' summed values. Shape: (N, F) -> (N, K)."""
    logits: NDArray[np.float64] = np.repeat(arrays["baseline"][None], len(table), axis=0)
    columns = np.ascontiguousarray(table.T)
    for trees in arrays["roots"]:
        for index, root in enumerate(trees):
            logits[:, index] += arrays["value"][_leaves(arrays, columns, int(root))]
    return logits


def _leaves(arrays: dict[str, NDArray[Any]], columns: NDArray[np.float32], root: int) -> NDArray[np.int64]:
    """The leaf in which each row ends in the tree at `root`. Shape: columns (F, N) -> (N,)."""
    node = np.full(columns.shape[1], root, dtype=np.int64)
    rows = np.arange(len(node))
    for _ in range(int(arrays["depth"][0])):
        left, value = arrays["left"][node[rows]], columns[arrays["column"][node[rows]], rows]
        to_left = np.where(np.isnan(value), arrays["missing_left"][node[rows]], value <= arrays["cut"][node[rows]])
        after = np.where(to_left, left, arrays["right"][node[rows]])
        moved = after != node[rows]
        node[rows] = after
        rows = rows[moved]
    return node

"""Gradient boosting of trees on binned columns (scikit-learn's HistGradientBoostingClassifier and Regressor).

The method is LightGBM's (Ke et al., NeurIPS 2017). The fitted trees are kept as plain arrays and
scored with numpy: no pickle, the same bytes each time, and scoring needs no scikit-learn.

Of survival a training row is given once for each interval of time that it tells of, whose number is one more column,
and the label is whether the event fell into it (Tutz & Schmid, "Modeling discrete time-to-event data", 2016).
Of several labels there are trees of each, grown on the rows of which it is known, and of the values ahead too.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.examples import Examples, Inputs, Kind
from contracts.tasks import Task
from models.hazards import courses
from models.sampling import weighed_as
from models.tasks import multilabel

READS: tuple[Kind, ...] = ("table",)
TASKS: tuple[Task, ...] = ("classes", "ordinal", "regression", "survival", "multilabel", "forecasting")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults grow small trees, each from a part of the columns.

    learning_rate: how much of each tree is taken
    max_iter: most rounds, each of one tree (three classes or more: one a class)
    max_leaf_nodes: most leaves of a tree
    min_samples_leaf: fewest training rows in a leaf
    max_features: share of the columns tried at each split
    l2_regularization: penalty on a leaf's value
    patience: rounds without a lower validation loss after which it stops; the best round's trees are kept. Of classes
        each weighs in it as it does in training
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
    """The trees up to the round with the lowest validation loss, as arrays, and the number of rounds, of several labels
    the largest.

    Shape: `roots` (R, K), `baseline` (K,), the rest one entry a node; K is 1 for two classes, for a number and for
    survival, of which `intervals` (I,) are the numbers of the intervals.
    """
    given: dict[str, Any] = {"config": config, "seed": seed, "threads": threads}
    if inputs.task in ("classes", "ordinal"):
        validation = weighed_as(train, validation, len(inputs.classes))
    if inputs.task not in ("multilabel", "forecasting"):
        return _grown(train, validation, inputs=inputs, **given)
    if inputs.task == "forecasting":
        one, parts = replace(inputs, task="regression"), zip(_ahead(train), _ahead(validation), strict=True)
    else:
        one = replace(inputs, task="classes", classes=["no", "yes"], positive=1)
        parts = zip(multilabel.apart(train, inputs), multilabel.apart(validation, inputs), strict=True)
    each = [_grown(*pair, inputs=one, **given) for pair in parts]
    arrays = {f"label/{k}/{name}": array for k, (of, _) in enumerate(each) for name, array in of.items()}
    return arrays, {"rounds": max(facts["rounds"] for _, facts in each)}


def _ahead(examples: Examples) -> list[Examples]:
    """The rows with each value ahead as their label."""
    assert examples.target is not None
    return [replace(examples, target=of) for of in examples.target.reshape(len(examples), -1).T]


def _grown(
    train: Examples, validation: Examples, *, config: Config, inputs: Inputs, seed: int, threads: int
) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
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
    (table, target, weight), (held, its_target, its_weight) = (_posed(part, inputs) for part in (train, validation))
    with threadpool_limits(threads):
        model.fit(table, target, weight, X_val=held, y_val=its_target, sample_weight_val=its_weight)
    rounds = int(np.argmax(model.validation_score_))
    told = {"intervals": np.arange(len(inputs.cuts), dtype=np.float32)} if inputs.task == "survival" else {}
    return _arrays(model, rounds) | told, {"rounds": float(rounds)}


def _posed(examples: Examples, inputs: Inputs) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[np.float32] | None]:
    """Table, label and weight: of classes the index, of numbers the scaled one, of survival by row and interval."""
    table, target, weight = examples.table, examples.target, examples.weight
    assert target is not None
    if inputs.task == "regression":
        return table, (target - inputs.centre) / inputs.spread, weight
    if inputs.task != "survival":
        return table, target, weight
    told, fell = courses(target, inputs.cuts)
    row, interval = np.nonzero(told)
    by_interval = np.column_stack([table[row], interval.astype(np.float32)])
    return by_interval, fell[told].astype(np.int64), None if weight is None else weight[row]


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
    """The trees' summed values. Shape: (N, F) -> (N, K), of survival (N, I), of several labels (N, L)."""
    labels = {name.split("/")[1] for name in arrays if name.startswith("label/")}
    if labels:
        own = [
            {name.rpartition("/")[2]: of for name, of in arrays.items() if name.startswith(f"label/{k}/")}
            for k in range(len(labels))
        ]
        return np.concatenate([outputs(of, table) for of in own], axis=1)
    if "intervals" in arrays:
        intervals = arrays["intervals"]
        by_interval = np.column_stack([np.repeat(table, len(intervals), axis=0), np.tile(intervals, len(table))])
        rest = {name: array for name, array in arrays.items() if name != "intervals"}
        return outputs(rest, by_interval).reshape(len(table), len(intervals))
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

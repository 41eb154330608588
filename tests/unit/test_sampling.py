"""What shares the classes have where a model is chosen."""

from typing import Any

import numpy as np

from contracts.examples import Examples
from models.families import boosting, logistic
from models.sampling import weighed_as
from tests.unit.test_models_contract import inputs


def test_classes_weigh_in_validation_as_they_do_in_training() -> None:
    train = Examples(
        table=np.zeros((4, 1)), target=np.array([0, 0, 0, 1]), weight=np.array([1, 1, 1, 3], dtype=np.float32)
    )
    rows = Examples(
        table=np.zeros((5, 1)), target=np.array([0, 0, 0, 0, 1]), weight=np.array([1, 1, 1, 5, 2], dtype=np.float32)
    )
    weight = weighed_as(train, rows, 3).weight
    assert weight is not None
    np.testing.assert_allclose(np.bincount(rows.target, weight) / weight.sum(), [0.5, 0.5])
    assert weight[3] == 5 * weight[0], "rows of a class as before"


def rare(rows: int, columns: int, held: int) -> tuple[Examples, Examples, dict[str, Any]]:
    """Training rows of a rare class that weighs as much as the other, validation rows as they come."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(rows, columns)).astype(np.float32)
    target = (rng.random(rows) < 1 / (1 + np.exp(3 - 0.7 * table[:, 0]))).astype(np.int64)
    weight = np.where(target == 1, 0.5 / target.mean(), 0.5 / (1 - target.mean())).astype(np.float32)
    train = Examples(table=table[:-held], target=target[:-held], weight=weight[:-held])
    return train, Examples(table=table[-held:], target=target[-held:]), {"inputs": inputs(["table"], 2)}


def test_boosting_stops_where_classes_weigh_as_in_training() -> None:
    """By the loss of the rows as they come, a rare class that weighs as much as the other is learnt by heart."""
    train, held, given = rare(4000, 6, 1000)
    given |= {"config": boosting.Config(max_iter=300), "seed": 0, "threads": 1}
    assert boosting.fit(train, held, **given)[1]["rounds"] < 60
    assert boosting._grown(train, held, **given)[1]["rounds"] > 100  # as they come


def test_the_penalty_is_chosen_by_classes_that_weigh_as_in_training() -> None:
    """By rows as they come, a rare class that weighs as much as the other asks for more strength than it bears."""
    train, held, given = rare(600, 60, 200)
    strengths, losses = logistic.Config().strengths, []
    for strength in strengths:
        arrays = logistic._fitted(train, strength, logistic.Config(), given["inputs"])
        losses.append(logistic._log_loss(arrays, held, given["inputs"]))
    chosen = logistic.fit(train, held, config=logistic.Config(), seed=0, threads=1, **given)[1]["strength"]
    assert chosen < strengths[int(np.argmin(losses))]

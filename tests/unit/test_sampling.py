"""What shares the classes have where a model is chosen."""

import numpy as np

from contracts.examples import Examples
from models.families import logistic
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


def test_the_penalty_is_chosen_by_classes_that_weigh_as_in_training() -> None:
    """By rows as they come, a rare class that weighs as much as the other asks for more strength than it bears."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(600, 60)).astype(np.float32)
    target = (rng.random(600) < 1 / (1 + np.exp(3 - 0.7 * table[:, 0]))).astype(np.int64)
    weight = np.where(target == 1, 0.5 / target.mean(), 0.5 / (1 - target.mean())).astype(np.float32)
    train = Examples(table=table[:400], target=target[:400], weight=weight[:400])
    held = Examples(table=table[400:], target=target[400:])
    given = {"config": logistic.Config(), "inputs": inputs(["table"], 2), "seed": 0, "threads": 1}
    chosen = logistic.fit(train, held, **given)[1]["strength"]
    losses = {}
    for strength in logistic.Config().strengths:
        arrays = logistic.fit(train, held, **{**given, "config": logistic.Config(strengths=(strength,))})[0]
        losses[strength] = logistic._log_loss(arrays, held, given["inputs"])
    assert chosen < min(losses, key=lambda strength: losses[strength])

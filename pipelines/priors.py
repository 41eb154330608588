"""What balancing does to the share of each class that a model learns, and how its probabilities are put right."""

from collections.abc import Mapping

import numpy as np

from contracts.study import Frozen


class Prior(Frozen):
    """The classes' shares in training, and what a model trained on the balanced rows owes to the change.

    before, after: the share of each class's index, before and after balancing, masked rows left out, weights counted.
    log_odds_shift: by how much the log-odds of a class are too high; King and Zeng ("Logistic regression in rare
        events data", Political Analysis 9, 2001) subtract it from the intercept.
    correction: multiply a class's probability by it, then divide by the sum over the classes (Saerens et al.,
        "Adjusting the outputs of a classifier to new a priori probabilities", Neural Computation 14, 2002).
    A class without rows, before or after, has neither.
    """

    before: dict[int, float]
    after: dict[int, float]
    log_odds_shift: dict[int, float]
    correction: dict[int, float]


def prior_shift(before: Mapping[int, float], after: Mapping[int, float]) -> Prior:
    """From the weight of each class's rows before and after balancing, at least one of them positive."""
    was, now = _shares(before), _shares(after)
    both = [index for index in was if was[index] > 0 and now[index] > 0]
    return Prior(
        before=was,
        after=now,
        log_odds_shift={i: _log_odds(now[i]) - _log_odds(was[i]) for i in both if was[i] < 1 and now[i] < 1},
        correction={i: was[i] / now[i] for i in both},
    )


def _shares(weight: Mapping[int, float]) -> dict[int, float]:
    total = sum(weight.values())
    return {index: value / total for index, value in weight.items()}


def _log_odds(share: float) -> float:
    return float(np.log(share) - np.log1p(-share))

"""Several yes or no answers of a row in one whole number, so that a label of many is one column.

Its digits to base 3 are the answers, the first one's the lowest: 0 no, 1 yes, 2 not known.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError

MOST = 39  # what 64 bits hold
NO, YES, UNKNOWN = 0, 1, 2


def packed(answers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Shape: (N, L) of 0, 1 and 2 -> (N,)."""
    return np.asarray(answers @ _places(answers.shape[1]), dtype=np.int64)


def unpacked(target: NDArray[Any], labels: int) -> NDArray[np.int64]:
    """Shape: (N,) -> (N, L) of 0, 1 and 2."""
    return np.asarray(np.asarray(target, dtype=np.int64)[:, None] // _places(labels) % 3, dtype=np.int64)


def _places(labels: int) -> NDArray[np.int64]:
    return 3 ** np.arange(labels, dtype=np.int64)


def refuse_one_answer(target: NDArray[Any], labels: Sequence[str], part: str) -> None:
    """Raises MedloopError where a label is the same in all of these rows where it is known."""
    for label, answers in zip(labels, unpacked(target, len(labels)).T, strict=True):
        lacking = [word for word, answer in (("not so", NO), ("so", YES)) if not (answers == answer).any()]
        if lacking:
            raise MedloopError(
                f"{label} is {lacking[0]} in none of the {part} rows",
                where=f"{part} rows",
                mend="gather more rows, or leave the column out of target.columns (name it under drop)",
            )

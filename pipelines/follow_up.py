"""Rows by the time that they were followed, as functions of row weights: who was at risk, and who was censored.

Each resample of a bootstrap estimates its own censoring, as a new sample of patients would.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.follow_up import followed

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Course:
    """Rows in the order of their times. Shape, of N rows of U distinct times: `order` (N,) their numbers; `time`,
    `happened` (N,); `starts` (U,) the first row of each time; `place` (N,) the number of each row's time.
    """

    order: NDArray[np.intp]
    time: Floats
    happened: Mask
    starts: NDArray[np.intp]
    place: NDArray[np.intp]

    @property
    def distinct(self) -> Floats:
        """(U,) the times."""
        return self.time[self.starts]

    def summed(self, weight: Floats, rows: Mask) -> Floats:
        """By time, the weight of those rows. Shape: (B, N), (N,) -> (B, U)."""
        return np.asarray(np.add.reduceat(weight * rows, self.starts, axis=1), dtype=np.float64)

    def fates(self, weight: Floats) -> tuple[Floats, Floats]:
        """By time, who is at risk and whose event happens. Shape: (B, N) -> (B, U), (B, U)."""
        whole = np.add.reduceat(weight, self.starts, axis=1)
        return np.cumsum(whole[:, ::-1], axis=1)[:, ::-1], self.summed(weight, self.happened)

    def last(self, times: Floats) -> NDArray[np.intp]:
        """The number, counted from 1, of the last time that is not after; 0 where there is none. Shape: (T,)."""
        return np.searchsorted(self.distinct, times, side="right")


def course(target: NDArray[np.float64]) -> Course:
    """Shape: target (N,) as `contracts.follow_up` has it."""
    time, happened = followed(target)
    order = np.argsort(time, kind="stable")
    starts, place = np.unique(time[order], return_index=True, return_inverse=True)[1:]
    return Course(order=order, time=time[order], happened=happened[order], starts=starts, place=place)


def spared(course: Course, weight: Floats) -> Floats:
    """Kaplan & Meier's estimate (JASA 53, 1958) before the first time and after each. Shape: (B, N) -> (B, 1 + U)."""
    at_risk, events = course.fates(weight)
    return _product(events, at_risk)


def watched(course: Course, weight: Floats) -> Floats:
    """The same of censoring: the chance to be still followed, whose event has not come; events of a time come first."""
    at_risk, events = course.fates(weight)
    return _product(course.summed(weight, ~course.happened), at_risk - events)


def _product(lost: Floats, of: Floats) -> Floats:
    stay = np.where(of > 0, 1 - lost / np.where(of > 0, of, 1), 1.0)
    return np.concatenate([np.ones((len(stay), 1)), np.cumprod(stay, axis=1)], axis=1)


class Part(NamedTuple):
    """Rows alike by their risk, as they are numbered by rising time, and their course."""

    rows: NDArray[np.intp]
    course: Course

    def spared(self, weight: Floats, at: Floats) -> Floats:
        """Kaplan–Meier of these rows alone. Shape: (B, N), (T,) -> (B, T)."""
        return spared(self.course, weight[:, self.rows])[:, self.course.last(at)]


def parts(risk: Floats, target: Floats, count: int) -> tuple[Part, ...]:
    """Equally many rows each, by rising risk, those of equal risk together; `count` of them at most. Shape: (N,)."""
    edges = np.unique(np.quantile(risk, np.linspace(0, 1, count + 1)[1:-1]))
    place = np.unique(np.searchsorted(edges, risk, side="left"), return_inverse=True)[1]
    return tuple(
        Part(rows, course(target[rows])) for rows in map(np.flatnonzero, np.arange(place.max() + 1)[:, None] == place)
    )

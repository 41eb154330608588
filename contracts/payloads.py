"""What cells of type image, sequence and text refer to: the decoded payloads of one column, in one array."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Allocate = Callable[[tuple[int, ...], DTypeLike], NDArray[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Payloads:
    """The payloads of one column; a table's cell holds the position of its own, from 0.

    Shape:
        values: images (N, C, H, W), unsigned whole numbers; of unequal lengths one after another (S, ...): the steps of
            sequences (S, C) float32, NaN a gap; the tokens of texts (S,) int32
        offsets: (N + 1,) int64, where each begins and the last ends; None where all are alike
        times: (S,) float64, the moment of each step, where they are not equally far apart
        channels: the C names
        centre, spread: (C,) what images are scaled by when they are used, so that they stay as small as they are
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64] | None = None
    times: NDArray[np.float64] | None = None
    channels: tuple[str, ...] = ()
    centre: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.values) if self.offsets is None else len(self.offsets) - 1

    def __getitem__(self, position: int) -> NDArray[Any]:
        """One payload: (C, H, W), (T, C) or (L,)."""
        piece: NDArray[Any] = self.values[position if self.offsets is None else self._span(position)]
        return piece

    def moments(self, position: int) -> NDArray[np.float64] | None:
        """The moments of one sequence's steps. Shape: (T,)."""
        return None if self.times is None else self.times[self._span(position)]

    def take(self, positions: NDArray[np.int64], allocate: Allocate = np.zeros) -> "Payloads":
        """The payloads at these positions, in this order; at -1 zeros, or nothing where lengths differ."""
        if self.offsets is None:
            values = allocate((len(positions), *self.values.shape[1:]), self.values.dtype)
            for place, position in enumerate(positions):
                if position >= 0:
                    values[place] = self.values[position]
            return replace(self, values=values)
        times = None if self.times is None else [self.times[self._span(p)] for p in positions]
        return ragged([self.values[self._span(p)] for p in positions], times, self.channels, like=self.values)

    def _span(self, position: int) -> slice:
        assert self.offsets is not None
        return slice(0, 0) if position < 0 else slice(self.offsets[position], self.offsets[position + 1])


def ragged(
    pieces: Sequence[NDArray[Any]],
    times: Sequence[NDArray[np.float64]] | None = None,
    channels: tuple[str, ...] = (),
    *,
    like: NDArray[Any],
) -> Payloads:
    """Payloads of unequal lengths; `like` is an array of their type and inner shape, for when there is none."""
    offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces], dtype=np.int64)]).astype(np.int64)
    return Payloads(
        values=np.concatenate([like[:0], *pieces]),
        offsets=offsets,
        times=None if times is None else np.concatenate([np.empty(0), *times]),
        channels=channels,
    )

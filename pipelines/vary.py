"""Made rows get pictures and sequences of their own: those of the row that they descend from, varied."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.payloads import Payloads
from contracts.tables import Schema
from pipelines.image.vary import VARIATIONS as OF_PICTURES
from pipelines.image.vary import vary_image
from pipelines.near_duplicates import positions
from pipelines.signal.vary import Variation, vary_signal

KNOWN = (*OF_PICTURES, *get_args(Variation))


def varied(
    samples: pd.DataFrame,
    origin: Sequence[str],
    schema: Schema,
    payloads: Mapping[str, Payloads],
    *,
    how: Sequence[str],
    seed: int,
) -> tuple[pd.DataFrame, dict[str, Payloads]]:
    """A row for each of `origin`, ids of training rows, as samples, and their pictures and sequences, varied.

    samples: the training rows, typed and without gaps. how: the variations, of which each kind takes those it knows; a
    variation of two payloads takes the second from another row of the class.
    """
    place = pd.Series(np.arange(len(samples)), index=samples["@id"]).loc[list(origin)].to_numpy()
    partner = _partners(samples["@target"].to_numpy(), place, seed)
    rows, made = samples.iloc[place].reset_index(drop=True), {}
    for name in schema.of_type("image", "sequence"):
        at = positions(samples[name])
        made[name] = _varied(payloads[name], at[place], at[partner], how, seed)
        rows[name] = pd.Series(np.arange(len(rows)), dtype="Int64").mask(at[place] < 0)
    return rows, made


def _partners(target: NDArray[np.int64], place: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """(M,) a random row of the same class for each, itself where it is the only one."""
    rng = np.random.default_rng([seed, 0])
    of_class = {c: np.flatnonzero(target == c) for c in np.unique(target)}
    return np.array([rng.choice(of_class[target[p]]) for p in place], dtype=np.int64)


def _varied(
    payloads: Payloads, at: NDArray[np.int64], partner: NDArray[np.int64], how: Sequence[str], seed: int
) -> Payloads:
    taken = payloads.take(at)
    pieces = [
        _vary(payloads, taken[row], int(at[row]), int(partner[row]), how, np.random.default_rng([seed, 1, row]))
        for row in range(len(at))
    ]
    if payloads.offsets is None:
        return replace(taken, values=np.stack(pieces) if pieces else taken.values)
    return replace(taken, values=np.concatenate([payloads.values[:0], *pieces]))


def _vary(
    payloads: Payloads, piece: NDArray[Any], at: int, partner: int, how: Sequence[str], rng: np.random.Generator
) -> NDArray[Any]:
    """One payload varied; an absent one stays so, and one without a partner is its own."""
    if at < 0:
        return piece
    other = payloads[partner] if partner >= 0 else piece
    if payloads.offsets is None:
        return vary_image(piece, other, [name for name in how if name in OF_PICTURES], rng)
    known: list[Variation] = [name for name in get_args(Variation) if name in how]
    return vary_signal(piece, payloads.moments(at), other, known, rng)

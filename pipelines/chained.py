"""Gaps of numeric columns filled with draws: what a regression on the other columns expects, and noise as it left.

Chained equations: van Buuren and Groothuis-Oudshoorn, "mice", J. Stat. Softw. 45(3), 2011, with Bayesian linear
regressions whose doubt comes from a Bayesian bootstrap of the patients (Rubin, Ann. Stat. 9, 1981), so that draws
of several seeds differ as multiple imputation asks. A row's noise depends on its id, not on its place in the table.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.study import Column, Frozen
from pipelines.regression import Array, Gaps, renewed, start_values, units

ROUNDS = 10
FURTHEST = 4.0  # standard deviations from the mean: no draw lies beyond


class Equation(Frozen):
    """A column's regression in standard units: weights (K,), 0 for itself, and the deviation of what it leaves."""

    offset: float
    weights: tuple[float, ...]
    deviation: float


class Chained(Frozen):
    """The equations by filled column; center and scale by each of the K numeric columns.

    `ends` holds the declared ranges, outside of which no draw lies.
    """

    center: dict[str, float]
    scale: dict[str, float]
    equations: dict[str, Equation]
    ends: dict[str, tuple[float | None, float | None]]
    seed: int


def fit_chained(
    train: pd.DataFrame,
    columns: Mapping[str, Column],
    filled: list[str],
    fills: Mapping[str, float | str],
    *,
    seed: int,
) -> Chained:
    """Learn the regression of each of `filled` on all other `columns`, from the training rows that have a value."""
    names = list(columns)
    center, scale, gaps = units(train, names)
    standard = start_values(train, names, fills, center, scale)
    patients = train["@group"] if "@group" in train else train["@id"]
    share = -np.log(_uniform(_keys(patients, seed), 0))
    keys = _keys(train["@id"], seed)
    places = [names.index(name) for name in filled]
    equations: dict[int, Equation] = {}
    for turn in range(ROUNDS):
        for place in places:
            if gaps[:, place].any() or turn == ROUNDS - 1:
                equations[place] = _equation(standard, gaps[:, place], share, place)
                _draw(standard, gaps, place, equations[place], keys, turn)
    return Chained(
        center=dict(zip(names, center.tolist(), strict=True)),
        scale=dict(zip(names, scale.tolist(), strict=True)),
        equations={names[place]: equations[place] for place in places},
        ends={name: columns[name].range or (None, None) for name in filled},
        seed=seed,
    )


def fill_chained(
    chained: Chained, samples: pd.DataFrame, fills: Mapping[str, float | str]
) -> dict[str, "pd.Series[Any]"]:
    """The columns of `chained.equations` without gaps; a row's draws depend on its own cells and its id only."""
    names, keys = list(chained.center), _keys(samples["@id"], chained.seed)

    def renew(standard: Array, gaps: Gaps) -> None:
        for turn in range(ROUNDS):
            for name, equation in chained.equations.items():
                _draw(standard, gaps, names.index(name), equation, keys, turn)

    drawn = renewed(samples, chained.center, chained.scale, fills, renew)
    return {name: samples[name].fillna(drawn[name].clip(*chained.ends[name])) for name in chained.equations}


def _equation(standard: Array, gaps: Gaps, share: Array, place: int) -> Equation:
    """Weighted ridge regression; the ridge fades as rows outnumber columns."""
    known = ~gaps
    others = np.arange(standard.shape[1]) != place
    x, y, w = standard[known][:, others], standard[known, place], share[known] / share[known].sum()
    middle, mean = w @ x, w @ y
    spread = (x - middle) * w[:, None]
    ridge = x.shape[1] / len(x) * np.eye(x.shape[1])
    weights = np.linalg.solve(spread.T @ (x - middle) + ridge, spread.T @ (y - mean))
    rest = y - mean - (x - middle) @ weights
    return Equation(
        offset=round(float(mean - middle @ weights), 6),
        weights=tuple(np.insert(weights, place, 0.0).round(6).tolist()),
        deviation=round(float(np.sqrt(w @ rest**2)), 6),
    )


def _draw(standard: Array, gaps: Gaps, place: int, equation: Equation, keys: NDArray[np.uint64], turn: int) -> None:
    from scipy.special import ndtri

    rows = gaps[:, place]
    noise = ndtri(_uniform(keys[rows], 1 + turn * standard.shape[1] + place))
    expected = equation.offset + (standard[rows] * np.array(equation.weights)).sum(axis=1)
    standard[rows, place] = np.clip(expected + equation.deviation * noise, -FURTHEST, FURTHEST)


def _keys(names: "pd.Series[Any]", seed: int) -> NDArray[np.uint64]:
    """A number a name and seed, the same wherever it stands."""
    hashed = pd.util.hash_array(names.astype(str).to_numpy(dtype=object))
    return pd.util.hash_array(hashed + np.uint64(seed))


def _uniform(keys: NDArray[np.uint64], stream: int) -> Array:
    """(N,) in the open interval from 0 to 1; each stream has its own (SplitMix64, which pandas hashes numbers with)."""
    step = np.uint64((stream + 1) * 0x9E3779B97F4A7C15 % 2**64)
    return np.asarray(((pd.util.hash_array(keys + step) >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53)

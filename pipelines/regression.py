"""Gaps of numeric columns filled with what a linear regression on all other numeric columns expects.

With the columns' covariance S, the inverse of S holds all the regressions at once; filling and estimating S
take turns. Buck, "A method of estimation of missing values in multivariate data", J. R. Stat. Soc. B 22, 1960;
Beale and Little, "Missing values in multivariate analysis", J. R. Stat. Soc. B 37, 1975. A ridge keeps S invertible.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.study import Frozen

Array = NDArray[np.float64]
Gaps = NDArray[np.bool_]

RIDGE = 0.1
ROUNDS = 10
FURTHEST = 4.0  # standard deviations from the mean: no fill lies beyond


class Regression(Frozen):
    """Regressions in standard units.

    Shape, for K numeric columns: center (K,) and scale (K,) by column; weights (K,) by filled column, 0 for itself.
    """

    center: dict[str, float]
    scale: dict[str, float]
    weights: dict[str, list[float]]


def fit_regression(
    train: pd.DataFrame, columns: list[str], filled: list[str], fills: Mapping[str, float | str]
) -> Regression:
    """Regress the `filled` ones of `columns` on all others; gaps of the rest hold their value in `fills`."""
    center, scale, gaps = units(train, columns)
    standard = start_values(train, columns, fills, center, scale)
    places = [columns.index(name) for name in filled]
    for _ in range(ROUNDS):
        inverse = np.linalg.inv(standard.T @ standard / len(standard) + RIDGE * np.eye(len(columns)))
        weights = -inverse / np.diag(inverse)[:, None]
        np.fill_diagonal(weights, 0)
        _sweep(standard, gaps, dict(zip(places, weights[places], strict=True)))
    return Regression(
        center=dict(zip(columns, center.tolist(), strict=True)),
        scale=dict(zip(columns, scale.tolist(), strict=True)),
        weights=dict(zip(filled, weights[places].round(6).tolist(), strict=True)),
    )


def fill_gaps(
    regression: Regression, samples: pd.DataFrame, fills: Mapping[str, float | str]
) -> dict[str, "pd.Series[Any]"]:
    """The columns of `regression.weights` without gaps."""
    columns = list(regression.center)
    weights = {columns.index(name): np.array(weight) for name, weight in regression.weights.items()}

    def renew(standard: Array, gaps: Gaps) -> None:
        for _ in range(ROUNDS):
            _sweep(standard, gaps, weights)

    expected = renewed(samples, regression.center, regression.scale, fills, renew)
    return {name: samples[name].fillna(expected[name]) for name in regression.weights}


def units(train: pd.DataFrame, columns: list[str]) -> tuple[Array, Array, Gaps]:
    """Mean and standard deviation (K,) of the values that are there, 1 instead of 0, and where none is (N, K)."""
    values = train[columns].to_numpy(dtype=np.float64)
    center, scale = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    scale[scale == 0] = 1
    return center, scale, np.isnan(values)


def renewed(
    samples: pd.DataFrame,
    center: Mapping[str, float],
    scale: Mapping[str, float],
    fills: Mapping[str, float | str],
    renew: Callable[[Array, Gaps], None],
) -> pd.DataFrame:
    """The columns of `center` after `renew` has put values into the gaps, in place, in standard units."""
    columns, middle, spread = list(center), np.array(list(center.values())), np.array(list(scale.values()))
    standard = start_values(samples, columns, fills, middle, spread)
    renew(standard, samples[columns].isna().to_numpy())
    return pd.DataFrame(standard * spread + middle, columns=columns, index=samples.index)


def start_values(
    samples: pd.DataFrame, columns: list[str], fills: Mapping[str, float | str], center: Array, scale: Array
) -> Array:
    """(N, K) in standard units, gaps at their simple fill."""
    values = samples[columns].fillna({name: fills[name] for name in columns}).to_numpy(dtype=np.float64)
    return np.asarray((values - center) / scale)


def _sweep(standard: Array, gaps: Gaps, weights: Mapping[int, Array]) -> None:
    """Renew the gaps in place, a column after another: it then converges where all at once may swing."""
    for place, weight in weights.items():
        rows = gaps[:, place]
        standard[rows, place] = np.clip(standard[rows] @ weight, -FURTHEST, FURTHEST)

"""Gaps filled with values learnt from training rows; where they were stays visible to the model."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import Field

from contracts.errors import MedloopError
from contracts.names import nearest
from contracts.study import Column, Frozen
from contracts.tables import RowsSeen, Schema, rows_seen
from pipelines.regression import Regression, fill_gaps, fit_regression

MISSING = "‹missing›"
Numeric = Literal["median", "mean", "constant", "regression"]
Categorical = Literal["missing_level", "most_frequent"]


class ImputeParams(Frozen):
    """How gaps are filled. Rows are never deleted for a gap: whoever has one wants a prediction too.

    numeric: the training median or mean, `constant`, or "regression" on all other numeric columns.
    constant: the number that "constant" fills in.
    categorical: a level of its own, or the most frequent one.
    columns: the method by column, where it differs; "drop" deletes the column.
    indicators: whether 0/1 columns tell which cells were filled; columns that are missing together in all
        training rows share one, and one stands only where at least `indicator_share` of those rows have a gap.
    drop_above: the share of gaps above which a column is deleted; one without any training value always is.
    Ordinal and datetime columns take the training median; text, image and sequence cells stay missing.
    """

    numeric: Numeric = "median"
    constant: float = 0.0
    categorical: Categorical = "missing_level"
    columns: dict[str, Numeric | Categorical | Literal["drop"]] = Field(default={})
    indicators: bool = True
    indicator_share: float = Field(default=0.01, ge=0, le=1)
    drop_above: float = Field(default=1.0, gt=0, le=1)


class Imputer(Frozen):
    """What imputation learnt from the training rows.

    fills: by column, what goes into a gap (a datetime as ISO text).
    regression: for columns filled by it, in place of `fills`.
    indicators: by indicator, the column whose gaps it shows.
    dropped: by deleted column, why.
    after: the table's schema after imputation.
    """

    fills: dict[str, float | str]
    regression: Regression | None
    indicators: dict[str, str]
    dropped: dict[str, str]
    after: Schema
    seen: RowsSeen


def fit_impute(train: pd.DataFrame, schema: Schema, params: ImputeParams) -> Imputer:
    """Learn from training rows what fills each gap.

    Raises MedloopError when `params.columns` names no feature, or a method that its type does not know.
    """
    _check_overrides(schema, params)
    gaps = train[list(schema.features)].isna()
    dropped = _dropped(gaps, params)
    kept = {name: column for name, column in schema.features.items() if name not in dropped}
    methods = {name: _method(name, column, params) for name, column in kept.items()}
    fillable = {name: column for name, column in kept.items() if methods[name]}
    fills = {name: _fill(train[name], column, methods[name], params) for name, column in fillable.items()}
    marked = [name for name in fills if fills[name] != MISSING]
    indicators = _indicators(gaps[marked], schema, params) if params.indicators else {}
    return Imputer(
        fills=fills,
        regression=_regression(train, kept, methods, fills),
        indicators=indicators,
        dropped=dropped,
        after=schema.model_copy(update={"features": {**kept, **dict.fromkeys(indicators, Column(type="numeric"))}}),
        seen=rows_seen(train["@id"]),
    )


def apply_impute(imputer: Imputer, samples: pd.DataFrame) -> pd.DataFrame:
    """The samples with gaps filled, deleted columns gone and indicators added; no row is touched otherwise."""
    own = [name for name in samples.columns if name.startswith("@")]
    columns = {name: samples[name] for name in [*own, *imputer.after.features] if name not in imputer.indicators}
    if imputer.regression:
        columns |= fill_gaps(imputer.regression, samples, imputer.fills)
    for name, fill in imputer.fills.items():
        value = pd.Timestamp(fill) if imputer.after.features[name].type == "datetime" else fill
        columns[name] = columns[name].fillna(value)
    for name, source in imputer.indicators.items():
        columns[name] = samples[source].isna().astype(np.float64)
    return pd.DataFrame(columns)


def _check_overrides(schema: Schema, params: ImputeParams) -> None:
    for name, method in params.columns.items():
        if name not in schema.features:
            raise MedloopError(
                f"impute.columns names {name}, which is no feature after cleaning{nearest(name, schema.features)}",
                mend="correct the name, or take it out of impute.columns",
            )
        kind = schema.features[name].type
        known = {"numeric": get_args(Numeric), "categorical": get_args(Categorical)}.get(kind, ())
        if method not in (*known, "drop"):
            raise MedloopError(
                f"impute.columns: {method} does not fill {name}, a column of type {kind}",
                mend=f"choose one of {[*known, 'drop']}",
            )


def _dropped(gaps: pd.DataFrame, params: ImputeParams) -> dict[str, str]:
    dropped = {name: "by the settings" for name, method in params.columns.items() if method == "drop"}
    for name, share in gaps.mean().items():
        if share == 1:
            dropped[str(name)] = "no value in the training rows"
        elif share > params.drop_above:
            dropped[str(name)] = f"missing in {share:.1%} of the training rows, above {params.drop_above:.1%}"
    return dropped


def _method(name: str, column: Column, params: ImputeParams) -> str:
    by_type: dict[str, str] = {
        "numeric": params.numeric,
        "categorical": params.categorical,
        "ordinal": "median",
        "datetime": "median",
    }
    return params.columns.get(name) or by_type.get(column.type, "")


def _fill(values: "pd.Series[Any]", column: Column, method: str, params: ImputeParams) -> float | str:
    """What goes into a gap; a column filled by regression starts from its mean."""
    if column.type == "numeric":
        if method == "constant":
            return params.constant
        return float(values.median() if method == "median" else values.mean())
    if column.type == "categorical":
        return MISSING if method == "missing_level" else str(values.mode().iloc[0])
    ordered = values.dropna()
    if column.type == "ordinal":
        ordered = ordered.map(column.levels.index)
    middle = ordered.sort_values().iloc[(len(ordered) - 1) // 2]
    return column.levels[middle] if column.type == "ordinal" else str(middle.isoformat())


def _indicators(gaps: pd.DataFrame, schema: Schema, params: ImputeParams) -> dict[str, str]:
    """By indicator, the first of the columns whose gaps are the same in all training rows."""
    shares = gaps.mean()
    often = [name for name in gaps.columns if shares[name] > 0 and shares[name] >= params.indicator_share]
    first: dict[bytes, str] = {}
    for name in often:
        first.setdefault(gaps[name].to_numpy().tobytes(), name)
    indicators = {f"{name} is missing": name for name in first.values()}
    taken = sorted(set(indicators) & set(schema.features))
    if taken:
        raise MedloopError(
            f"column {taken[0]} has the name of an indicator", mend="rename it, or impute.indicators: false"
        )
    return indicators


def _regression(
    train: pd.DataFrame, kept: Mapping[str, Column], methods: Mapping[str, str], fills: Mapping[str, float | str]
) -> Regression | None:
    filled = [name for name, method in methods.items() if method == "regression"]
    numeric = [name for name, column in kept.items() if column.type == "numeric"]
    return fit_regression(train, numeric, filled, fills) if filled else None

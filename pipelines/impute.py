"""Gaps filled with values learnt from training rows; where they were stays visible to the model."""

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from contracts.errors import MedloopError
from contracts.names import nearest
from contracts.study import Column, Frozen, Text
from contracts.tables import RowsSeen, Schema, rows_seen
from pipelines.chained import Chained, fill_chained
from pipelines.denoising import Denoiser, fill_denoised
from pipelines.fills import MISSING, constant_fill, simple_fill
from pipelines.forest import Forests, fill_forests
from pipelines.learnt_fills import fit_models
from pipelines.neighbours import Neighbours, fill_neighbours
from pipelines.outliers import Marked, OutlierAction, OutlierMethod, Outliers, fit_outliers, mark_outliers
from pipelines.regression import Regression, fill_gaps
from pipelines.signal.fill import Filling
from pipelines.table import Each, Table, as_table
from pipelines.within import Within, fill_within

Simple = Literal["median", "mean", "most_frequent", "constant", "missing_level"]
Ordered = Literal["median", "constant", "neighbours", "forward", "backward"]
Ordinal = Literal[Ordered, "most_frequent"]
Numeric = Literal[Ordered, "mean", "most_frequent", "interpolate", "regression", "mice", "forest", "autoencoder"]
Categorical = Literal["missing_level", "most_frequent", "constant", "neighbours", "forward", "backward"]
KNOWN: dict[str, tuple[str, ...]] = {
    "numeric": get_args(Numeric),
    "categorical": get_args(Categorical),
    "ordinal": get_args(Ordinal),
    "datetime": get_args(Ordered),
}


class ImputeParams(Frozen):
    """How gaps are filled. Rows are never deleted for a gap: whoever has one wants a prediction too.

    numeric, categorical, ordinal, datetime: the method for columns of that type.
    columns: the method by column, where it differs; "drop" deletes the column.

    "median", "mean", "most_frequent": of the training rows; a number that fewer than 5 rows share is not frequent,
        and the median stands in. "missing_level": a level of its own (categorical).
    "constant": the column's value in `constants`, for numbers else `constant`.
    "neighbours": what the `neighbours` nearest groups of training rows have, by their numeric columns.
    "forward", "backward", "interpolate": from the same patient's other moments, where the study has a time; what
        stays missing takes the median or most frequent value. The last two look ahead: for retrospective data only.
        A prediction does not know whose row it scores, so there every row stands alone.
    "regression": what a linear regression on all other numeric columns expects; "mice" adds noise (chained
        equations), drawn by `seed` and the row's id; "forest" takes random forests (missForest);
        "autoencoder" a network that restores all numeric columns of a row at once, trained by `seed`.
    datasets: above 1, how many times the training rows are completed by "mice" to tell what the gaps cost
        (multiple imputation); models are trained on one filled table all the same.

    outliers: values of numeric columns that are far off, judged before any gap is filled: outside Tukey's "iqr" fences,
        of a "robust_z" score beyond the fences (3.5 is usual there), or no single values but whole rows, by an
        "isolation_forest".
    outlier_action: such a cell becomes "missing" and is filled, is set to the fence ("clip"), or stays and shows in a
        0/1 column ("flag"). An isolation forest gives a score a row, flag it must be.
    fences: how far off they are, in interquartile ranges or robust standard deviations.
    outlier_columns: which columns are judged; none named: all numeric ones. Those of two values, of fewer than 20 or
        whose middle half is one value have no fences.

    indicators: whether 0/1 columns tell which cells were filled; columns that are missing together in all
        training rows share one, and one stands only where at least `indicator_share` of those rows have a gap.
    drop_above: the share of gaps above which a column is deleted; one without any training value always is.
    sequence: how gaps inside a sequence are filled, from itself alone, when it is normalized: "interpolate", "forward",
        or "zero", the training mean (`pipelines.signal.fill`).
    Text, image and sequence cells that are missing stay so.
    """

    numeric: Numeric = "median"
    categorical: Categorical = "missing_level"
    ordinal: Ordinal = "median"
    datetime: Ordered = "median"
    sequence: Filling = "interpolate"
    columns: dict[str, Numeric | Categorical | Literal["drop"]] = Field(default={})
    constant: float = 0.0
    constants: dict[str, Text] = Field(default={})
    neighbours: int = Field(default=5, ge=1)
    seed: int = Field(default=0, ge=0)
    indicators: bool = True
    indicator_share: float = Field(default=0.01, ge=0, le=1)
    drop_above: float = Field(default=1.0, gt=0, le=1)
    datasets: int = Field(default=1, ge=1, le=20)
    outliers: OutlierMethod = "none"
    outlier_action: OutlierAction = "missing"
    outlier_columns: tuple[str, ...] = ()
    fences: float = Field(default=3.0, gt=0, le=100)

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.datasets > 1 and self.numeric != "mice" and "mice" not in self.columns.values():
            raise ValueError("datasets above 1 differ by draws, and no column is filled by mice")
        if self.outliers == "isolation_forest" and self.outlier_action != "flag":
            raise ValueError("an isolation_forest judges rows, no cells: set outlier_action: flag")
        return self


class Imputer(Frozen):
    """What imputation learnt from the training rows.

    fills: by column, what goes into a gap (a datetime as ISO text).
    outliers: the fences or forest that all rows are held against first.
    regression, chained, forests, denoiser, neighbours, within: for columns filled by them; `fills` holds what they
        start from or fall back on.
    indicators: by indicator, the column whose gaps it shows.
    dropped: by deleted column, why.
    sequence: how gaps inside sequences are to be filled.
    after: the table's schema after imputation.
    """

    outliers: Outliers | None = None
    fills: dict[str, float | str]
    regression: Regression | None = None
    chained: Chained | None = None
    forests: Forests | None = None
    denoiser: Denoiser | None = None
    neighbours: Neighbours | None = None
    within: dict[str, Within] = Field(default={})
    indicators: dict[str, str]
    dropped: dict[str, str]
    sequence: Filling = "interpolate"
    after: Schema
    seen: RowsSeen


def fit_impute(train: pd.DataFrame | Table, schema: Schema, params: ImputeParams, each: Each = map) -> Imputer:
    """Learn from training rows, in whatever order, what fills each gap.

    `each` maps work over columns, which are read one at a time, but for the methods that `at_once` names.

    Raises MedloopError when `params` names no feature, a method or value that its type does not know, or a method
    that needs a time or another numeric column where there is none.
    """
    _check_overrides(schema, params)
    table = as_table(train)
    if _ordered(schema, params):
        table = table.ordered("@id")  # sums depend on the order, in their last digits
    outliers = _outliers(table, schema, params, each)
    if outliers and outliers.action != "flag":
        table = Table((Marked(table, outliers),))
    learnt = dict(zip(schema.features, each(partial(_learn, table, schema, params), schema.features), strict=True))
    dropped = {name: one.dropped for name, one in learnt.items() if one.dropped}
    kept = {name: column for name, column in schema.features.items() if name not in dropped}
    methods = {name: _method(name, column, params) for name, column in kept.items()}
    fills = {name: one.fill for name, one in learnt.items() if one.fill is not None}
    made = list(outliers.made) if outliers else []
    marked = {name: learnt[name] for name in fills if fills[name] != MISSING}
    indicators = _indicators(marked, schema, params) if params.indicators else {}
    return Imputer(
        outliers=outliers,
        fills=fills,
        indicators=indicators,
        dropped=dropped,
        sequence=params.sequence,
        after=schema.model_copy(
            update={"features": kept | dict.fromkeys([*made, *indicators], Column(type="numeric"))}
        ),
        seen=rows_seen(table["@id"]),
        **fit_models(table, kept, methods, fills, params),
    )


def apply_impute(imputer: Imputer, samples: pd.DataFrame) -> pd.DataFrame:
    """The samples with gaps filled, deleted columns gone and indicators added; no row is touched otherwise."""
    if imputer.outliers:
        samples = mark_outliers(imputer.outliers, samples)
    own = [name for name in samples.columns if name.startswith("@")]
    columns = {name: samples[name] for name in [*own, *imputer.after.features] if name not in imputer.indicators}
    columns |= fill_within(imputer.within, samples)
    if imputer.regression:
        columns |= fill_gaps(imputer.regression, samples, imputer.fills)
    if imputer.chained:
        columns |= fill_chained(imputer.chained, samples, imputer.fills)
    if imputer.forests:
        columns |= fill_forests(imputer.forests, samples, imputer.fills)
    if imputer.denoiser:
        columns |= fill_denoised(imputer.denoiser, samples)
    if imputer.neighbours:
        columns |= fill_neighbours(imputer.neighbours, samples)
    for name, fill in imputer.fills.items():
        value = pd.Timestamp(fill) if imputer.after.features[name].type == "datetime" else fill
        columns[name] = _filled(columns[name], value)
    for name, source in imputer.indicators.items():
        columns[name] = samples[source].isna().astype(np.float64)
    return pd.DataFrame(columns, copy=False)


def _filled(values: "pd.Series[Any]", value: float | str | pd.Timestamp) -> "pd.Series[Any]":
    if isinstance(values.dtype, pd.CategoricalDtype) and value not in values.cat.categories:
        values = values.cat.add_categories([value])
    return values.fillna(value)


def at_once(schema: Schema, params: ImputeParams) -> list[str]:
    """The methods asked for that look at all numeric columns, or at all of a patient's rows, at once."""
    methods = {_method(name, column, params) for name, column in schema.features.items()} | {params.outliers}
    column_by_column = {"", "none", "drop", "iqr", "robust_z", *get_args(Simple)}
    return sorted(methods - column_by_column)


def _ordered(schema: Schema, params: ImputeParams) -> bool:
    """Whether what is learnt depends on the order of rows; sorting millions of ids takes longer than all medians."""
    methods = {_method(name, column, params) for name, column in schema.features.items()}
    in_any_order = {"", "drop", "median", "constant", "missing_level", *get_args(Within)}
    return params.outliers != "none" or not methods <= in_any_order


@dataclass(frozen=True)
class Learnt:
    """What is learnt of a column: the share of its gaps, a hash of where they are, why it is dropped, its fill."""

    gaps: float
    where: str
    dropped: str
    fill: float | str | None


def _learn(train: Table, schema: Schema, params: ImputeParams, name: str) -> Learnt:
    values, column = train[name], schema.features[name]
    gaps = values.isna().to_numpy(dtype=bool)
    share, method = float(gaps.mean()) if len(gaps) else 0.0, _method(name, column, params)
    dropped = _dropped(name, share, params)
    fill = None if dropped or not method else _fill(values, name, column, method, params)
    return Learnt(share, hashlib.sha256(np.packbits(gaps).tobytes()).hexdigest(), dropped, fill)


def _check_overrides(schema: Schema, params: ImputeParams) -> None:
    for key in ("columns", "constants", "outlier_columns"):
        for name in getattr(params, key):
            if name not in schema.features:
                raise MedloopError(
                    f"impute.{key} names {name}, which is no feature after cleaning{nearest(name, schema.features)}",
                    mend=f"correct the name, or take it out of impute.{key}",
                )
    for name, method in params.columns.items():
        kind = schema.features[name].type
        known = KNOWN.get(kind, ())
        if method not in (*known, "drop"):
            raise MedloopError(
                f"impute.columns: {method} does not fill {name}, a column of type {kind}{nearest(method, known)}",
                mend=f"choose one of {[*known, 'drop']}",
            )


def _dropped(name: str, share: float, params: ImputeParams) -> str:
    """Why a column with this share of gaps is deleted, or ""."""
    if share == 1:
        return "no value in the training rows"
    if share > params.drop_above:
        return f"missing in {share:.1%} of the training rows, above {params.drop_above:.1%}"
    return "by the settings" if params.columns.get(name) == "drop" else ""


def _method(name: str, column: Column, params: ImputeParams) -> str:
    return params.columns.get(name) or (str(getattr(params, column.type)) if column.type in KNOWN else "")


def _fill(values: "pd.Series[Any]", name: str, column: Column, method: str, params: ImputeParams) -> float | str:
    if method == "constant":
        return constant_fill(name, column, params.constants.get(name), params.constant)
    return simple_fill(values, column, method)


def _outliers(train: Table, schema: Schema, params: ImputeParams, each: Each) -> Outliers | None:
    if params.outliers == "none":
        return None
    asked = params.outlier_columns or schema.of_type("numeric")
    shares = each(partial(_gaps, train), asked)
    judged = [name for name, share in zip(asked, shares, strict=True) if not _dropped(name, share, params)]
    how = (params.outliers, params.outlier_action)
    return fit_outliers(train, schema.features, judged, *how, fences=params.fences, seed=params.seed)


def _gaps(train: Table, name: str) -> float:
    return float(train[name].isna().mean())


def _indicators(marked: dict[str, Learnt], schema: Schema, params: ImputeParams) -> dict[str, str]:
    """By indicator, the first of the columns whose gaps are the same in all training rows."""
    first: dict[str, str] = {}
    for name, one in marked.items():
        if one.gaps > 0 and one.gaps >= params.indicator_share:
            first.setdefault(one.where, name)
    indicators = {f"{name} is missing": name for name in first.values()}
    taken = sorted(set(indicators) & set(schema.features))
    if taken:
        raise MedloopError(
            f"column {taken[0]} has the name of an indicator", mend="rename it, or impute.indicators: false"
        )
    return indicators

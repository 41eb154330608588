"""The cells in which a column's values are counted: quantiles of what a model learnt from, or its levels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.study import Column

Floats = NDArray[np.float64]
BINS, FEW = 10, 10
MOST = 20  # levels with a cell of their own
OTHERS = "others"


@dataclass(frozen=True)
class Cut:
    """How values fall into cells: after (E,) edges, each the upper end of its cell, or by level.

    labels: of the cells, of E edges E + 1. levels: of categories those with a cell of their own; then comes `others`.
    ranks: of ordinal ones their declared order.
    """

    labels: tuple[str, ...]
    edges: Floats | None = None
    levels: tuple[str, ...] = ()
    ranks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cells:
    """Patients by cell (C,), then and now. order: of values with one, these with their weights, then and now."""

    then: Floats
    now: Floats
    order: tuple[tuple[Floats, Floats], tuple[Floats, Floats]] | None


def weights(group: "pd.Series[Any]") -> Floats:
    """(N,) the weight of each row, which sum to 1 for each patient."""
    patient = pd.factorize(group)[0]
    return np.asarray(1.0 / np.bincount(patient)[patient])


def cut_by(values: "pd.Series[Any]", weight: Floats, column: Column, patients: float) -> Cut:
    """The cells by the values (N,) that were learnt from. Levels that the study does not declare stay nameless.

    patients: how many have values, on the side where fewer do. Of few there are fewer cells, each of about 10 patients,
    since the index grows with empty ones.
    """
    known = values.notna().to_numpy()
    if column.type in ("categorical", "ordinal"):
        return _by_level(values[known], weight[known], column)
    return _by_number(numbers(values[known], column), column, int(np.clip(patients // FEW, 2, BINS)))


def numbers(values: "pd.Series[Any]", column: Column) -> Floats:
    """Values as numbers: dates in days since 1970, texts by how many words they have."""
    if column.type == "datetime":
        return np.asarray(values.astype("datetime64[s]").astype("int64") / 86_400, dtype=np.float64)
    if column.type == "text":
        return np.asarray(values.str.count(r"\S+"), dtype=np.float64)
    return values.to_numpy(dtype=np.float64)


def _by_level(values: "pd.Series[Any]", weight: Floats, column: Column) -> Cut:
    counts = pd.Series(weight).groupby(values.astype("str").to_numpy()).sum()
    declared = [level for level in column.levels if level in counts.index]
    common = counts.sort_values(ascending=False, kind="stable").index
    chosen = [*declared, *(level for level in common if level not in declared)][:MOST]
    nameless = [level for level in chosen if level not in column.levels]
    labels = [level if level in column.levels else f"level {nameless.index(level) + 1}" for level in chosen]
    ranks = column.levels if column.type == "ordinal" else ()
    return Cut(labels=(*labels, OTHERS), levels=tuple(chosen), ranks=ranks)


def _by_number(values: Floats, column: Column, bins: int) -> Cut:
    """Quantiles; what more than one of them is, as zero often is, is a cell of its own.

    Edges between are rounded to a hundredth of the middle range, so that none is a patient's value.
    """
    if not len(values):
        return Cut(labels=("all",), edges=np.empty(0))
    cuts = np.quantile(values, np.arange(1, bins) / bins, method="inverted_cdf")
    repeated, times = np.unique(cuts, return_counts=True)
    heavy = repeated[times > 1]
    digits = _digits(np.subtract(*np.quantile(values, [0.9, 0.1])))
    plain = np.round(repeated[times == 1], digits)
    edges = np.unique(np.concatenate([plain, heavy, np.nextafter(heavy, -np.inf)]))
    return Cut(labels=tuple(_labels(edges, set(heavy.tolist()), digits, column)), edges=edges)


def _digits(spread: float) -> int:
    """How many decimals a hundredth of the spread has."""
    return int(np.clip(np.ceil(2 - np.log10(spread)), -6, 12)) if spread > 0 else 6


def _labels(edges: Floats, heavy: set[float], digits: int, column: Column) -> list[str]:
    def said(value: float) -> str:
        if column.type == "datetime":
            return str(np.datetime64(int(value), "D"))
        return f"{value:,.{max(0, digits)}f}".rstrip("0").rstrip(".") if digits > 0 else f"{value:,.0f}"

    told, before = [], None
    for edge in edges.tolist():
        after = np.nextafter(edge, np.inf)
        if edge in heavy:
            told.append(said(edge))
        else:
            sign = "under" if after in heavy else "up to"
            end = said(after if after in heavy else edge)
            told.append(f"{sign} {end}" if before is None else f"{before} to {end}")
        before = said(after if after in heavy else edge)
    return [*told, f"over {before}"]


def cells_of(
    cut: Cut, values: "tuple[pd.Series[Any], pd.Series[Any]]", patients: tuple[Floats, Floats], column: Column
) -> Cells:
    """Patients by cell, and the values in their order."""
    known = [of.notna().to_numpy() for of in values]
    held = [of[there] for of, there in zip(values, known, strict=True)]
    weight = [of[there] for of, there in zip(patients, known, strict=True)]
    ranked = [_ranked(cut, of, column) for of in held]
    then, now = (
        np.bincount(_places(cut, of, rank), by, minlength=len(cut.labels)).astype(np.float64)
        for of, rank, by in zip(held, ranked, weight, strict=True)
    )
    order = ((ranked[0], weight[0]), (ranked[1], weight[1])) if cut.edges is not None or cut.ranks else None
    return Cells(then=then, now=now, order=order)


def _ranked(cut: Cut, values: "pd.Series[Any]", column: Column) -> Floats:
    """Numbers that order as the values do; of levels without an order no matter what."""
    return numbers(values, column) if cut.edges is not None else _at(cut.ranks, values).astype(np.float64)


def _places(cut: Cut, values: "pd.Series[Any]", ranked: Floats) -> NDArray[np.intp]:
    if cut.edges is not None:
        return np.searchsorted(cut.edges, ranked, side="left")
    at = _at(cut.levels, values)
    return np.where(at < 0, len(cut.levels), at)


def _at(levels: tuple[str, ...], values: "pd.Series[Any]") -> NDArray[np.intp]:
    return pd.Index(levels, dtype="str").get_indexer(pd.Index(values.astype("str")))

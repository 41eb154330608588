"""Whether new rows are still like those that a model learnt from: column by column, its scores, and what it is worth.

The size of a shift decides: the population stability index (PSI; Siddiqi, "Credit Risk Scorecards", 2006), by whose
usual reading less than 0.1 is no shift, from 0.25 on a large one. With thousands of rows any difference is significant,
so no p-value alone makes drift; with few rows the PSI is large by chance (about (cells - 1)(1/n + 1/m); Yurdakul,
"Statistical properties of population stability index", 2018), so that a shift counts only when a test, corrected for
all columns looked at, supports it. Each patient counts once, however many rows it has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from contracts.study import PAYLOADS, Column, Frozen
from pipelines.drift_cells import Cells, Cut, cells_of, cut_by, weights
from pipelines.paired import holm

Floats = NDArray[np.float64]
Verdict = Literal["drifted", "open", "moved", "same", "told", "unknown"]
Share = Annotated[float, Field(gt=0, le=1)]
MODERATE = 0.1  # the usual reading of the PSI
EXPECTED = 5  # patients in each cell for the chi-squared to be close (Cochran 1954)


class DriftParams(Frozen):
    """When new rows have drifted from the champion's training rows. No stage reads these.

    psi: the population stability index of a column, or of the label, from which on it has.
    missing: the growth or fall of a column's share of gaps from which on it has: 0.1 is ten in a hundred rows.
    unseen: the share of rows whose level no training row had, from which on it has.
    scores: the same as `psi`, of the champion's scores.
    performance: what the champion is worth on new rows has drifted when it is worse by more than this, and by more than
        chance; in the metric's unit where that lies between -1 and 1, else a share of its value.
    level: beyond its limit is what passes it and is no chance at this level, corrected for all that was looked at.
    min_patients: fewer patients with new rows are too few to tell.
    leave_out: columns that are not looked at.
    """

    psi: float = Field(default=0.25, gt=0)
    missing: Share = 0.1
    unseen: Share = 0.05
    scores: float = Field(default=0.25, gt=0)
    performance: float = Field(default=0.05, ge=0, lt=1)
    level: float = Field(default=0.01, gt=0, le=0.2)
    min_patients: int = Field(default=50, ge=10)
    leave_out: tuple[str, ...] = ()


class Cell(Frozen):
    """A bin of numbers or a level, and the share of patients in it then and now; None where fewer than 5 are in it."""

    label: str
    then: float | None
    now: float | None


class Shift(Frozen):
    """How far a column has moved.

    psi: None where there are too few values. p, test: of no shift. `missing`: the share of gaps then and now;
    `unseen`: that of levels that no training row had. Those named `adjusted` are p-values corrected over all columns
    (Holm). `why`: what is beyond its limit, or nearly.
    """

    column: str
    type: str
    psi: float | None
    test: str
    p: float | None
    adjusted: float | None = None
    missing: tuple[float, float]
    missing_adjusted: float | None = None
    unseen: float | None = None
    unseen_adjusted: float | None = None
    cells: tuple[Cell, ...] = ()
    verdict: Verdict = "same"
    why: str = ""


@dataclass(frozen=True)
class _Raw:
    """A column's measures with their p-values as they are, before the correction."""

    shift: Shift
    missing_p: float
    unseen_p: float | None


def shifts(
    then: pd.DataFrame, now: pd.DataFrame, columns: Mapping[str, Column], params: DriftParams, *, limit: float
) -> list[Shift]:
    """How far each column has moved, those that have drifted first, then by the PSI.

    A column of dates is told and never counts, since the calendar goes on. Of texts it is their length in words;
    pictures and sequences have no place here.

    Args:
        then: `@group` and the columns of the rows learnt from
        now: the same of the rows to compare
        columns: how each is declared
        params: what is looked at, and when it counts
        limit: of the PSI
    """
    patients = weights(then["@group"]), weights(now["@group"])
    named = {name: of for name, of in columns.items() if name not in params.leave_out}
    raw = [_measured(name, of, (then[name], now[name]), patients) for name, of in named.items() if _has_values(of)]
    found = [_judged(one, params, limit) for one in _corrected(raw)]
    return sorted(found, key=lambda one: (one.verdict != "drifted", -(one.psi or 0), one.column))


def _has_values(column: Column) -> bool:
    return column.type == "text" or column.type not in PAYLOADS


def _measured(
    name: str, column: Column, values: "tuple[pd.Series[Any], pd.Series[Any]]", patients: tuple[Floats, Floats]
) -> _Raw:
    gaps = tuple(_share(of.isna().to_numpy(), weight) for of, weight in zip(values, patients, strict=True))
    numbers = [round(float(weight.sum())) for weight in patients]
    of_gaps = _exact(np.array([gaps[0] * numbers[0], gaps[1] * numbers[1]]), np.array(numbers))
    fewest = min((1 - gap) * number for gap, number in zip(gaps, numbers, strict=True))
    cut = cut_by(values[0], patients[0], column, fewest)
    cells = cells_of(cut, values, patients, column)
    psi, p, test = _compared(cut, cells)
    unseen, unseen_p = _unseen(column, values, patients)
    shift = Shift(
        column=name, type=column.type, psi=psi, p=p, test=test, unseen=unseen,
        missing=(round(gaps[0], 4), round(gaps[1], 4)), cells=tuple(_shown(cut, cells)),
    )  # fmt: skip
    return _Raw(shift, of_gaps, unseen_p)


def _share(mask: NDArray[np.bool_], weight: Floats) -> float:
    return float(weight[mask].sum() / weight.sum())


def _compared(cut: Cut, cells: Cells) -> tuple[float | None, float | None, str]:
    """PSI, p and the test's name; nothing where either side has hardly any values."""
    if min(cells.then.sum(), cells.now.sum()) < 2 * EXPECTED:
        return None, None, "none"
    index = round(psi(cells.then, cells.now), 4)
    if cells.order:
        return index, kolmogorov_smirnov(*cells.order), "Kolmogorov–Smirnov"
    return index, *_independent(np.stack([cells.then, cells.now]))


def psi(then: Floats, now: Floats) -> float:
    """The population stability index of two counts by cell (C,); half a row more in each keeps logarithms finite.

    Cells that are empty in both are none.
    """
    there = then + now > 0
    before, after = then[there] + 0.5, now[there] + 0.5
    before, after = before / before.sum(), after / after.sum()
    return float(((after - before) * np.log(after / before)).sum())


def kolmogorov_smirnov(then: tuple[Floats, Floats], now: tuple[Floats, Floats]) -> float:
    """The two-sided p of two samples, each values (N,) and weights (N,), being of one distribution.

    Smirnov 1939; each sample counts for the sum of its weights. Conservative where values repeat.
    """
    from scipy.stats import kstwo

    places = np.sort(np.concatenate([then[0], now[0]]))
    gap = np.abs(_below(*then, places) - _below(*now, places)).max()
    n, m = then[1].sum(), now[1].sum()
    return float(kstwo.sf(gap, max(1, round(n * m / (n + m)))))


def _below(values: Floats, weight: Floats, places: Floats) -> Floats:
    """The share of the weight at or below each place."""
    order = np.argsort(values, kind="stable")
    upto = np.concatenate([[0.0], np.cumsum(weight[order])])
    return np.asarray(upto[np.searchsorted(values[order], places, side="right")] / upto[-1])


def _independent(counts: Floats) -> tuple[float, str]:
    """Pearson's chi-squared of two samples' counts (2, C), or of few patients exact tests of each cell."""
    from scipy.stats import chi2

    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2:
        return 1.0, "none"
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    if expected.min() >= EXPECTED:
        return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), counts.shape[1] - 1)), "chi-squared"
    each = [_exact(counts[:, at], counts.sum(axis=1)) for at in range(counts.shape[1])]
    return min(1.0, len(each) * min(each)), "exact"


def _exact(inside: Floats, of: Floats) -> float:
    """Fisher's exact test of two shares. Shape: both (2,)."""
    from scipy.stats import fisher_exact

    inside, of = np.rint(inside), np.rint(of)
    return float(fisher_exact(np.stack([inside, of - inside])).pvalue)


def _unseen(
    column: Column, values: "tuple[pd.Series[Any], pd.Series[Any]]", patients: tuple[Floats, Floats]
) -> tuple[float | None, float | None]:
    """The share of new values whose level is new, and its p: a level nobody had yet is expected as often as one had
    once (Good, "The population frequencies of species", Biometrika 40, 1953).
    """
    if column.type not in ("categorical", "ordinal"):
        return None, None
    from scipy.stats import binom

    then, now = values[0].dropna(), values[1].dropna()
    weight = patients[1][values[1].notna().to_numpy()]
    if not len(now) or not len(then):
        return None, None
    share = _share(~now.isin(then.unique()).to_numpy(), weight)
    once = int((then.value_counts() == 1).sum())
    count = round(float(weight.sum()))
    p = binom.sf(round(share * count) - 1, count, min(1.0, (once + 1) / (len(then) + 1)))
    return round(share, 4), float(p)


def _corrected(raw: Sequence[_Raw]) -> list[Shift]:
    """P-values corrected over all columns and all that was asked of each."""
    asked = [(at, what, p) for at, one in enumerate(raw) for what, p in _asked(one) if p is not None]
    found: list[dict[str, float]] = [{} for _ in raw]
    for (at, what, _), adjusted in zip(asked, holm([p for *_, p in asked]), strict=True):
        found[at][what] = adjusted
    return [one.shift.model_copy(update=of) for one, of in zip(raw, found, strict=True)]


def _asked(one: _Raw) -> list[tuple[str, float | None]]:
    own = [("missing_adjusted", one.missing_p), ("unseen_adjusted", one.unseen_p)]
    return own if one.shift.type == "datetime" else [("adjusted", one.shift.p), *own]


def _judged(shift: Shift, params: DriftParams, limit: float) -> Shift:
    """The verdict, and in words what led to it."""
    gaps = abs(shift.missing[1] - shift.missing[0])
    beyond = [
        (shift.psi, limit, shift.adjusted, f"PSI {shift.psi or 0:.2f}"),
        (gaps, params.missing, shift.missing_adjusted, f"gaps {shift.missing[0]:.0%}, now {shift.missing[1]:.0%}"),
        (shift.unseen, params.unseen, shift.unseen_adjusted, f"levels never seen in {shift.unseen or 0:.0%}"),
    ]
    if shift.type == "datetime":
        beyond = beyond[1:]
    over = [(said, p) for value, most, p, said in beyond if value is not None and value >= most]
    sure = [said for said, p in over if p is not None and p < params.level]
    if sure:
        return shift.model_copy(update={"verdict": "drifted", "why": ", ".join(sure)})
    if over:
        return shift.model_copy(update={"verdict": "open", "why": ", ".join(said for said, _ in over)})
    if shift.type == "datetime":
        return shift.model_copy(update={"verdict": "told", "why": "dates go on by themselves"})
    if shift.psi is None:
        return shift.model_copy(update={"verdict": "unknown", "why": "too few values"})
    moved = shift.psi >= MODERATE and (shift.adjusted or 0) < params.level
    return shift.model_copy(update={"verdict": "moved" if moved else "same"})


def _shown(cut: Cut, cells: Cells) -> list[Cell]:
    """Shares by cell, where fewer than 5 patients hidden: one that stands alone could be worked out, so two are."""
    sides = [_told(side) for side in (cells.then, cells.now)]
    there = cells.then + cells.now > 0
    return [
        Cell(label=label, then=then, now=now)
        for label, then, now, some in zip(cut.labels, *sides, there, strict=True)
        if some
    ]


def _told(counts: Floats) -> list[float | None]:
    total = counts.sum()
    hidden = (counts > 0) & (counts < EXPECTED)
    if hidden.sum() == 1 and (counts > 0).sum() > 1:
        hidden[np.argmin(np.where(hidden | (counts == 0), np.inf, counts))] = True
    return [
        None if hide or not total else round(float(count / total), 4)
        for hide, count in zip(hidden, counts, strict=True)
    ]

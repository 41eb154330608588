"""Columns that give the label away on their own: known only once the label is, or written down because of it."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from contracts.study import PAYLOADS, Column, Frozen
from contracts.tables import Schema
from pipelines.table import patient_numbers

Floats = NDArray[np.float64]
How = Literal["only_in_class", "missing", "value", "level", "arithmetic"]

Z = 1.645
CHANCE, FEWEST = 0.05, 3  # of any column being a copy of the label by accident; patients of each class
ORDERED = ("numeric", "ordinal", "datetime")


class LeakParams(Frozen):
    """When one column alone is too good to be true. All are compared with the lower end of a 95 % bound.

    auroc: a single measurement seldom ranks patients this well; above 0.8 is "excellent" for whole models
        (Hosmer, Lemeshow & Sturdivant 2013).
    purity: the share of one class among the rows that give one answer, or give any; only classes that are
        at most half of the rows count, since nearly everyone lacks a rare disease whatever they answer.
    likelihood_ratio: how many times likelier that answer is in the class than outside. Diagnostic tests that exceed 10
        are called conclusive (Jaeschke, Guyatt & Sackett 1994).
    """

    auroc: float = Field(default=0.85, gt=0.5, lt=1)
    purity: float = Field(default=0.8, gt=0.5, lt=1)
    likelihood_ratio: float = Field(default=10.0, gt=1)


class Suspect(Frozen):
    """A column that may give the label away.

    `how`: "only_in_class" (filled in for one class, or never for one), "missing" (by being missing or not), "value" (it
    ranks or sorts the classes), "level" (one answer is nearly always one class, or each class has one answer),
    "arithmetic" (it makes the label together with another column). `score` is the lower bound of what exceeded its
    threshold: an AUROC, a purity, a likelihood ratio where nobody of a class is (un)filled, a share of the rows.
    `sentence` holds no value.
    """

    column: str
    how: How
    score: float
    sentence: str


def single_feature_suspects(
    samples: pd.DataFrame, target: "pd.Series[int]", schema: Schema, params: LeakParams
) -> list[Suspect]:
    """The suspects among the features of `schema`, at most one entry a column, in the table's order.

    A patient (`@group`, where there is one) counts once, however many rows they have. Whatever is found rests on
    lower bounds, so a few rows prove nothing: 11 pure rows, or 16 perfectly ranked ones of the rarer class, are the
    least; a copy of the label, as it is or turned round, is found in fewer, once it is no accident. Of text, images
    and sequences only the presence is looked at.

    Args:
        samples: training rows only, typed; a missing cell is NaN/NaT.
        target: (N,) the class's index, in the order of `samples`.
    """
    patient = _patients(samples)
    weight = 1 / np.bincount(patient)[patient]
    half = np.random.default_rng(0).permutation(patient.max(initial=-1) + 1)[patient] % 2
    classes = np.asarray(target, dtype=np.int64)
    found = []
    for name, column in schema.features.items():
        answers = answers_of(samples[name], column)
        halves = np.stack([_counts(answers, classes, weight * (half == h), len(schema.classes)) for h in (0, 1)])
        suspect = next(_suspicions(name, column, halves, schema.classes, params), None)
        suspect = suspect or _copy(name, halves.sum(axis=0)[:-1], CHANCE / len(schema.features))
        found += [suspect] if suspect else []
    return found


def lower_bound(share: float, of: float) -> float:
    """The lower end of Wilson's (1927) one-sided 95 % interval of a share seen in `of` cases."""
    if of <= 0:
        return 0.0
    spread = Z * np.sqrt(share * (1 - share) / of + Z**2 / (4 * of**2))
    return float((share + Z**2 / (2 * of) - spread) / (1 + Z**2 / of))


def _patients(samples: pd.DataFrame) -> NDArray[np.int64]:
    """(N,) the number of each row's patient."""
    if "@group" not in samples:
        return np.arange(len(samples))
    return patient_numbers(samples)


def answers_of(values: "pd.Series[Any]", column: Column) -> NDArray[np.int64]:
    """(N,) the number of each cell's distinct value, -1 where missing; ascending where values have an order."""
    if column.type in PAYLOADS:
        return np.where(values.isna(), -1, 0).astype(np.int64)
    if column.type == "ordinal":
        return pd.Categorical(values, categories=column.levels).codes.astype(np.int64)
    return pd.factorize(values, sort=column.type in ORDERED)[0].astype(np.int64)


def _counts(answers: NDArray[np.int64], classes: NDArray[np.int64], weight: Floats, n_classes: int) -> Floats:
    """(K + 1, C) patients by answer and class; the last answer is "missing"."""
    k = int(answers.max(initial=-1)) + 1
    at = np.where(answers < 0, k, answers) * n_classes + classes
    counts = np.bincount(at, weights=weight, minlength=(k + 1) * n_classes).astype(np.float64)
    return counts.reshape(k + 1, n_classes)


def _suspicions(
    name: str, column: Column, halves: Floats, labels: tuple[str, ...], params: LeakParams
) -> Iterator[Suspect]:
    """The strongest kind first, the rarest class first. Shape: halves (2, K + 1, C), the counts of either half."""
    counts = halves.sum(axis=0)
    filled = np.stack([counts[:-1].sum(axis=0), counts[-1]])
    rarest_first = np.argsort(counts.sum(axis=0), kind="stable")
    for c in rarest_first:
        yield from _one_sided(name, _against_rest(filled, c), labels[c], params)
    for c in rarest_first:
        yield from _by_presence(name, _against_rest(filled, c), labels[c], params)
    for c in rarest_first:
        yield from _never_missing(name, _against_rest(filled, c), labels[c], params)
    for c in rarest_first:
        pairs = np.stack([_against_rest(half[:-1], c) for half in halves])
        share = counts[:, c].sum() / counts.sum()
        yield from _by_value(name, column, pairs, labels[c], params)
        yield from _by_level(name, pairs.sum(axis=0), share, labels[c], params)
    yield from _by_classes(name, counts[:-1], params)


def _against_rest(counts: Floats, c: int) -> Floats:
    """(K, 2) outside the class, in the class."""
    return np.stack([counts.sum(axis=1) - counts[:, c], counts[:, c]], axis=1)


def _one_sided(name: str, filled: Floats, label: str, params: LeakParams) -> Iterator[Suspect]:
    """Never filled in for this class, often enough for the others. Shape: filled (2, 2), rows filled and missing."""
    ratio = _rules_out(filled, 0)
    if ratio >= params.likelihood_ratio:
        told = f"filled in for {filled[0, 0]:.0f} patients, for none of the {filled[:, 1].sum():.0f} of class {label}"
        yield suspect_of(name, "only_in_class", ratio, told)


def _never_missing(name: str, filled: Floats, label: str, params: LeakParams) -> Iterator[Suspect]:
    """Filled in for all of this class, missing often enough for the others: whoever lacks it is of another."""
    ratio = _rules_out(filled, 1)
    if ratio >= params.likelihood_ratio:
        others = f"missing for {filled[1, 0]:.0f} of the {filled[:, 0].sum():.0f} others"
        told = f"filled in for all {filled[:, 1].sum():.0f} patients of class {label}, {others}"
        yield suspect_of(name, "missing", ratio, told)


def _rules_out(filled: Floats, row: int) -> float:
    """How many times likelier outside the class than in it, where nobody of it is in this row; the lower bound."""
    outside, inside = filled.sum(axis=0)
    if filled[row, 1] > 0 or filled[row, 0] == 0 or inside == 0:
        return 0.0
    return float(lower_bound(filled[row, 0] / outside, outside) / (1 - lower_bound(1.0, inside)))


def _by_presence(name: str, filled: Floats, label: str, params: LeakParams) -> Iterator[Suspect]:
    share = filled[:, 1].sum() / filled.sum()
    area, bound = _area(filled)
    if bound >= params.auroc:
        yield suspect_of(
            name, "missing", bound, f"whether it is filled in tells class {label} with an AUROC of {area:.2f}"
        )
    for row, word in enumerate(("filled in", "missing")):
        if _is_pure(filled, row, share, params):
            told = f"where it is {word}, {_of(filled[row])} patients are of class {label}"
            yield suspect_of(name, "missing", _purity(filled[row]), told)


def _by_value(name: str, column: Column, halves: Floats, label: str, params: LeakParams) -> Iterator[Suspect]:
    """Shape: halves (2, K, 2). Answers without an order are ordered on one half and judged on the other."""
    if halves.shape[1] < 2 or not halves.sum(axis=(0, 1)).all():
        return
    if column.type in ORDERED:
        area, bound = _area(halves.sum(axis=0))
    else:
        shares = [_share_in_class(half) for half in halves]
        area = float(
            np.mean([_ranked_area(half[np.argsort(shares[1 - h], kind="stable")]) for h, half in enumerate(halves)])
        )
        bound = lower_bound(area, float(halves.sum(axis=(0, 1)).min()))
    if bound >= params.auroc:
        yield suspect_of(name, "value", bound, f"alone, it tells class {label} with an AUROC of {area:.2f}")


def _by_level(name: str, levels: Floats, share: float, label: str, params: LeakParams) -> Iterator[Suspect]:
    pure = [k for k in range(len(levels)) if _is_pure(levels, k, share, params)]
    if pure:
        best = max(pure, key=lambda k: levels[k, 1])
        yield suspect_of(
            name, "level", _purity(levels[best]), f"of one answer, {_of(levels[best])} patients are of class {label}"
        )


def _by_classes(name: str, counts: Floats, params: LeakParams) -> Iterator[Suspect]:
    """Classes of which each has one answer, several the same: who lived, where the label is how well they do.

    Judged by Goodman & Kruskal's (1954) lambda: of the patients who do not give the most frequent answer, the share
    that is told right by each class's own. Shape: counts (K, C), of fewer answers than classes.
    """
    answers, classes = counts.shape
    others = float(counts.sum() - counts.sum(axis=1).max(initial=0))
    if not 2 <= answers < classes or not counts.sum(axis=0).all() or not others:
        return
    told = float(counts.max(axis=0).sum() - counts.sum() + others)
    bound = lower_bound(max(told, 0.0) / others, others)
    if bound >= params.purity:
        yield suspect_of(
            name, "level", bound, f"of a rarer answer, {told:.0f} of {others:.0f} patients are told by their class"
        )


def _copy(name: str, counts: Floats, chance: float) -> Suspect | None:
    """Classes that have one answer each, and each another, as a copy of the label has, in however few rows.

    By accident it is C! of all ways to give out the answers, of which the multinomial coefficient counts as many.
    Shape: counts (K, C).
    """
    from scipy.special import gammaln

    sizes = counts.sum(axis=0)
    one_each = counts.shape[0] == counts.shape[1] and ((counts > 0).sum(axis=1) == 1).all() and sizes.min() >= FEWEST
    if not one_each or gammaln(len(sizes) + 1) - gammaln(sizes.sum() + 1) + gammaln(sizes + 1).sum() > np.log(chance):
        return None
    told = f"each class has one answer of its own, in all of {sizes.sum():.0f} patients: the label under another name"
    return suspect_of(name, "level", lower_bound(1.0, float(sizes.sum())), told)


def _is_pure(counts: Floats, row: int, share: float, params: LeakParams) -> bool:
    """Whether the answer `row` is nearly always this class, which makes up `share` of all and at most half."""
    pure = _purity(counts[row])
    ratio = pure / (1 - pure) * (1 - share) / share if share > 0 else 0.0
    return share <= 0.5 and pure >= params.purity and ratio >= params.likelihood_ratio


def _purity(pair: Floats) -> float:
    """The lower bound of the class's share, from the counts outside and in it."""
    total = float(pair.sum())
    return lower_bound(float(pair[1]) / total, total) if total else 0.0


def _area(ordered: Floats) -> tuple[float, float]:
    """AUROC in the better direction, and its lower bound.

    The variance of an AUROC A is at most A(1 − A)/min(m, n) (Birnbaum & Klose 1957), as if it were a share
    seen in the rarer class: a bound that also holds where all is separated.
    """
    if not ordered.sum(axis=0).all():
        return 0.5, 0.0
    area = _ranked_area(ordered)
    area = max(area, 1 - area)
    return area, lower_bound(area, float(ordered.sum(axis=0).min()))


def _ranked_area(ordered: Floats) -> float:
    """The chance that a row of the class lies above one outside; (K, 2) counts, ascending, ties count half."""
    outside, inside = ordered.sum(axis=0)
    below = np.cumsum(ordered[:, 0]) - ordered[:, 0] / 2
    return float(ordered[:, 1] @ below / (outside * inside)) if outside and inside else 0.5


def _share_in_class(counts: Floats) -> Floats:
    """(K,) the class's share by answer, drawn towards the overall share where rows are few."""
    overall = counts[:, 1].sum() / max(counts.sum(), 1)
    share: Floats = (counts[:, 1] + overall) / (counts.sum(axis=1) + 1)
    return share


def _of(pair: Floats) -> str:
    return f"{pair[1]:.0f} of {pair.sum():.0f}"


def suspect_of(name: str, how: How, score: float, told: str) -> Suspect:
    """A suspect, its column named in the sentence."""
    return Suspect(column=name, how=how, score=round(float(score), 4), sentence=f"{name}: {told}")

"""Models in groups of rows: each model's metric, and how far each is behind the best."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from contracts.errors import listed
from contracts.study import Column, Frozen
from pipelines.bootstrap import Interval, interval
from pipelines.comparison.standing import draws
from pipelines.gate import groups
from pipelines.paired import gain, of_rows
from pipelines.results import Entry
from pipelines.tasks import METRICS

if TYPE_CHECKING:
    import pandas as pd

# Columns by which groups are looked at where the study names none, by the words of their names.
KINDS = re.compile(
    r"\b(sex|gender|male|female|race|ethnicity|ethnic group|(hospital|study )?(site|cent(er|re)|hospital|ward))\b"
)
AGE = re.compile(r"(patient |subject )?age( in)?( years| yrs?)?( (at|on) \w+)?")
LONGEST = 4  # words; a longer name is a question in which such a word may stand
BANDS = (40.0, 65.0)
MOST_LEVELS, MOST_COLUMNS = 12, 6


class Group(Frozen):
    """A group of rows.

    values: each model's metric; leads: by how much each is better than `reference`, positive when better.
    """

    column: str
    name: str
    rows: int
    patients: int
    values: dict[str, Interval]
    gains: dict[str, Interval]


class Groups(Frozen):
    """The groups, and how many of too few patients were left out."""

    metric: str
    reference: str
    groups: tuple[Group, ...]
    few: int
    columns: dict[str, tuple[float, ...]]


def usual(features: Mapping[str, Column], rows: "pd.DataFrame") -> dict[str, tuple[float, ...]]:
    """Columns that sound like sex, age, site or ethnicity, and where an age is cut."""
    found: dict[str, tuple[float, ...]] = {}
    for name, column in features.items():
        words = _words(name)
        if name not in rows:
            continue
        if column.type == "numeric" and AGE.fullmatch(words):
            values = rows[name].dropna()
            cuts = tuple(cut for cut in BANDS if len(values) and values.min() < cut < values.max())
            found |= {name: cuts} if cuts else {}
        elif column.type != "numeric" and KINDS.search(words) and len(words.split()) <= LONGEST:
            found |= {name: ()} if rows[name].nunique() <= MOST_LEVELS else {}
    return dict(list(found.items())[:MOST_COLUMNS])


def _words(name: str) -> str:
    """`AgeInYears_at` as `age in years at`."""
    return re.sub(r"[^A-Za-z]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).strip().lower()


def by_group(
    entries: Mapping[str, Entry],
    rows: "pd.DataFrame",
    features: Mapping[str, Column],
    columns: Mapping[str, Sequence[float]],
    *,
    metric: str,
    reference: str,
    min_patients: int,
) -> Groups:
    """Each model in each group of at least so many patients, and its difference from the reference model.

    rows: the samples that were judged, in the order of the entries.
    """
    found, small = [], 0
    for column, cuts in columns.items():
        named = groups(rows[column], features[column], tuple(cuts))
        for name in _in_order(set(named), features[column], tuple(cuts)):
            at = np.asarray(named == name)
            group = next(iter(entries.values())).group[at]
            patients = len(np.unique(group))
            if patients < min_patients:
                small += 1
                continue
            part = {model: of_rows(entry, at) for model, entry in entries.items()}
            found.append(_group(column, name, part, metric, reference))
    told = {column: tuple(cuts) for column, cuts in columns.items()}
    return Groups(metric=metric, reference=reference, groups=tuple(found), few=small, columns=told)


def _in_order(names: set[str], column: Column, cuts: Sequence[float]) -> list[str]:
    """Bands from low to high, levels as declared."""
    if cuts:
        known = [f"under {sorted(cuts)[0]:g}"]
        first = {name: float(name.split()[0]) for name in names if name[:1].isdigit()}
        known += sorted(first, key=lambda name: first[name])
    else:
        known = [str(level) for level in column.levels or ()]
    there = [name for name in known if name in names]
    return [*there, *sorted(names - set(there))]


def _group(column: str, name: str, part: Mapping[str, Entry], metric: str, reference: str) -> Group:
    drawn = draws(part, [metric])
    first = part[reference]
    confidence = first.evaluation.params.confidence
    values = {
        model: interval(float(of[metric][0]), of[metric][1:], confidence, reason="one class only")
        for model, of in drawn.items()
    }
    gains = {
        model: gain(metric, drawn[reference][metric], of[metric], confidence)
        for model, of in drawn.items()
        if model != reference
    }
    patients = len(np.unique(first.group))
    return Group(column=column, name=name, rows=len(first.target), patients=patients, values=values, gains=gains)


def harm(of: Groups, other: str, margin: float) -> str:
    """Whether the reference, the better of two, is worse anywhere: `no worse in any of 6 subgroups`.

    margin: in the metric's unit where it lies between -1 and 1, else a share of its value.
    """
    known = [(g, g.gains[other]) for g in of.groups if g.gains[other].value is not None]
    if not known:
        return ""
    least, most = METRICS[of.metric].span
    within = least >= -1 and most <= 1
    told = {True: list[str](), False: list[str]()}
    for group, gained in known:
        value, low = gained.value or 0.0, gained.low
        if value > (margin if within else margin * abs(group.values[of.reference].value or 0.0)):
            told[low is not None and low > 0].append(f"{group.column} {group.name}")
    if told[True]:
        return f"but worse for {listed(told[True], 3)}"
    if told[False]:
        return f"perhaps worse for {listed(told[False], 3)}, which may be chance"
    allowed = "" if not margin else f" by more than {margin:g}" if within else f" by more than {margin:.0%}"
    return f"no worse{allowed} in any of {len(known)} subgroups"


def label(of: Groups) -> str:
    """What the metric is called."""
    return METRICS[of.metric].label

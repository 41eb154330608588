"""Explain: what a model leans on, told of validation rows and averaged over patients.

It describes the model. A column that matters need not cause anything, and one that does not may be stood in for by
another. No number or picture tells of fewer than `min_patients` patients.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from contracts.study import Frozen
from pipelines.bootstrap import Interval, bootstrap, interval, rounded
from pipelines.importance import Columns, Exchange, Floats, Whole, alike

RESAMPLES = 1000
WORDS = 15  # shown of either direction


class ExplainParams(Frozen):
    """Settings of the explanations.

    rows: at most so many validation rows, drawn at random.
    columns: of more than so many columns, those are repeated and told whose first exchange changes the losses most.
    repeats: how often a column is exchanged between patients.
    together: columns that correlate above this, by rank and either way, are exchanged together; 1: none are.
    gradient_rows: of the rows, those that integrated gradients and attention are asked for; 0: none.
    steps: of integrated gradients.
    min_patients: fewest patients that a number or picture is averaged over.
    confidence: of the intervals. seed: of the rows, the exchanges and the resamples.
    """

    rows: int = Field(default=500, ge=20)
    columns: int = Field(default=50, ge=1)
    repeats: int = Field(default=5, ge=1, le=100)
    together: float = Field(default=0.9, gt=0, le=1)
    gradient_rows: int = Field(default=200, ge=0)
    steps: int = Field(default=32, ge=4, le=1000)
    min_patients: int = Field(default=10, ge=5)
    confidence: float = Field(default=0.95, gt=0, lt=1)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.gradient_rows > self.rows:
            raise ValueError(f"gradient_rows are some of rows: at most {self.rows}; got {self.gradient_rows}")
        return self


class Importance(Frozen):
    """By how much the mean loss rises when columns, more than one where they tell alike, tell of other patients."""

    columns: Columns
    rise: Interval

    @property
    def shown(self) -> bool:
        """Whether the rise is more than chance."""
        return self.rise.low is not None and self.rise.low > 0


class Profile(Frozen):
    """How much each channel of a sequence matters from its beginning to its end: mean size of attributions, (C, M)."""

    channels: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]


class Word(Frozen):
    """A token, the patients in whose texts it stands, and its mean attribution there."""

    token: str
    patients: int
    attribution: float


class Attributed(Frozen):
    """What integrated gradients tell.

    unit: what attributions are of. columns: mean size of what a column adds, largest first.
    missed: the mean size of what all attributions miss of a row's change, as a share of the mean change; 0 were the
    path followed exactly.
    moments, words: by column of sequences and of texts.
    """

    rows: int
    patients: int
    unit: str
    columns: dict[str, float]
    missed: float
    moments: dict[str, Profile]
    words: dict[str, tuple[Word, ...]]


class ClassMap(Frozen):
    """Where in the images of a class it shows, 0 to 1, the mean over rows, (h, w); empty where patients are too few."""

    label: str
    patients: int
    values: tuple[tuple[float, ...], ...]


class Explanation(Frozen):
    """What a model leans on. Holds averages over patients only.

    loss: the mean of the rows as they are. asked: how many choices of columns there were; `importances` has
    those that were repeated, the largest rise first. rollout: by column, the mean share of a transformer's attention.
    maps: by column of images, a map a class.
    """

    model: str
    rows: int
    patients: int
    loss: float
    asked: int
    importances: tuple[Importance, ...]
    attributed: Attributed | None = None
    rollout: dict[str, float] = Field(default={})
    maps: dict[str, tuple[ClassMap, ...]] = Field(default={})
    params: ExplainParams


def sampled(rows: int, most: int, seed: int) -> Whole:
    """At most `most` row numbers, drawn at random, in no order: the first of them are a sample too."""
    return np.random.default_rng(seed).permutation(rows)[:most]


def importances(
    exchange: Exchange, columns: Sequence[str], group: NDArray[Any], params: ExplainParams
) -> tuple[list[Importance], int]:
    """Of the columns, those that tell alike together, the largest rise first; and how many choices there were.

    Intervals are of a bootstrap of patients, of each patient's mean over the repeats, so that they hold the chance of
    both. Shape: group (N,), of two patients or more.
    """
    table = exchange.examples.table
    tabular = [name for name in columns if name in exchange.sources and name not in exchange.examples.payloads]
    together = alike(table, exchange.sources, tabular, params.together)
    together += [(name,) for name in columns if name not in tabular]
    rises = exchange.rises(together, group, repeats=params.repeats, most=params.columns, seed=params.seed)
    matrix = np.stack(list(rises.values()), axis=1)

    def means(weight: Floats) -> dict[str, Floats]:
        return {"rise": weight @ matrix / weight.sum(axis=1, keepdims=True)}

    drawn = bootstrap(means, group, resamples=RESAMPLES, seed=params.seed)["rise"]
    found = [
        Importance(columns=chosen, rise=interval(float(matrix[:, at].mean()), drawn[:, at], params.confidence))
        for at, chosen in enumerate(rises)
    ]
    return sorted(found, key=lambda one: -(one.rise.value or 0.0)), len(together)


def attributed(
    *,
    table: Floats,
    change: Floats,
    gap: Floats,
    moments: Mapping[str, Floats],
    tokens: Mapping[str, tuple[Whole, Whole, Floats]],
    sources: Sequence[str],
    channels: Mapping[str, Sequence[str]],
    vocabulary: Mapping[str, Mapping[int, str]],
    unit: str,
    group: NDArray[Any],
    params: ExplainParams,
) -> Attributed:
    """Averages over patients of the attributions of rows.

    Shape: table (N, F), sources F; change, gap, group (N,); moments (N, M, C), channels C; tokens (S,) each, rows,
    numbers and attributions. As `models.explain` gives them.
    """
    of_column = {
        name: table[:, np.flatnonzero([source == name for source in sources])].sum(axis=1)
        for name in dict.fromkeys(sources if table.shape[1] else ())  # a model may read no table
    }
    payloads = {name: of.sum(axis=(1, 2)) for name, of in moments.items()}
    payloads |= {n: np.bincount(row, weights=of, minlength=len(group)) for n, (row, _, of) in tokens.items()}
    for name, added in payloads.items():
        of_column[name] = of_column.get(name, 0.0) + added
    sizes = {name: rounded(np.abs(of).mean()) for name, of in of_column.items()}
    moved = np.abs(change).mean()
    word = partial(_words, group=group, params=params)
    return Attributed(
        rows=len(group),
        patients=len(np.unique(group)),
        unit=unit,
        columns=dict(sorted(((n, size) for n, size in sizes.items() if size), key=lambda pair: -pair[1])),
        missed=rounded(np.abs(gap).mean() / moved) if moved else 0.0,
        moments={n: _profile(of, channels[n], group, params) for n, of in moments.items()},
        words={n: word(row, token, of, vocabulary[n]) for n, (row, token, of) in tokens.items()},
    )


def _profile(moments: Floats, channels: Sequence[str], group: NDArray[Any], params: ExplainParams) -> Profile:
    there = moments.any(axis=(1, 2))
    known = len(np.unique(group[there])) >= params.min_patients
    means = np.abs(moments[there]).mean(axis=0).T if known else np.zeros((0, 0))
    return Profile(channels=tuple(channels), values=_rounded(means))


def _words(
    row: Whole, token: Whole, attribution: Floats, names: Mapping[int, str], *, group: NDArray[Any],
    params: ExplainParams,
) -> tuple[Word, ...]:  # fmt: skip
    """The tokens in the texts of enough patients that push most either way, the most positive first."""
    texts, place = np.unique(np.stack([token, row]), axis=1, return_inverse=True)
    of_text = np.bincount(place.ravel(), weights=attribution)
    found = []
    for number in np.unique(texts[0]).tolist():
        of = texts[0] == number
        patients = len(np.unique(group[texts[1][of]]))
        if patients >= params.min_patients and number in names:
            found.append(Word(token=names[number], patients=patients, attribution=rounded(of_text[of].mean())))
    order = sorted(found, key=lambda word: (-word.attribution, word.token))
    return tuple(order if len(order) <= 2 * WORDS else [*order[:WORDS], *order[-WORDS:]])


def class_map(values: Floats, group: NDArray[Any], label: str, params: ExplainParams) -> ClassMap:
    """The mean of the maps of one class's rows, of enough patients. Shape: values (N, h, w), group (N,)."""
    patients = len(np.unique(group))
    known = patients >= params.min_patients
    return ClassMap(label=label, patients=patients, values=_rounded(values.mean(axis=0)) if known else ())


def _rounded(values: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(value, 4) for value in line) for line in values.tolist())

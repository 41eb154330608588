"""Evaluate entities in texts, as CoNLL does: right is what has the label, the first and the last word of a true one.

Tjong Kim Sang & De Meulder, "Introduction to the CoNLL-2003 shared task", CoNLL 2003; `seqeval` gives the same.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from contracts.study import Frozen
from contracts.tags import OUTSIDE, counted, entities, padded, written
from contracts.tasks import Task
from pipelines.bootstrap import Interval, bootstrap, interval
from pipelines.metrics import Metric
from pipelines.results import Counts, EvaluateParams, Floats, Result, Statistic, check_rows

METRICS: dict[str, Metric] = {
    "macro_f1": Metric("Macro F1", True, "F1 of each label alone, averaged"),
}
RANKING = ("f1", "macro_f1", "precision", "recall", "accuracy")
OWN = ("f1", "precision", "recall")


class Named(Frozen):
    """The result of one label: the entities that texts have of it, those that they are said to have, and metrics."""

    label: str
    entities: int
    called: int
    metrics: dict[str, Interval]


class TagsEvaluation(Result):
    """The result of a model that tags words; `metrics` are of the entities of all labels together.

    words: those of all texts
    """

    task: ClassVar[Task] = "tagging"
    words: int
    labels: tuple[Named, ...]

    @property
    def question(self) -> tuple[object, ...]:
        """The labels."""
        return tuple(of.label for of in self.labels)

    def asked_of(
        self, target: NDArray[Any], predicted: Floats, group: NDArray[Any], params: EvaluateParams, peers: Sequence[Any]
    ) -> "TagsEvaluation":
        """The same question asked of other rows."""
        labels = [of.label for of in self.labels]
        return evaluate(target=target, predicted=predicted, group=group, labels=labels, params=params)

    def statistic(self, target: NDArray[Any], predicted: Floats, metric: str) -> Statistic:
        """The metric from row weights (B, N) to (B,), by its name. Shape: target (N,), predicted (N, 1)."""
        return self.statistics(target, predicted, [metric])

    def statistics(self, target: NDArray[Any], predicted: Floats, metrics: Sequence[str]) -> Statistic:
        """Several metrics, which are worked out together."""
        judged = judge(target, predicted, [of.label for of in self.labels])
        return lambda weight: {name: of for name, of in scores(judged, weight).items() if name in metrics}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Texts as they are said to be beside how they are. Shape, of N texts and L labels: `entities` (N, L, 3) those that
    it has, is said to have, and that are right; `words` (N, 2) how many there are, and how many have their true tag."""

    entities: Floats
    words: Floats


def evaluate(
    *, target: NDArray[Any], predicted: NDArray[Any], group: NDArray[Any], labels: Sequence[str], params: EvaluateParams
) -> TagsEvaluation:
    """Judge the entities that texts are said to have.

    Args:
        target: (N,) the tags of each text's words (`contracts.tags`)
        predicted: (N, 1) lists [[first word, the one after the last, label, probability], …] as JSON
        group: (N,) the patient of each text
        labels: what entities can be

    Raises:
        MedloopError: arrays that do not fit together
    """
    check_rows(target, predicted, group, 1)
    judged = judge(target, predicted, labels)
    here = scores(judged, np.ones((1, len(target))))
    drawn = bootstrap(lambda w: scores(judged, w), group, resamples=params.resamples, seed=params.seed)

    def told(name: str, reason: str) -> Interval:
        return interval(float(here[name][0]), drawn[name], params.confidence, reason=reason)

    totals = judged.entities.sum(axis=0).astype(int)
    lacking = [label for label, (has, called, _) in zip(labels, totals, strict=True) if not has + called]
    none = f"the test texts neither have nor are said to have any {', '.join(lacking)}"
    found = tuple(
        Named(
            label=label,
            entities=has,
            called=called,
            metrics={name: told(f"{name}={place}", _reason(name, has, called)) for name in OWN},
        )
        for place, (label, (has, called, _)) in enumerate(zip(labels, totals.tolist(), strict=True))
    )
    every = totals.sum(axis=0)
    return TagsEvaluation(
        metrics={
            name: told(name, none if name == "macro_f1" else _reason(name, int(every[0]), int(every[1])))
            for name in RANKING
        },
        counts=Counts(
            rows=len(target), patients=len(np.unique(group)), by_class={of.label: of.entities for of in found}
        ),
        words=int(judged.words[:, 0].sum()),
        labels=found,
        params=params,
    )


def judge(target: NDArray[Any], predicted: NDArray[Any], labels: Sequence[str]) -> Judged:
    """Set what texts are said to have beside what they have; a word of which nothing is said is outside."""
    tags = padded(target.tolist())
    own = tags > -1
    called = [_spans(cell, labels, most) for cell, most in zip(predicted[:, 0], own.sum(axis=1), strict=True)]
    said = padded([written(spans, tags.shape[1]) for spans in called], least=tags.shape[1])
    right = np.where(own, said, OUTSIDE) == np.where(own, tags, OUTSIDE)
    return Judged(
        entities=counted(entities(tags), entities(said), len(tags), len(labels)).astype(np.float64),
        words=np.stack([own.sum(axis=1), (right & own).sum(axis=1)], axis=1).astype(np.float64),
    )


def _spans(cell: str, labels: Sequence[str], most: int) -> list[tuple[int, int, int]]:
    return [(begin, min(end, most), labels.index(label)) for begin, end, label, _ in json.loads(cell) if begin < most]


def scores(judged: Judged, weight: Floats) -> dict[str, Floats]:
    """Every metric (B,) for each row of weights (B, N), of a label as `f1=PLACE`; NaN where it is undefined."""
    by_label = np.einsum("bn,nlk->blk", weight, judged.entities)
    words = weight @ judged.words
    with np.errstate(divide="ignore", invalid="ignore"):
        each = _of(by_label)
        whole = _of(by_label.sum(axis=1))
        more = {"macro_f1": each["f1"].mean(axis=1), "accuracy": words[:, 1] / words[:, 0]}
    return {**whole, **more, **{f"{name}={k}": of[:, k] for name, of in each.items() for k in range(of.shape[1])}}


def _of(counts: Floats) -> dict[str, Floats]:
    """Metrics of entities: those there are, those called, those of them that are right. Shape: (…, 3) -> (…)."""
    has, called, right = np.moveaxis(counts, -1, 0)
    return {"f1": 2 * right / (has + called), "precision": right / called, "recall": right / has}


def _reason(name: str, has: int, called: int) -> str:
    if name == "precision" and not called:
        return "no text is said to have one"
    if name == "recall" and not has:
        return "no test text has one"
    return "no test text has one, or is said to have"

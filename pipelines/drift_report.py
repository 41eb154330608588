"""What was found of drift: how far columns and scores have moved, what the model is worth on new rows, the answer."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from contracts.errors import listed
from contracts.study import Frozen
from pipelines.bootstrap import Interval, rounded
from pipelines.drift import DriftParams, Shift
from pipelines.tasks import METRICS

Answer = Literal["drifted", "none", "too few", "nothing new"]


class Rows(Frozen):
    """How many rows, of how many patients."""

    rows: int
    patients: int

    def __str__(self) -> str:
        return f"{self.rows:,} rows of {self.patients:,} patients"


class Worth(Frozen):
    """What a model is worth on new rows beside the test rows of its own run. gain: how much better, with its interval.

    limit: by how much it may be worse, in the metric's unit.
    """

    metric: str
    then: Interval
    now: Interval
    gain: Interval
    limit: float
    rows: Rows
    drifted: bool

    @property
    def label(self) -> str:
        """The metric's name for people."""
        return METRICS[self.metric].label


class Drift(Frozen):
    """Today's rows beside those that the champion learnt from.

    compared: "new": the rows that the champion's run did not have; "all": where none is new, but values are.
    refused: how features or label are declared otherwise, so that the champion cannot take the rows.
    scores: of the champion, beside those of its own run's test rows. worth: None where there is none to tell.
    """

    study: str
    answer: Answer
    sentence: str
    champion: str
    compared: Literal["new", "all"]
    then: Rows
    now: Rows
    refused: str = ""
    columns: tuple[Shift, ...] = ()
    label: Shift | None = None
    scores: tuple[Shift, ...] = ()
    worth: Worth | None = None
    notes: tuple[str, ...] = ()
    params: DriftParams
    looked: str = ""

    @property
    def drifted(self) -> tuple[Shift, ...]:
        """What is beyond its limit."""
        label = (self.label,) if self.label else ()
        return tuple(one for one in (*self.columns, *label, *self.scores) if one.verdict == "drifted")


def worth(metric: str, then: Interval, now: Interval, rows: Rows, limit: float) -> Worth:
    """Two intervals of different rows, and that of their difference.

    By the recovered variances of Zou & Donner, "Construction of confidence limits about effect measures", Statistics in
    Medicine 27, 2008. Drifted is what is worse by more than the limit, and by more than chance.
    """
    low, high = METRICS[metric].span
    sign = 1.0 if METRICS[metric].higher_is_better else -1.0
    allowed = limit if low >= -1 and high <= 1 else limit * abs(then.value or 0.0)
    gain = _difference(then, now, sign)
    worse = gain.value is not None and gain.value < -allowed and gain.high is not None and gain.high < 0
    return Worth(metric=metric, then=then, now=now, gain=gain, limit=rounded(allowed), rows=rows, drifted=worse)


def _difference(then: Interval, now: Interval, sign: float) -> Interval:
    ends = (then.value, then.low, then.high, now.value, now.low, now.high)
    if then.value is None or now.value is None:
        return Interval(value=None, reason=now.reason or then.reason or "undefined")
    gain = sign * (now.value - then.value)
    if None in ends:
        return Interval(value=rounded(gain), reason="too few patients for an interval")
    a, a_low, a_high, b, b_low, b_high = (float(end or 0.0) for end in ends)
    down, up = np.hypot(b - b_low, a_high - a), np.hypot(b_high - b, a - a_low)
    below, above = (down, up) if sign > 0 else (up, down)
    return Interval(value=rounded(gain), low=rounded(gain - below), high=rounded(gain + above))


def answered(found: Drift) -> Drift:
    """With the answer, in a word and in a sentence."""
    drifted = [one.column for one in found.columns if one.verdict == "drifted"]
    said = [found.refused] if found.refused else []
    said += [f"{len(drifted)} of {len(found.columns)} columns ({listed(_told(found.columns), 5)})"] if drifted else []
    if found.label and found.label.verdict == "drifted":
        said.append(f"the label ({found.label.why})")
    moved = [one for one in found.scores if one.verdict == "drifted"]
    said += [f"the champion's scores ({listed([one.why for one in moved], 3)})"] if moved else []
    if found.worth and found.worth.drifted:
        said.append(f"what the champion is worth ({found.worth.label} {found.worth.now}, was {found.worth.then})")
    kind = "new rows" if found.compared == "new" else "changed rows"
    if said:
        sentence = f"Drifted: {'; '.join(said)}, in {found.now.rows:,} {kind} of {found.now.patients:,} patients."
        return found.model_copy(update={"answer": "drifted", "sentence": sentence})
    sentence = f"No drift: nothing of {len(found.columns)} columns, label and scores is beyond its limit, in "
    return found.model_copy(
        update={
            "answer": "none",
            "sentence": f"{sentence}{found.now.rows:,} {kind} of {found.now.patients:,} patients.",
        }
    )


def too_few(found: Drift) -> Drift:
    """Nothing is told of a handful of patients."""
    least = found.params.min_patients
    told = (
        f"Too few to tell: {found.now.rows:,} new rows of {found.now.patients:,} patients, and {least} are asked for."
    )
    return found.model_copy(update={"answer": "too few", "sentence": told})


def _told(columns: Sequence[Shift]) -> list[str]:
    return [f"{one.column}: {one.why}" for one in columns if one.verdict == "drifted"]

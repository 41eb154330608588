"""Many models beside the first of them, by one metric: all can be told for little, none is told for more than it is."""

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np

from contracts.study import Frozen
from pipelines.bootstrap import Floats, Interval, bootstrap, rounded
from pipelines.comparison.standing import p_text, statistic
from pipelines.paired import sign
from pipelines.results import Entry
from pipelines.tasks import METRICS

RESAMPLES = 100  # a standard error takes 50 to 200, the ends of a percentile interval 2,000


class Behind(Frozen):
    """A model beside the first.

    lead: how much better the first is, positive when better whichever way the metric runs. p: of no difference,
    two-sided, corrected for all pairs of models (Bonferroni). told_apart: that p and the interval both leave no
    difference out.
    """

    lead: Interval
    p: float | None
    told_apart: bool


class Many(Frozen):
    """The first by its stored value, and by name those of the others that were tested on the very same rows."""

    first: str
    value: Interval
    metric: str
    models: int
    rows: int
    patients: int
    confidence: float
    behind: dict[str, Behind]

    @property
    def sentence(self) -> str:
        """The answer."""
        label, apart = METRICS[self.metric].label, sum(one.told_apart for one in self.behind.values())
        others = self.models - 1 - len(self.behind)
        level = len(self.behind) - apart
        elsewhere = f"; {_are(others)} of other test rows" * bool(others)
        told = f"{self.first} is first of {self.models} on {label}, {self.value}"
        if not self.behind:
            return f"Cannot tell: {told}, but no other was tested on the same rows."
        if not apart:
            return f"Cannot tell: {told}, and none of {level} tested on the same rows is told apart{elsewhere}."
        if not level:
            return f"{told}; {_are(apart)} shown to be behind{elsewhere}."
        return f"{told}: {_are(apart)} shown to be behind, {level} cannot be told apart from it{elsewhere}."


def _are(others: int) -> str:
    return f"{others} other{'s are' if others > 1 else ' is'}"


def many(entries: Mapping[str, Entry], first: str, metric: str, models: int) -> Many:
    """What each model is behind the first, with the normal interval of a patient-level bootstrap.

    Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, sections 6.4 and 13.2.

    Args:
        entries: all judged on the same rows in the same order
        first: the name of the one that the others are set beside
        metric: by its key
        models: how many there are in all, of which the first was chosen
    """
    of = {name: statistic(entry, [metric]) for name, entry in entries.items()}

    def values(weight: Floats) -> dict[str, Floats]:
        return {name: one(weight)[metric] for name, one in of.items()}

    best = entries[first]
    params = best.evaluation.params
    here = values(np.ones((1, len(best.target))))
    drawn = bootstrap(values, best.group, resamples=min(RESAMPLES, params.resamples), seed=params.seed)
    leads = {
        name: (sign(metric) * float(here[first][0] - here[name][0]), sign(metric) * (drawn[first] - drawn[name]))
        for name in entries
        if name != first
    }
    pairs = models * (models - 1) // 2
    return Many(
        first=first,
        value=best.evaluation.measured.get(metric) or Interval(value=rounded(float(here[first][0]))),
        metric=metric,
        models=models,
        rows=len(best.target),
        patients=len(np.unique(best.group)),
        confidence=params.confidence,
        behind={name: _behind(*lead, pairs, params.confidence) for name, lead in leads.items()},
    )


def _behind(lead: float, drawn: Floats, pairs: int, confidence: float) -> Behind:
    """Shape: drawn (B,), the lead on each resample."""
    if np.isnan(lead) or np.isnan(drawn).mean() > 0.1:
        return Behind(lead=Interval(value=None, reason="undefined on these rows"), p=None, told_apart=False)
    error = float(np.nanstd(drawn, ddof=1))
    if not error:
        return Behind(lead=Interval(value=rounded(lead)), p=1.0 if not lead else None, told_apart=False)
    p = min(1.0, 2 * NormalDist().cdf(-abs(lead) / error) * pairs)
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * error
    within = Interval(value=rounded(lead), low=rounded(lead - reach), high=rounded(lead + reach))
    return Behind(lead=within, p=p, told_apart=p < 1 - confidence and lead - reach > 0)


def in_words(of: Behind) -> tuple[str, str]:
    """The p, and whether it is shown that the model is behind."""
    return p_text(of.p) if of.p is not None else "", "yes" if of.told_apart else "no, may be chance"

"""How alike a model that was trained again is to the one of then: the grade, and what differs."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

Grade = Literal["bit-identical", "same predictions", "within the spread of seeds", "different"]
EXIT_CODES: dict[Grade, int] = {
    "bit-identical": 0,
    "same predictions": 3,
    "within the spread of seeds": 4,
    "different": 5,
}
Kind = Literal["data", "parameters", "code", "library", "threads", "hardware"]
SETTINGS = ("params.yaml", "studies/", "studies.yaml")


class Divergence(BaseModel):
    """A stage whose outputs came out otherwise: what it depends on that was not as then, and the files that differ."""

    stage: str
    changed: list[str]
    files: list[str]


class Reproduction(BaseModel):
    """A verdict and its evidence.

    revision: the Git commit that pins code, settings and data
    values, source: the settings that were changed first, and whether the source was read again: a what-if
    first: the first stage that diverged; None where none did
    differs: what is known to differ from then, by kind
    gap: the largest difference of a predicted number; None where the rows are not the same
    metric, then, now: the study's metric and its value on the test rows
    seeds: the metric of the same recipe with other seeds, where the grade needed them
    """

    reference: str
    study: str
    model: str
    revision: str
    values: list[str]
    source: bool
    grade: Grade
    stages: int
    first: Divergence | None
    differs: dict[Kind, list[str]]
    gap: float | None
    tolerance: float
    metric: str
    then: float
    now: float
    seeds: list[float]
    ended: str

    @property
    def sentence(self) -> str:
        """The verdict in plain words."""
        if self.first is None:
            return f"bit-identical: {self.stages} stages run again, every file the same"
        what = "; ".join(f"{kind}: {', '.join(said[:3])}" for kind, said in self.differs.items())
        because = what or "nothing that medloop records differs"
        return f"{self.grade}: {self._evidence()}; first diverged at {self.first.stage} ({because})"

    def _evidence(self) -> str:
        if self.grade == "same predictions":
            return f"predictions agree within {self.tolerance:g} (largest difference {self.gap:.1g})"
        spread = f", other seeds {min(self.seeds):.4f} to {max(self.seeds):.4f}" if self.seeds else ""
        return f"{self.metric} {self.now:.4f}, then {self.then:.4f}{spread}"


def gap(then: NDArray[np.float64] | None, now: NDArray[np.float64] | None) -> float | None:
    """The largest difference of a probability; None where there are others or other rows. Shape: (N, C) each.

    What is missing in both, such as a median time that is not reached, is the same.
    """
    if then is None or now is None or then.shape != now.shape:
        return None
    if then.dtype == object:  # entities in texts: all the same, or not to be measured
        return 0.0 if (then == now).all() else None
    apart = np.abs(np.where(np.isnan(then) & np.isnan(now), 0.0, then - now))
    return float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))


def in_spread(then: float, now: float, seeds: Sequence[float]) -> bool:
    """Whether the difference is no more than two standard deviations over seeds; needs three seeds or more."""
    return len(seeds) >= 3 and abs(now - then) <= 2 * float(np.std(seeds, ddof=1))


def grade(first: Divergence | None, gap: float | None, tolerance: float, spread: bool) -> Grade:
    """The first grade that holds."""
    if first is None:
        return "bit-identical"
    if gap is not None and gap <= tolerance:
        return "same predictions"
    return "within the spread of seeds" if spread else "different"


def differences(first: Divergence | None, around: Mapping[Kind, Sequence[str]]) -> dict[Kind, list[str]]:
    """What differs where the first stage diverged, by kind; `around` says what differs of machine and packages."""
    found: dict[Kind, list[str]] = {}
    for said in first.changed if first else []:
        found.setdefault(_kind(said), []).append(said)
    for kind, told in around.items():
        found.setdefault(kind, []).extend(told)
    return {kind: told for kind, told in found.items() if told}


def _kind(said: str) -> Kind:
    """Of a sentence such as `studies/x.yaml: train.epochs is 2, was 3` or `models/loop.py is modified`."""
    subject = said.partition(" is ")[0]
    if subject.endswith(".threads"):
        return "threads"
    if subject.startswith(SETTINGS):
        return "parameters"
    return "code" if subject.endswith(".py") else "data"

"""The gate between a retrained model and the champion's place: criteria, each with its evidence, and what follows."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, field_validator

from contracts.errors import listed
from contracts.names import nearest
from contracts.study import Column, Frozen
from contracts.tables import Schema
from pipelines.audit import Certificate
from pipelines.bootstrap import Interval
from pipelines.compare import FEW_ROWS
from pipelines.paired import Paired, of_rows, paired
from pipelines.results import Entry
from pipelines.tasks import METRICS

Decision = Literal["promote", "ask", "keep"]
State = Literal["met", "open", "failed"]
Outcome = Literal["promote", "ask", "keep", "blocked"]
Margin = Annotated[float, Field(ge=0, lt=1)]
# What tells of calibration, by what a task measures: the first that it has.
CALIBRATION = ("ece", "coverage", "rps", "horizon_gap", "brier")
DECLARED = ("type", "unit", "levels")


class GateParams(Frozen):
    """When a retrained model, the challenger, takes the champion's place. No stage reads these.

    Margins are in the metric's own unit where it lies between -1 and 1, else shares of the champion's value.

    metric: by which the two are compared; that of `compare` by default.
    margin: the challenger is shown to be worse by no more than this (the whole interval lies above); "better": it is
        shown to be better.
    calibration: by how much the calibration error may grow (of numbers: how much less the intervals may cover); null:
        it is not looked at.
    subgroups: columns in whose groups the challenger must do no harm: {sex: [], age: [40, 65]}; of a numeric column the
        values at which it is cut.
    subgroup_margin: a group is harmed that is worse off by more than this.
    min_patients: smaller groups are left out.
    decision: of a challenger that meets all, "promote" makes it the champion, "ask" waits for a person, and "keep"
        leaves the champion whatever is found.
    """

    metric: str | None = None
    margin: Margin | Literal["better"] = 0.02
    calibration: Margin | None = 0.05
    subgroups: dict[str, tuple[float, ...]] = Field(default={})
    subgroup_margin: Margin = 0.05
    min_patients: int = Field(default=20, ge=5)
    decision: Decision = "ask"

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str | None) -> str | None:
        if metric is not None and metric not in METRICS:
            raise ValueError(f"no metric {metric}{nearest(metric, METRICS)}; there are {', '.join(METRICS)}")
        return metric


class Criterion(Frozen):
    """One question of the gate: whether it is met, failed, or cannot be told (open), in a sentence with the figures."""

    name: str
    state: State
    sentence: str
    evidence: dict[str, Any] = Field(default={})


class Rows(Frozen):
    """The test rows on which both are judged: none was seen by either in training or validation, nor its patient.

    frozen: in the test part of both. new: unknown to the champion's run. left_out: test rows of today that the
    champion, or a patient's other rows, learnt from, or that were no test rows then.
    """

    frozen: int
    new: int
    patients: int
    left_out: int


def schema_kept(
    then: Schema, now: Schema, forms: tuple[Mapping[str, object], Mapping[str, object]] = ({}, {})
) -> Criterion:
    """Whether a model of then can take the rows of now, and answers the same question.

    forms: by image and sequence column the form of their files, then and now.
    """
    old, new = then.features, now.features
    found = [Difference(what=name, now=new[name].type) for name in new if name not in old]
    found += [Difference(what=name, then=old[name].type) for name in old if name not in new]
    found += [told for name in old if name in new for told in _column_drift(name, old[name], new[name])]
    found += _apart("the label's", then, now, ("classes", "positive", "task", "unit"))
    found += [
        Difference(what=f"files of {name}", then=str(of), now=str(forms[1].get(name)))
        for name, of in forms[0].items()
        if name in new and forms[1].get(name) != of
    ]
    return (
        _changed(found)
        if found
        else Criterion(name="schema", state="met", sentence=f"the same {len(old)} features and label")
    )


def source_changed(then: Schema, new: Sequence[str], gone: Sequence[str]) -> Criterion:
    """The same of a source that has columns which the study does not name, or lacks some that it does."""
    types = {name: column.type for name, column in then.features.items()}
    found = [Difference(what=name, now="not named by the study") for name in new]
    found += [Difference(what=name, then=types.get(name, "declared"), now="not in the source") for name in gone]
    return _changed(found)


class Difference(Frozen):
    """What is otherwise now than it was; None where it is not there at all."""

    what: str
    then: str | None = None
    now: str | None = None

    def __str__(self) -> str:
        if self.then is None:
            return f"{self.what} is new"
        if self.now is None:
            return f"{self.what} is gone (not declared, empty or constant)"
        return f"{self.what} is {self.now}, was {self.then}"


def _changed(found: Sequence[Difference]) -> Criterion:
    return Criterion(
        name="schema",
        state="failed",
        sentence=f"the schema has changed: {listed(found, 20)}",
        evidence={"differences": [one.model_dump() for one in found]},
    )


def _column_drift(name: str, old: Column, new: Column) -> list[Difference]:
    return _apart(f"{name}:", old, new, DECLARED)


def _apart(of: str, old: Column | Schema, new: Column | Schema, names: Sequence[str]) -> list[Difference]:
    both = [(name, _plain(getattr(old, name)), _plain(getattr(new, name))) for name in names]
    return [Difference(what=f"{of} {name}", then=then, now=now) for name, then, now in both if then != now]


def _plain(value: object) -> str:
    return f"[{listed(value)}]" if isinstance(value, tuple) else str(value)


def certificate_clean(certificate: Certificate) -> Criterion:
    """Whether the challenger's leak certificate is clean and as it was sealed."""
    clean = certificate.verdict == "clean" and certificate.intact
    why = certificate.sentence if certificate.intact else "it was changed after it was sealed"
    return Criterion(
        name="certificate",
        state="met" if clean else "failed",
        sentence=f"leak certificate {certificate.verdict}: {why}",
        evidence={"verdict": certificate.verdict, "sha256": certificate.sha256},
    )


def no_worse(found: Paired, margin: float | Literal["better"], rows: int) -> Criterion:
    """Non-inferiority by the interval of the paired difference, or superiority.

    Piaggio et al., "Reporting of noninferiority and equivalence randomized trials", JAMA 308, 2012.
    """
    allowed = 0.0 if margin == "better" else _in_unit(found, margin)
    low, high = found.gain.low, found.gain.high
    caution = f"; {rows} rows are few: do not rely on this" if rows < FEW_ROWS else ""
    if low is None or high is None or found.gain.value is None:
        why = "" if found.gain.value is None else f": {found.gain.reason or 'too few rows'}"
        told = f"cannot be told: {_label(found)} {_gain(found)}{why}{caution}"
        return Criterion(name="metric", state="open", sentence=told, evidence=found.model_dump())
    met = low > 0 if margin == "better" else low >= -allowed
    failed = high <= 0 if margin == "better" else _harmed(found, allowed)
    state: State = "met" if met else "failed" if failed else "open"
    superior = {"met": "shown to be better", "failed": "not better", "open": "not shown to be better"}
    bound = f"worse by more than {allowed:.3g}"
    within = {"met": f"shown to be not {bound}", "failed": bound, "open": f"perhaps {bound}"}
    told = f"{(superior if margin == 'better' else within)[state]}: {_label(found)} {_gain(found)}{caution}"
    return Criterion(name="metric", state=state, sentence=told, evidence={**found.model_dump(), "margin": allowed})


def calibration_kept(found: Paired, limit: float) -> Criterion:
    """Whether the measure of calibration is worse by no more than a limit."""
    state = _state(found, _in_unit(found, limit))
    said = {"met": "kept", "open": "worse, which may be chance", "failed": "worse"}[state]
    if found.gain.value is None:
        state, said = "open", "cannot be told"
    told = f"{said}: {_label(found)} {_gain(found)}, limit {_in_unit(found, limit):.3g}"
    return Criterion(name="calibration", state=state, sentence=told, evidence=found.model_dump())


def subgroups_unharmed(
    champion: Entry, challenger: Entry, metric: str, rows: pd.DataFrame, schema: Schema, params: GateParams
) -> Criterion:
    """Whether no group is worse off by more than the margin. A group of few patients is left out, and counted.

    rows: the samples that were judged, in the order of the entries.
    """
    cells, few = [], 0
    there = {column: cuts for column, cuts in params.subgroups.items() if column in schema.features}
    for column, cuts in there.items():
        named = groups(rows[column], schema.features[column], cuts)
        for name in sorted(set(named)):
            at = np.asarray(named == name)
            if len(np.unique(challenger.group[at])) < params.min_patients:
                few += 1
                continue
            (one,) = paired(of_rows(champion, at), of_rows(challenger, at), [metric])
            cells.append((f"{column} {name}", one, int(at.sum())))
    found = _of_groups(cells, few, params)
    gone = [column for column in params.subgroups if column not in there]
    told = f"; cleaning dropped {listed(gone)}" if gone else ""
    return found.model_copy(update={"sentence": found.sentence + told})


def _of_groups(cells: Sequence[tuple[str, Paired, int]], few: int, params: GateParams) -> Criterion:
    undefined = [name for name, found, _ in cells if found.gain.value is None]
    by_state: dict[State, list[str]] = {"met": [], "open": [], "failed": []}
    for name, found, _ in cells:
        if found.gain.value is not None:
            by_state[_state(found, _in_unit(found, params.subgroup_margin))].append(f"{name} ({_gain(found)})")
    said = [f"worse off: {listed(by_state['failed'])}"] if by_state["failed"] else []
    said += [f"worse off, which may be chance: {listed(by_state['open'])}"] if by_state["open"] else []
    said = said or [f"none of {len(by_state['met'])} groups is worse off by more than {params.subgroup_margin:g}"]
    said += [f"{few} of fewer than {params.min_patients} patients left out"] if few else []
    said += [f"not defined in {listed(undefined)}"] if undefined else []
    state: State = "failed" if by_state["failed"] else "met" if by_state["met"] and not by_state["open"] else "open"
    evidence = {name: {**found.model_dump(), "rows": rows} for name, found, rows in cells}
    return Criterion(name="subgroups", state=state, sentence="; ".join(said), evidence={"groups": evidence, "few": few})


def groups(values: "pd.Series[Any]", column: Column, cuts: Sequence[float]) -> "pd.Series[str]":
    """The group of each row: its level, or the band that its number lies in; `unknown` where it is missing."""
    if column.type == "numeric":
        edges = sorted(cuts)
        ends = [f"under {edges[0]:g}", *(f"{a:g} to under {b:g}" for a, b in pairwise(edges))]
        names: NDArray[Any] = np.array([*ends, f"{edges[-1]:g} and more"])
        named = names[np.searchsorted(edges, values.fillna(edges[0]), side="right")]
        return pd.Series(named, index=values.index, dtype="str").where(values.notna(), "unknown")
    return values.astype("str").fillna("unknown")


def decided(criteria: Sequence[Criterion], params: GateParams) -> Outcome:
    """What follows: nothing that failed is passed, and only what is shown to be met is promoted by itself."""
    states = {criterion.name: criterion.state for criterion in criteria}
    if "failed" in (states.get("schema"), states.get("certificate")):
        return "blocked"
    if "failed" in states.values() or params.decision == "keep":
        return "keep"
    if params.decision == "ask":
        return "ask"
    return "promote" if set(states.values()) == {"met"} else "keep"


def _state(found: Paired, allowed: float) -> State:
    if found.gain.value is None or found.gain.value >= -allowed:
        return "met"
    return "failed" if _harmed(found, allowed) else "open"


def _harmed(found: Paired, allowed: float) -> bool:
    """Worse by more than is allowed, and by more than chance."""
    value, high = found.gain.value, found.gain.high
    return value is not None and value < -allowed and high is not None and high < 0


def _in_unit(found: Paired, margin: float) -> float:
    low, high = METRICS[found.metric].span
    within = low >= -1 and high <= 1
    return margin if within else margin * abs(found.first or 0.0)


def _label(found: Paired) -> str:
    return METRICS[found.metric].label


def _gain(found: Paired) -> str:
    """`0.861 after 0.853, +0.008 (−0.004 to +0.020), p 0.20`."""
    if found.gain.value is None:
        return f"undefined ({found.gain.reason})"
    first, second = (f"{value:.3f}" for value in (found.first or 0.0, found.second or 0.0))
    p = "" if found.p is None else f", p {found.p:.2g}" if found.p >= 1e-4 else ", p below 0.0001"
    return f"{second} after {first}, {_signed(found.gain)}{p}".replace("-", "−")


def _signed(gain: Interval) -> str:
    better = "better" if (gain.value or 0) >= 0 else "worse"
    ends = "" if gain.low is None else f" ({gain.low:+.3f} to {gain.high:+.3f})"
    return f"{better} by {abs(gain.value or 0):.3f}{ends}"

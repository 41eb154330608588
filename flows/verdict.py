"""A retraining's verdict: what it says, where it is kept with its evidence, and how a person sees it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from contracts.study import Frozen
from flows import console
from flows.home import home
from pipelines.compare import FEW_ROWS
from pipelines.gate import Criterion, Difference, GateParams, Rows
from pipelines.paired import Paired
from pipelines.tasks import METRICS

Verdict = Literal["promoted", "first", "nothing new", "kept", "asks", "blocked"]


class Side(Frozen):
    """A model in the comparison: its registered version, where it has one, its MLflow run and its name."""

    version: str
    run_id: str
    model: str

    def __str__(self) -> str:
        return f"version {self.version} ({self.model})" if self.version else self.model


class Gate(Frozen):
    """A retraining's verdict with its evidence, as it is kept. `next`: the one command that a person may want."""

    study: str
    verdict: Verdict
    sentence: str
    key: str
    decided: str
    champion: Side
    challenger: Side | None = None
    criteria: tuple[Criterion, ...] = ()
    rows: Rows | None = None
    differences: dict[str, tuple[Paired, ...]] = Field(default={})
    params: GateParams
    next: str = ""


def evidence(root: Path, gate: Gate) -> Path:
    """Where a verdict is kept: a file for each, since one that led to a decision must not be written over."""
    grounds = gate.model_copy(update={"decided": ""}).model_dump_json()
    return home(root) / "gates" / gate.study / f"{gate.key}-{hashlib.sha256(grounds.encode()).hexdigest()[:8]}.json"


def show(root: Path, gate: Gate) -> None:
    """The verdict, what it rests on, and the one command that may come next."""
    console.console.print(f"\n{gate.sentence}\n", style="bold", markup=False, soft_wrap=True)
    console.show_facts({one.name: f"{_MARKS[one.state]} {one.sentence}" for one in gate.criteria})
    if changed := [Difference(**each) for one in gate.criteria for each in one.evidence.get("differences", ())]:
        console.show_table(
            ("schema", "then", "now"), [(one.what, one.then or "–", one.now or "–") for one in changed], 3
        )
    if gate.rows:
        console.show_facts({"rows": _rows(gate.rows)})
        for fact in _by_kind(gate, gate.rows):
            console.show_facts(fact)
    if gate.criteria:
        console.show_facts({"evidence": evidence(root, gate)})
    if gate.next:
        console.show_facts({"next": gate.next})


def _by_kind(gate: Gate, rows: Rows) -> Iterator[dict[str, str]]:
    """The two models on the rows that both runs tested on, and on those that are new."""
    for name, count in (("frozen", rows.frozen), ("new", rows.new)):
        few = f" ({count:,} rows are too few to tell)" if count < FEW_ROWS else ""
        for one in gate.differences.get(name, ()):
            now, then = ("–" if value is None else f"{value:.3f}" for value in (one.second, one.first))
            yield {f"on {name} rows": f"{METRICS[one.metric].label} {now} after {then}{few}"}


_MARKS = {"met": "✓", "open": "?", "failed": "✗"}


def _rows(rows: Rows) -> str:
    return (
        f"{rows.frozen:,} test rows of both runs and {rows.new:,} new ones, of {rows.patients:,} patients; "
        f"{rows.left_out:,} left out, since they or their patient's others were no test rows of the champion"
    )

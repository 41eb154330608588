"""What a comparison finds: runs, the rows that they share, the standing, groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from contracts.errors import MedloopError, listed
from contracts.names import nearest
from contracts.study import Column
from flows.comparing import runs as finding
from flows.comparing.many import beside
from flows.comparing.recipes import data
from flows.comparing.rows import Judged, Shared, alone_on_its_rows, load, shared
from flows.comparing.runs import Run
from flows.settings import Settings
from flows.settings import load as load_settings
from pipelines.comparison.differs import DataDifference
from pipelines.comparison.many import Many
from pipelines.comparison.standing import Standing, draws, sentence, standing
from pipelines.comparison.subgroups import Groups, by_group, harm, usual
from pipelines.gate import GateParams
from pipelines.paired import Draws
from pipelines.tasks import SETTINGS

MOST, FEW = 12, 3  # of more runs all are set beside the first, and a few, the best by the stored metric, drawn


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What was found. `shared` and what follows from it are None where the runs cannot be compared.

    order: the names of the runs compared, best first. stored_only: runs known by what MLflow has of them alone.
    many: where there are more than MOST, all runs beside the first.
    """

    root: Path
    runs: Sequence[Run]
    answer: str
    cautions: Sequence[str]
    metric: str
    shared: Shared | None = None
    drawn: Draws = field(default_factory=dict)
    standing: Standing | None = None
    groups: Groups | None = None
    changed: Mapping[str, DataDifference] = field(default_factory=dict)
    gate: GateParams = field(default_factory=GateParams)
    stored_only: Sequence[Run] = ()
    many: Many | None = None

    @property
    def order(self) -> list[str]:
        """The names of the runs that were compared, best first."""
        return [place.model for place in self.standing.places] if self.standing else []

    @property
    def judged(self) -> dict[str, Judged]:
        """The runs that were compared, by name, best first."""
        by_name = {one.run.name: one for one in self.shared.judged} if self.shared else {}
        return {name: by_name[name] for name in self.order}


def compared(root: Path, references: Sequence[str], by: Mapping[str, Sequence[float]] | None = None) -> Comparison:
    """Finds the runs, and compares on the rows that they share.

    Raises MedloopError for a run that nobody knows, and when there are fewer than two.
    """
    runs = finding.find(root, references)
    settings = _settings(root, runs[0].study)
    gate = settings.gate if settings else GateParams()
    metric = gate.metric or (settings.compare.metric if settings else "auroc")
    chosen, rest = _chosen(runs, metric)
    judged, cautions = _loaded(root, chosen)
    if rest:
        cautions.append(
            f"the first of {len(runs)} runs is flattered by chance: judge it anew on rows of later patients"
        )
    asked = Comparison(root=root, runs=runs, answer="", cautions=cautions, metric=metric, gate=gate, stored_only=rest)
    try:
        both = shared(_first_with(judged))
    except MedloopError as error:
        why = error.problem if error.problem.startswith("not comparable") else f"not comparable: {error.problem}"
        return replace(asked, answer=f"{why[0].upper()}{why[1:]}.")
    unlike = [run for run in chosen if run.name not in both.entries]
    return replace(_on_shared_rows(asked, both, by), stored_only=[*rest, *unlike])


def _on_shared_rows(asked: Comparison, both: Shared, by: Mapping[str, Sequence[float]] | None) -> Comparison:
    """The runs beside each other; beyond MOST only by the metric, since the first of many is flattered by chance."""
    metric, several = _metric(both, asked.metric), bool(asked.stored_only)
    two = len(both.entries) == 2 and not several
    names = list(next(iter(both.entries.values())).evaluation.metrics) if two else []
    changed = {} if several else _other_data(both)
    first = both.judged[0].run.name
    unlike = [f"{name} was made of other data than {first}: {of.sentence}" for name, of in changed.items()]
    drawn = draws(both.entries, list(dict.fromkeys([metric, *(name for name in names if _drawable(both, name))])))
    found = standing(both.entries, drawn, metric)
    groups = None if several else _groups(both, found, by, asked.gate)
    many = beside(asked.root, asked.runs, _first(both, found), metric) if several else None
    return replace(
        asked,
        answer=many.sentence if many else _answer(both, found, groups, asked.gate),
        cautions=[*asked.cautions, *both.cautions, *unlike],
        metric=metric,
        shared=both,
        drawn=drawn,
        standing=found,
        groups=groups,
        changed=changed,
        many=many,
    )


def _first(both: Shared, found: Standing) -> Judged:
    return next(one for one in both.judged if one.run.name == found.best)


def _answer(both: Shared, found: Standing, groups: Groups | None, gate: GateParams) -> str:
    if alike := _alike(both):
        return f"No difference: {' and '.join(alike)} say the same of every row."
    said = harm(groups, found.places[1].model, gate.subgroup_margin) if groups and len(found.places) == 2 else ""
    return sentence(found, said)


def _settings(root: Path, study: str) -> Settings | None:
    """How the study is compared today; a study that is gone, as others are."""
    try:
        return load_settings(root, study)
    except MedloopError:
        return None


def _chosen(runs: Sequence[Run], metric: str) -> tuple[list[Run], list[Run]]:
    """The runs whose predictions are read, in the order given, and the others."""
    if len(runs) <= MOST:
        return list(runs), []
    from pipelines.tasks import METRICS

    sign = 1 if metric in METRICS and METRICS[metric].higher_is_better else -1
    stored = {run.name: sign * run.metrics.get(f"test_{metric}", -sign * float("inf")) for run in runs}
    best = set(sorted(stored, key=lambda name: -stored[name])[:FEW])
    return [run for run in runs if run.name in best], [run for run in runs if run.name not in best]


def _loaded(root: Path, runs: Sequence[Run]) -> tuple[list[Judged], list[str]]:
    """Those whose predictions can be had, and why the others' cannot."""
    judged, cautions = list[Judged](), list[str]()
    for run in runs:
        try:
            judged.append(load(root, run))
        except MedloopError as error:
            where = f" ({error.where})" if error.where and "/tmp" not in error.where else ""
            cautions.append(f"{run.name}: its predictions cannot be had: {error.problem}{where}")
    return judged, cautions


def _first_with(judged: Sequence[Judged]) -> Sequence[Judged]:
    if len(judged) < 2:
        raise MedloopError("predictions on test rows can be had of fewer than two runs")
    return judged


def _metric(both: Shared, asked: str) -> str:
    """The metric that ranks; where the task has not that, its usual one."""
    evaluation = next(iter(both.entries.values())).evaluation
    ranking = SETTINGS[evaluation.task]["compare"]["metric"]
    return asked if asked in ranking else ranking[0]


def _other_data(both: Shared) -> dict[str, DataDifference]:
    """By name of each run whose samples are others than the first run's, how they differ."""
    first, *others = both.judged
    found = {one.run.name: data(first, one) for one in others}
    return {name: of for name, of in found.items() if of and not of.same}


def _alike(both: Shared) -> list[str]:
    """The names of all runs, where they predict the very same."""
    first, *others = both.entries.values()
    same = all(np.array_equal(first.predicted, one.predicted) for one in others if first.predicted.dtype != object)
    return list(both.entries) if same and first.predicted.dtype != object else []


def _drawable(both: Shared, name: str) -> bool:
    return name in next(iter(both.entries.values())).evaluation.metrics


def _groups(both: Shared, found: Standing, by: Mapping[str, Sequence[float]] | None, gate: GateParams) -> Groups | None:
    """The runs in groups of the rows; None where there is no column or no group large enough."""
    features = both.judged[0].schema.features
    if by:
        _check_columns(by, features, both)
    asked = by or {name: cuts for name, cuts in gate.subgroups.items() if name in both.rows}
    columns = asked or usual(features, both.rows)
    if not columns:
        return None
    shown = [place.model for place in found.places][:6]
    told = by_group(
        {name: both.entries[name] for name in shown},
        both.rows,
        features,
        columns,
        metric=found.metric,
        reference=found.best,
        min_patients=gate.min_patients,
    )
    return told if told.groups else None


def groups_of(root: Path, one: Judged) -> tuple[Groups | None, str]:
    """One run in groups of its own test rows, and the metric that they are judged by."""
    settings = _settings(root, one.run.study)
    gate = settings.gate if settings else GateParams()
    alone = alone_on_its_rows(one)
    metric = _metric(alone, gate.metric or (settings.compare.metric if settings else "auroc"))
    found = standing(alone.entries, draws(alone.entries, [metric]), metric)
    return _groups(alone, found, None, gate), metric


def _check_columns(by: Mapping[str, Sequence[float]], features: Mapping[str, Column], both: Shared) -> None:
    """Raises MedloopError for a column that there is not, or that no groups can be made of."""
    known = [name for name in features if name in both.rows]
    for name, cuts in by.items():
        if name not in known:
            raise MedloopError(
                f"{name} is no column that groups can be made of{nearest(name, known)}",
                where="--by",
                mend=f"a categorical, ordinal or numeric one: {listed(known)}",
            )
        if (features[name].type == "numeric") != bool(cuts):
            kind = features[name].type
            mend = f"--by {name}=40,65" if kind == "numeric" else f"--by {name}"
            raise MedloopError(f"{name} is {kind}", where="--by", mend=f"numbers are cut, levels are not: {mend}")

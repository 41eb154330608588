"""The champion beside a challenger: on which rows they can be compared fairly, and what each says of these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError, listed
from contracts.study import PAYLOADS, Study
from contracts.tables import ASIDE, Schema, in_part
from flows import bundle, clones, workspace
from flows.arrays import examples
from flows.blocks import open_table
from flows.git import commit_of
from flows.home import data_folder
from flows.plan import Say
from flows.settings import load
from flows.stages import Context
from flows.stages.compare import entry as read_entry
from flows.store import read_json, read_model, read_table
from pipelines.audit import Certificate
from pipelines.gate import (
    CALIBRATION,
    Criterion,
    Rows,
    calibration_kept,
    certificate_clean,
    no_worse,
    schema_kept,
    subgroups_unharmed,
)
from pipelines.impute import Imputer, apply_impute
from pipelines.normalizer import Normalizer, apply_normalize
from pipelines.paired import Paired, of_rows, paired
from pipelines.results import Entry
from pipelines.tasks import RESULTS, SETTINGS

if TYPE_CHECKING:
    import pandas as pd

    from contracts.examples import Examples
    from contracts.payloads import Payloads


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What the comparison found: criteria, the rows, and the paired differences by which rows they are of."""

    criteria: list[Criterion]
    rows: Rows | None = None
    differences: Mapping[str, list[Paired]]


def same_schema(root: Path, study: str, champion: Path) -> Criterion:
    """Whether the champion, whose files lie in a folder, can take the rows that are cleaned now."""
    context = Context(root=root, settings=load(root, study))
    then = read_model(champion / "schema.json", Schema)
    now = read_model(context.folder("clean") / "schema.json", Schema)
    decoded = read_json(context.folder("ingest") / "provenance.json")["decoded"]
    return schema_kept(then, now, (bundle.kept_forms(champion), bundle.forms(context.payloads(), decoded)))


def compared(root: Path, study: str, model: str, champion: Path, pins: Sequence[str], say: Say) -> Compared:
    """The gate's criteria of the study's `model`, as it was just trained, against the champion in this folder.

    pins: commits and keys of the runs that gave the champion, of which this clone may have but one. Raises
    MedloopError where the rows that the champion learnt from cannot be told any more.
    """
    context = Context(root=root, settings=load(root, study), model=model, say=say)
    certificate = read_model(context.folder("audit") / "certificate.json", Certificate)
    criteria = [same_schema(root, study, champion), certificate_clean(certificate)]
    if any(criterion.state == "failed" for criterion in criteria):
        return Compared(criteria=criteria, differences={})
    say("looking up which rows the champion learnt from")
    then = _learnt_from(root, context, champion, pins)
    samples = open_table(context.folder("clean") / "samples.parquet")
    split = read_table(context.folder("split") / "split.parquet")
    tested = samples.where(in_part(samples["@id"], split, "test")).read()
    frozen, new = comparable(tested, then)
    rows = counted(tested, frozen, new)
    if not len(tested) - rows.left_out:
        return Compared(criteria=[*criteria, _no_rows()], rows=rows, differences={})
    say("the champion scores the rows")
    first, second = _entries(context, champion, tested)
    either = frozen | new
    parts = {"all": either, "frozen": frozen, "new": new}
    return _judged(context, tested, first, second, parts, criteria, rows)


def comparable(tested: "pd.DataFrame", then: "pd.DataFrame") -> "tuple[NDArray[np.bool_], NDArray[np.bool_]]":
    """(N,) each: which of today's test rows were test rows of the champion, too, and which are new.

    A row whose patient has any row in the champion's training or validation is neither.

    Args:
        tested: `@id` and `@group` of today's test rows
        then: `@id`, `@group` and `@part` of the champion's samples
    """
    held_out = then["@part"] == "test"
    learnt = then[~held_out & (then["@part"] != ASIDE)]
    unseen = ~(tested["@id"].isin(learnt["@id"]) | tested["@group"].isin(learnt["@group"]))
    frozen = unseen & tested["@id"].isin(then.loc[held_out, "@id"])
    new = unseen & ~tested["@id"].isin(then["@id"])
    return frozen.to_numpy(), new.to_numpy()


def counted(tested: "pd.DataFrame", frozen: "NDArray[np.bool_]", new: "NDArray[np.bool_]") -> Rows:
    """How many rows there are of each kind."""
    either = frozen | new
    return Rows(
        frozen=int(frozen.sum()),
        new=int(new.sum()),
        patients=int(tested.loc[either, "@group"].nunique()),
        left_out=int((~either).sum()),
    )


def _no_rows() -> Criterion:
    told = "no test row of today is one that the champion did not learn from: the two cannot be compared"
    return Criterion(name="metric", state="open", sentence=told)


def _learnt_from(root: Path, context: Context, champion: Path, pins: Sequence[str]) -> "pd.DataFrame":
    """`@id`, `@group` and `@part` of the champion's samples, out of the commit that pins its run.

    Raises MedloopError where rows of then and now cannot be told to be the same.
    """
    name = context.settings.name
    refuse_other_names(context, champion)
    with clones.clone_at(root, pinned(root, name, pins)) as clone:
        stages = workspace.plan(clone, [name])
        workspace.bring_back(clone, [s.name for s in stages if s.arguments and s.arguments[0] in ("clean", "split")])
        split = read_table(data_folder(clone, name, "split") / "split.parquet")
        samples = open_table(data_folder(clone, name, "clean") / "samples.parquet")
        if context.settings.study.id is None:
            now = open_table(context.folder("clean") / "samples.parquet")
            refuse_renumbered(samples.read(), now.read(), read_model(champion / "schema.json", Schema))
        return samples.read(["@id", "@group"]).merge(split[["@id", "@part"]], on="@id")


def pinned(root: Path, study: str, pins: Sequence[str]) -> str:
    """The commit that pins the champion's run. Raises MedloopError where this clone has none of these."""
    revision = next(filter(None, (commit_of(root, pin) for pin in pins)), None)
    if revision is None:
        raise MedloopError(
            f"this clone has not the commit that pins the champion's run ({listed(pins, 2)}): which rows it learnt "
            "from cannot be told, so that no comparison would be fair",
            where=f"study {study}",
            mend="dvc exp pull REMOTE KEY brings it from a Git remote that it was pushed to",
        )
    return revision


def refuse_other_names(context: Context, champion: Path) -> None:
    """Raises MedloopError where rows or patients are named otherwise than then, so that none would be known again."""
    then = read_model(champion / "declaration.json", Study)
    now = read_model(context.folder("ingest") / "declaration.json", Study)
    provenance = read_json(context.folder("ingest") / "provenance.json")
    differs = [what for what in ("id", "group") if getattr(then, what) != getattr(now, what)]
    named = {name for name in (then.id, then.group) if name}
    differs += [f"protect.{name}" for name in sorted(named) if then.protect.get(name) != now.protect.get(name)]
    if read_json(champion / "pseudonyms.json")["key"] != provenance["key"]:
        differs.append("the key of the pseudonyms")
    if differs:
        raise MedloopError(
            f"rows or patients are named otherwise than in the champion's run ({', '.join(differs)}): which of them it "
            "learnt from cannot be told, so that no comparison would be fair",
            where=f"study {context.settings.name}",
            mend=f"put it back; or, if the new model is to serve, medloop promote {context.settings.name} VERSION",
        )


def refuse_renumbered(then: "pd.DataFrame", now: "pd.DataFrame", schema: Schema) -> None:
    """Raises MedloopError where rows, known by their numbers alone, are not what they were."""
    shared = [name for name, column in schema.features.items() if column.type not in PAYLOADS] + ["@target"]
    both = then[["@id", *shared]].merge(now[["@id", *shared]], on="@id", suffixes=("", " now"))
    old, new = both[shared], both[[f"{name} now" for name in shared]].set_axis(shared, axis=1)
    same = ((old == new) | (old.isna() & new.isna())).all(axis=1)
    if len(both) < len(then) or not same.all():
        raise MedloopError(
            "the study names no id, so that rows are known by their number, and these are not the rows of then: which "
            "of them the champion learnt from cannot be told, so that no comparison would be fair",
            where="id",
            mend="name the column that tells samples apart (id: …), or only add rows at the end",
        )


def _entries(context: Context, champion: Path, tested: "pd.DataFrame") -> tuple[Entry, Entry]:
    """What the champion and the challenger say of today's test rows, in the order of `tested`."""
    first = entry_of(context, champion, tested)
    kind = RESULTS[context.settings.study.target.task]
    second = read_entry(context.model_folder("evaluate"), kind)
    ids = read_table(context.model_folder("evaluate") / "predictions.parquet", ["@id"])["@id"]
    if not ids.equals(tested["@id"]):
        raise MedloopError(
            "the challenger was not judged on today's test rows",
            where=str(context.model_folder("evaluate")),
            mend=f"medloop run {context.settings.name}",
        )
    return first, second


def entry_of(context: Context, champion: Path, rows: "pd.DataFrame") -> Entry:
    """What the champion, whose files lie in a folder, says of rows as they are cleaned today, and is worth on them."""
    from flows.stages.evaluate import judged
    from models.store import load as load_model

    features = taken(champion, rows, context.payloads())
    return judged(load_model(champion / "weights"), features, rows, context.settings.evaluate)


def taken(champion: Path, rows: "pd.DataFrame", payloads: "Mapping[str, Payloads]") -> "Examples":
    """Cleaned rows as the champion takes them, by its own fitted steps."""
    from pipelines.encode_payloads import ready_payloads

    imputer = read_model(champion / "imputer.json", Imputer)
    normalizer = read_model(champion / "normalizer.json", Normalizer)
    features = apply_normalize(normalizer, apply_impute(imputer, rows), payloads)
    ready = ready_payloads(normalizer.payloads, rows, payloads, lambda name: np.zeros) if normalizer.payloads else {}
    return examples(features, ready)


def _judged(
    context: Context,
    tested: "pd.DataFrame",
    first: Entry,
    second: Entry,
    parts: "Mapping[str, NDArray[np.bool_]]",
    criteria: list[Criterion],
    rows: Rows,
) -> Compared:
    params = context.settings.gate
    metric = params.metric or context.settings.compare.metric
    both = {name: (of_rows(first, at), of_rows(second, at)) for name, at in parts.items() if at.any()}
    measure = next((name for name in CALIBRATION if name in second.evaluation.metrics), None)
    ranking = SETTINGS[second.evaluation.task]["compare"]["metric"]
    metrics = list(dict.fromkeys([metric, *ranking, *([measure] if measure else [])]))
    found = {name: paired(*pair, metrics if name == "all" else [metric]) for name, pair in both.items()}
    of = {one.metric: one for one in found["all"]}
    criteria = [*criteria, no_worse(of[metric], params.margin, rows.frozen + rows.new)]
    if params.calibration is not None and measure:
        criteria.append(calibration_kept(of[measure], params.calibration))
    if params.subgroups:
        schema = read_model(context.folder("clean") / "schema.json", Schema)
        judged_rows = tested[parts["all"]].reset_index(drop=True)
        criteria.append(subgroups_unharmed(*both["all"], metric, judged_rows, schema, params))
    return Compared(criteria=criteria, rows=rows, differences=found)

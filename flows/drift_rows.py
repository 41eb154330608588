"""Today's rows beside those that the champion learnt from, which the commit that pins its run still has."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import MedloopError, listed
from contracts.study import Column, Study
from contracts.tables import Schema
from flows import clones, workspace
from flows.blocks import open_table
from flows.champion import comparable, entry_of, pinned, refuse_other_names, refuse_renumbered, same_schema, taken
from flows.home import data_folder
from flows.plan import Say
from flows.settings import load
from flows.stages import Context
from flows.store import read_model, read_payloads, read_table
from pipelines.clean import CleanParams, Scorable
from pipelines.drift import Shift, shifts
from pipelines.drift_report import Drift, Rows, Worth, answered, too_few, worth
from pipelines.results import Result
from pipelines.rows import stripped
from pipelines.table import Table
from pipelines.tasks import RESULTS
from pipelines.unlabelled import unlabelled, without_label

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from contracts.payloads import Payloads

READ = ("table.parquet", "declaration.json")
NEEDED = ("samples.parquet", "schema.json", "split.parquet", "predictions.parquet", "evaluation.json")
LABELLED = ("classes", "ordinal", "regression")  # the tasks whose label is a column that can be compared


@dataclass(frozen=True)
class Then:
    """The champion's run: its samples with their `@part`, what it said of its test rows, what it was worth on them.

    ids: of all rows that it read, those without a label, too, where they were asked for.
    """

    samples: "pd.DataFrame"
    ids: Collection[str]
    schema: Schema
    predictions: "pd.DataFrame"
    evaluation: Result


def looked_at(root: Path, study: str, told: str, model: str, champion: Path, pins: Sequence[str], say: Say) -> Drift:
    """Whether today's cleaned rows are like those that the champion learnt from; it lies in this folder.

    Compared are the rows that its run did not have; where there is none, but values have changed, all rows.

    Args:
        root: the workspace
        study: whose samples are up to date
        told: what the champion is called
        model: the name that the study gave it
        champion: the folder of its files
        pins: commits and keys of the runs that gave it
        say: is told what goes on

    Raises MedloopError where this clone has not the commit that pins its run.
    """
    context = Context(root=root, settings=load(root, study), model=model, say=say)
    say("looking up what the champion learnt from")
    import pandas as pd

    waits = bool(without_label(*_read(context)).any())
    then = _then(root, context, pins, ids=waits)
    now = open_table(context.folder("clean") / "samples.parquet").read()
    schema = read_model(context.folder("clean") / "schema.json", Schema)
    trouble = _strangers(context, champion, then, now)
    columns = {name: of for name, of in schema.features.items() if _comparable(name, of, then.schema)}
    new = ~now["@id"].isin(then.samples["@id"]).to_numpy()
    changed = 0 if trouble else _changed(then.samples, now, list(columns))
    blank = _unlabelled(context, schema, then) if waits and not trouble else None
    by_new = bool(new.any() or blank) and not trouble
    rows = now[new] if by_new else now
    if blank:
        rows = pd.concat([rows, blank.samples], ignore_index=True)
    train = then.samples[then.samples["@part"] == "train"]
    kept = same_schema(root, study, champion)
    found = Drift(
        study=study, answer="none", sentence="", champion=told, compared="new" if by_new else "all",
        refused="" if kept.state == "met" else kept.sentence, then=_count(train), now=_count(rows),
        notes=tuple(_notes(trouble, changed if by_new else 0, schema, blank)), params=context.settings.drift,
    )  # fmt: skip
    if not by_new and not changed and not trouble and not found.refused:
        return found.model_copy(update={"answer": "nothing new", "sentence": _NOTHING, "now": Rows(rows=0, patients=0)})
    if found.now.patients < found.params.min_patients and not found.refused:
        return too_few(found)
    say("comparing the columns")
    found = _with_columns(found, train, rows, columns, schema)
    if not trouble and not found.refused:
        say("the champion scores the rows")
        found = _with_scores(found, context, champion, then, now, blank)
    return answered(found)


_NOTHING = "Nothing new: today's rows are those that the champion's run had."


def _read(context: Context) -> tuple[Table, Study, CleanParams]:
    """Today's rows as ingest wrote them, and how they are read."""
    ingest = context.folder("ingest")
    study = read_model(ingest / "declaration.json", Study)
    return open_table(ingest / "table.parquet"), study, context.settings.clean


def _unlabelled(context: Context, schema: Schema, then: Then) -> Scorable | None:
    """The rows that its run did not have and that have no label yet."""
    asides = [read_table(context.folder(stage) / "quarantine.parquet", ["@row"]) for stage in ("ingest", "validate")]
    raw, study, params = _read(context)
    return unlabelled(
        raw,
        study,
        schema,
        params,
        but={*then.ids, *then.samples["@id"]},
        aside=[str(row) for aside in asides for row in aside["@row"]],
        payloads=read_payloads(context.folder("ingest") / "payloads"),
    )


def _then(root: Path, context: Context, pins: Sequence[str], *, ids: bool) -> Then:
    name, model = context.settings.name, str(context.model)
    with clones.clone_at(root, pinned(root, name, pins)) as clone:
        stages = [s for s in workspace.plan(clone, [name]) if s.arguments]
        wanted = [s.name for s in stages if s.arguments[0] in ("clean", "split")]
        wanted += [s.name for s in stages if s.arguments[0] == "evaluate" and s.model == model]
        workspace.bring_back(clone, wanted, NEEDED)
        if ids:
            workspace.bring_back(clone, [s.name for s in stages if s.arguments[0] == "ingest"], READ)
        samples = open_table(data_folder(clone, name, "clean") / "samples.parquet").read()
        split = read_table(data_folder(clone, name, "split") / "split.parquet", ["@id", "@part"])
        schema = read_model(data_folder(clone, name, "clean") / "schema.json", Schema)
        judged = data_folder(clone, name, "evaluate") / model
        return Then(
            samples=samples.merge(split, on="@id"),
            ids=_ids(data_folder(clone, name, "ingest")) if ids else (),
            schema=schema,
            predictions=read_table(judged / "predictions.parquet"),
            evaluation=read_model(judged / "evaluation.json", RESULTS[schema.task]),
        )


def _ids(ingest: Path) -> Collection[str]:
    name = read_model(ingest / "declaration.json", Study).id
    return stripped(open_table(ingest / "table.parquet").read([name])[name]).tolist() if name else ()


def _comparable(name: str, column: Column, then: Schema) -> bool:
    return name in then.features and then.features[name].type == column.type


def _strangers(context: Context, champion: Path, then: Then, now: "pd.DataFrame") -> str:
    """Why rows of then cannot be known again; nothing where they can."""
    try:
        refuse_other_names(context, champion)
        if context.settings.study.id is None:
            refuse_renumbered(then.samples, now, then.schema)
    except MedloopError as fault:
        return fault.problem.split(":")[0]
    return ""


def _changed(then: "pd.DataFrame", now: "pd.DataFrame", names: list[str]) -> int:
    """How many rows of then have other values now; positions of payloads are no values."""
    plain = [name for name in names if not str(then[name].dtype).startswith("Int")]
    both = then[["@id", *plain]].merge(now[["@id", *plain]], on="@id", suffixes=("", "@now"))
    old, new = both[plain], both[[f"{name}@now" for name in plain]].set_axis(plain, axis=1)
    return int((~((old == new) | (old.isna() & new.isna())).all(axis=1)).sum())


def _count(rows: "pd.DataFrame") -> Rows:
    return Rows(rows=len(rows), patients=int(rows["@group"].nunique()))


def _notes(trouble: str, changed: int, schema: Schema, blank: Scorable | None) -> list[str]:
    notes = [f"All rows are compared, since {trouble}."] if trouble else []
    notes += [f"{changed:,} rows of then read otherwise now; they are not compared."] if changed else []
    notes += [f"{len(blank.samples):,} of the new rows have no label yet: columns and scores alone."] if blank else []
    texts, others = schema.of_type("text"), schema.of_type("image", "sequence")
    notes += [f"Of {listed(texts)} the length is compared, and what the champion makes of it."] if texts else []
    notes += [f"Of {listed(others)} only what the champion makes of it is compared."] if others else []
    return notes


def _with_columns(
    found: Drift, train: "pd.DataFrame", rows: "pd.DataFrame", columns: dict[str, Column], schema: Schema
) -> Drift:
    params = found.params
    moved = shifts(train, rows, columns, params, limit=params.psi)
    labels = _labelled(train, schema), _labelled(rows[rows["@target"].notna()], schema)
    label = shifts(labels[0], labels[1], _label(schema), params, limit=params.psi)
    return found.model_copy(update={"columns": tuple(moved), "label": label[0] if label else None})


def _label(schema: Schema) -> dict[str, Column]:
    if schema.task not in LABELLED:
        return {}
    if schema.task == "regression":
        return {"label": Column(type="numeric", unit=schema.unit or None)}
    return {"label": Column(type="ordinal" if schema.task == "ordinal" else "categorical", levels=schema.classes)}


def _labelled(rows: "pd.DataFrame", schema: Schema) -> "pd.DataFrame":
    label = rows["@target"]
    if schema.task in LABELLED and schema.task != "regression":
        label = label.map(dict(enumerate(schema.classes))).astype("str")
    return rows[["@group"]].assign(label=label)


def _with_scores(
    found: Drift, context: Context, champion: Path, then: Then, now: "pd.DataFrame", blank: Scorable | None
) -> Drift:
    """Rows of patients that the champion learnt from are left out, for it knows them."""
    import numpy as np
    import pandas as pd

    frozen, new = comparable(now, then.samples)
    rows = now[new if found.compared == "new" else frozen].reset_index(drop=True)
    said = entry_of(context, champion, rows) if len(rows) else None
    predicted, group = [said.predicted] if said else [], [rows["@group"]]
    if blank:
        unknown = blank.samples[comparable(blank.samples, then.samples)[1]].reset_index(drop=True)
        predicted += [_told_of(context, champion, unknown, blank.payloads)] if len(unknown) else []
        group.append(unknown["@group"])
    scored = pd.concat(group, ignore_index=True).to_frame("@group")
    if _count(scored).patients < found.params.min_patients:
        told = f"Scores are not compared: only {_count(scored)} are of patients that the champion did not learn from."
        return found.model_copy(update={"notes": (*found.notes, told)})
    found = found.model_copy(update={"scores": _scores(found, then, scored, np.concatenate(predicted))})
    if not said or _count(rows).patients < found.params.min_patients:
        return found
    metric = context.settings.gate.metric or context.settings.compare.metric
    return found.model_copy(update={"worth": _worth(found, metric, then, said.evaluation, _count(rows))})


def _told_of(
    context: Context, champion: Path, rows: "pd.DataFrame", changed: "Mapping[str, Payloads]"
) -> "np.ndarray[Any, Any]":
    """What the champion says of rows without a label."""
    from models.store import load as load_model

    payloads = {**read_payloads(context.folder("ingest") / "payloads"), **changed}
    predicted, _ = load_model(champion / "weights").told(taken(champion, rows, payloads))
    return predicted


def _scores(found: Drift, then: Then, rows: "pd.DataFrame", predicted: "np.ndarray[Any, Any]") -> tuple[Shift, ...]:
    import pandas as pd

    said = [str(name) for name in then.predictions]
    own = [name for name in said if name.startswith("@") and not name.startswith(("@id", "@group", "@target"))]
    now = pd.DataFrame(predicted, columns=own).assign(**{"@group": rows["@group"]})
    shown = {name: name.removeprefix("@") for name in own if _told(name, then.schema)}
    columns, params = dict.fromkeys(shown.values(), Column(type="numeric")), found.params
    before, after = then.predictions.rename(columns=shown), now.rename(columns=shown)
    return tuple(shifts(before, after, columns, params, limit=params.scores))


def _told(name: str, schema: Schema) -> bool:
    """Of two classes the positive one's probability says all; of numbers the number, not its interval's ends."""
    if schema.task == "classes" and len(schema.classes) == 2:
        return name == f"@probability={schema.classes[schema.positive_index]}"
    return name.startswith(("@probability=", "@predicted"))


def _worth(found: Drift, metric: str, then: Then, now: Result, rows: Rows) -> Worth | None:
    before, after = then.evaluation.metrics.get(metric), now.metrics.get(metric)
    return worth(metric, before, after, rows, found.params.performance) if before and after else None

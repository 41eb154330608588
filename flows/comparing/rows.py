"""On which test rows runs can be compared fairly, and what each says of these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts.errors import MedloopError, listed
from contracts.study import Study
from contracts.tables import ASIDE, Schema
from flows.comparing import files
from flows.comparing.entries import EVALUATION, entry
from flows.comparing.files import Files
from flows.comparing.runs import Run
from flows.store import read_json, read_model, read_table
from pipelines.audit import Certificate
from pipelines.results import Entry

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A run with what it says of its own test rows.

    parts: `@id`, `@group` and `@part` of its samples. names: what names rows and patients. label: the columns that
    the label is read from; target: how the study defines it. data, split: hashes of its samples and of these with
    their parts.
    """

    run: Run
    files: Files
    entry: Entry
    ids: "pd.Series[str]"
    parts: "pd.DataFrame"
    schema: Schema
    certificate: Certificate
    names: Mapping[str, object]
    label: Sequence[str]
    data: str
    split: str
    target: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Runs that can be compared, on the rows that they share.

    rows: the samples of these rows, in the order of the entries. left_out: test rows that are not shared by all, or
    that one of the runs learnt from. relabelled: rows whose label is not the same in all. cautions: what a reader must
    know of the others.
    """

    judged: Sequence[Judged]
    entries: Mapping[str, Entry]
    rows: "pd.DataFrame"
    left_out: int
    relabelled: int
    cautions: Sequence[str]


def load(root: Path, run: Run) -> Judged:
    """Raises MedloopError when the run's files cannot be had or were written by a version that told other things."""
    of = files.of(root, run)
    found = {
        stage: of.paths(stage, names)
        for stage, names in {
            "evaluate": EVALUATION,
            "split": ("split.parquet",),
            "clean": ("samples.parquet", "schema.json"),
            "audit": ("certificate.json",),
            "ingest": ("declaration.json", "provenance.json"),
        }.items()
    }
    missing = [name for name in EVALUATION if name not in found["evaluate"]]
    if missing:
        raise MedloopError(f"{run.name} has no {missing[0]}", where=of.revision or "the working tree")
    return _read(of, found)


def _read(of: Files, found: Mapping[str, Mapping[str, Path]]) -> Judged:
    schema = read_model(found["clean"]["schema.json"], Schema)
    study = read_model(found["ingest"]["declaration.json"], Study)
    provenance = read_json(found["ingest"]["provenance.json"])
    predictions = found["evaluate"]["predictions.parquet"]
    split = read_table(found["split"]["split.parquet"], ["@id", "@part"])
    samples = read_table(found["clean"]["samples.parquet"], ["@id", "@group"])
    named = {name: str(study.protect.get(name)) for name in (study.id, study.group) if name}
    data = _data(of)
    return Judged(
        run=of.run,
        files=of,
        entry=entry(of, found["evaluate"], schema),
        ids=read_table(predictions, ["@id"])["@id"],
        parts=samples.merge(split, on="@id"),
        schema=schema,
        certificate=read_model(found["audit"]["certificate.json"], Certificate),
        names={
            "id": study.id or f"rows by number of {data}",
            "group": study.group,
            "protect": named,
            "key": provenance.get("key"),
        },
        label=sorted(study.target.read_from),
        data=data,
        split=split_of(of),
        target=study.target.model_dump(mode="json"),
    )


def _data(of: Files) -> str:
    return of.outputs("clean").get(f"data/{of.run.study}/clean/samples.parquet", "")


def split_of(of: Files) -> str:
    """What names a run's samples and the part of each; of runs that do not tell, no two are alike."""
    return f"{_data(of)} {of.outputs('split').get(f'data/{of.run.study}/split/split.parquet', id(of))}"


def shared(judged: Sequence[Judged]) -> Shared:
    """The rows that all of these can be compared on; a run that cannot be compared with the first is left out.

    Raises MedloopError where not even two can.
    """
    first, cautions, kept = judged[0], list[str](), [judged[0]]
    for other in judged[1:]:
        why = _stranger(first, other) or _nothing(first, other)
        if why:
            cautions.append(f"{other.run.name} cannot be compared with {first.run.name}: {why}")
        else:
            kept.append(other)
    ids, left_out = _common(kept)
    if len(kept) < 2 or not len(ids):
        why = cautions[0] if cautions else "no test row is one of all the runs that none of them learnt from"
        raise MedloopError(f"not comparable: {why}", mend="compare runs of one study whose test parts share rows")
    entries = {one.run.name: _aligned(one, ids) for one in kept}
    same = _same_labels(list(entries.values()))
    rows = _samples(first, ids)[same].reset_index(drop=True)
    if not same.any():
        raise MedloopError("not comparable: no shared test row has the same label in all runs")
    if relabelled := int((~same).sum()):
        cautions.append(
            f"{relabelled:,} of {len(ids):,} shared test rows are left out, since their label is not the same in all "
            "runs; where the label was defined anew, the others are no fair sample"
        )
    cautions += _redefined(kept)
    cautions += _cautions(kept)
    return Shared(
        judged=kept,
        entries={name: _asked(entry, same, entries[first.run.name]) for name, entry in entries.items()},
        rows=rows,
        left_out=left_out,
        relabelled=relabelled,
        cautions=cautions,
    )


def alone_on_its_rows(one: Judged) -> Shared:
    """A run on all of its own test rows."""
    entries = {one.run.name: one.entry}
    rows = _samples(one, one.ids)
    return Shared(judged=[one], entries=entries, rows=rows, left_out=0, relabelled=0, cautions=[])


def _stranger(first: Judged, other: Judged) -> str:
    """Why rows or answers of the two are not of the same kind; nothing where they are."""
    one, two = first.entry.evaluation, other.entry.evaluation
    if one.task != two.task or one.question != two.question:
        return "they answer different questions (task, classes, unit or horizon of the label)"
    if first.label != other.label:
        return f"they predict different labels ({listed(other.label)}, not {listed(first.label)})"
    differs = [what for what, name in first.names.items() if other.names[what] != name]
    if differs:
        return f"rows or patients are named otherwise ({listed(differs)}), so that none can be told to be the same"
    return ""


def _nothing(first: Judged, other: Judged) -> str:
    """Why there is no row to compare them on; nothing where there is one."""
    if first.split == other.split:
        return ""
    ids, _ = _common([first, other])
    if len(ids):
        return ""
    shared = int(other.ids.isin(first.ids).sum())
    return (
        f"the test rows differ ({shared} of {len(other.ids):,} shared)"
        if not shared
        else f"all {shared:,} test rows that they share, or their patients' other rows, are training or validation "
        "rows of one of them"
    )


def _common(judged: Sequence[Judged]) -> "tuple[pd.Series[str], int]":
    """The ids of test rows of all that none learnt from, nor their patients, and how many test rows that leaves out."""
    import pandas as pd

    ids = judged[0].ids
    group = pd.Series(judged[0].entry.group, index=ids.index)
    keep = np.ones(len(ids), dtype=bool)
    seen = set[str]()
    for one in judged:
        if one.split in seen:  # the very split of another: nothing new
            continue
        seen.add(one.split)
        learnt = one.parts[~one.parts["@part"].isin(["test", ASIDE])]
        keep &= _among(ids, one.ids) & ~(_among(ids, learnt["@id"]) | _among(group, learnt["@group"]))
    everyone = pd.concat([one.ids for one in judged]).nunique()
    return ids[keep].reset_index(drop=True), everyone - int(keep.sum())


def _among(values: "pd.Series[Any]", others: "pd.Series[Any]") -> Any:
    """Which of the values are among the others; as objects, since pandas takes ten times as long of its strings."""
    return values.astype(object).isin(others.astype(object)).to_numpy()


def _aligned(one: Judged, ids: "pd.Series[str]") -> Entry:
    """What a run says of these rows, in their order."""
    import pandas as pd

    at = pd.Series(np.arange(len(one.ids)), index=one.ids).loc[ids].to_numpy()
    entry = one.entry
    return replace(entry, target=entry.target[at], predicted=entry.predicted[at], group=entry.group[at])


def _same_labels(entries: Sequence[Entry]) -> Any:
    same = np.ones(len(entries[0].target), dtype=bool)
    for other in entries[1:]:
        equal = (other.target == entries[0].target) | (_blank(other.target) & _blank(entries[0].target))
        same &= equal if equal.ndim == 1 else equal.all(axis=1)
    return same


def _blank(values: Any) -> Any:
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, dtype=bool)


def _asked(entry: Entry, at: Any, first: Entry) -> Entry:
    """The entry of these rows, judged as the first run was: the stored evaluation where nothing differs."""
    params, group = first.evaluation.params, first.group
    if at.all() and len(at) == entry.evaluation.counts.rows and params == entry.evaluation.params:
        return replace(entry, group=group)
    target, predicted = entry.target[at], entry.predicted[at]
    found = entry.evaluation.asked_of(target, predicted, group[at], params, [entry.evaluation])
    evaluation = found.model_copy(update={"baseline": entry.evaluation.baseline})
    return replace(entry, evaluation=evaluation, target=target, predicted=predicted, group=group[at])


def _samples(one: Judged, ids: "pd.Series[str]") -> "pd.DataFrame":
    """The samples of these rows, in their order: columns that subgroups may be made of."""
    path = one.files.paths("clean", ["samples.parquet"])["samples.parquet"]
    columns = [name for name, of in one.schema.features.items() if of.type in ("numeric", "categorical", "ordinal")]
    return read_table(path, ["@id", *columns]).set_index("@id").loc[ids.to_list()].reset_index()


def _redefined(judged: Sequence[Judged]) -> list[str]:
    """Runs that learnt another definition of the label: what it says may be what sets them apart."""
    first, *others = judged
    differs = {
        other.run.name: sorted(k for k in {*first.target, *other.target} if first.target.get(k) != other.target.get(k))
        for other in others
    }
    return [
        f"{name} learnt the label by another definition than {first.run.name} (target: {listed(keys)}): part of a "
        "difference may be that of the definitions"
        for name, keys in differs.items()
        if keys
    ]


def _cautions(judged: Sequence[Judged]) -> list[str]:
    """What of data, split and certificates a reader must know."""
    return [
        f"{one.run.name}: leak certificate {one.certificate.verdict}: {one.certificate.sentence}"
        for one in judged
        if one.certificate.verdict != "clean" or not one.certificate.intact
    ]

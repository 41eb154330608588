"""New rows to be scored: read as the training rows lay, wherever they lie now."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from contracts.errors import MedloopError, listed
from contracts.frames import with_columns
from contracts.study import Column, Study
from flows.bundle import as_trained
from flows.store import read_model
from pipelines.sources import FileSource, Layout, QuerySource, Raw
from pipelines.sources.file import read_file
from pipelines.sources.formats import TABLES
from pipelines.sources.pattern import PLACEHOLDER
from pipelines.sources.query import read_query


@dataclass(frozen=True, kw_only=True)
class NewRows:
    """The rows, and how many files among them match no pattern of `files`."""

    raw: Raw
    others: int


def read_new(bundle: Path, data: str, root: Path) -> NewRows:
    """The rows of `data`, a table, a folder or an archive; of a study that joins tables, a folder of these by name.

    A bundle's `layout.json` says how the source's files lay, `query.json` which tables were joined and how. Texts to be
    tagged may always come as one table.
    Raises MedloopError for what cannot be read, a table that is not there, and columns that the query misses.
    """
    target = read_model(bundle / "declaration.json", Study).target
    label = target.column or ", ".join(target.columns)
    if target.task == "tagging" and data.lower().endswith(TABLES):  # texts and ids are all that is needed
        return _read(FileSource(path=data, ragged="quarantine"), label, root)
    if (bundle / "query.json").is_file():
        query = with_channels(read_model(bundle / "query.json", QuerySource), bundle)
        return _joined(query, data, label, root)
    layout = read_model(bundle / "layout.json", Layout).model_dump()
    return _read(FileSource(path=data, **{**layout, "ragged": "quarantine"}), label, root)


def _read(source: FileSource, label: str, root: Path) -> NewRows:
    """One table, or one row a file, whose folder named after the label may be left out."""
    if source.files is None:
        return NewRows(raw=read_file(source, root=root), others=0)
    unlabelled = without_label(source.files, label)
    try:
        raw = read_file(source, root=root)
    except MedloopError as fault:
        if unlabelled == source.files:
            raise
        bare = source.model_copy(update={"files": unlabelled})
        raw = _unlabelled(bare, label, root, instead=fault)
    return NewRows(raw=raw, others=int(str(raw.provenance["unmatched"])))


def _unlabelled(source: FileSource, label: str, root: Path, *, instead: MedloopError) -> Raw:
    """The files without the label's folder, their label blank; where there are none, the error of those with it."""
    try:
        raw = read_file(source, root=root)
    except MedloopError:
        instead.mend = f"name a folder or an archive of files as in training, or without the label: {source.files}"
        raise instead from None
    return replace(raw, table=with_columns(raw.table, {label: ""}).astype({label: "str"}))


def without_label(pattern: str, label: str) -> str:
    """The pattern without the folders that are named after the label alone."""
    *folders, file = pattern.split("/")
    return "/".join([*(part for part in folders if PLACEHOLDER.findall(part) != [label]), file])


def with_channels(query: QuerySource, bundle: Path) -> QuerySource:
    """The query whose long sequences have the channels of training; one that no new row has is a gap."""
    open_ = {name: Column(type="sequence") for name, of in query.sequences.items() if not of.values}
    channels = {name: column.channels for name, column in as_trained(open_, bundle).items()}
    pinned = {name: query.sequences[name].model_copy(update={"channels": of}) for name, of in channels.items() if of}
    return query.model_copy(update={"sequences": {**query.sequences, **pinned}})


def _joined(query: QuerySource, data: str, label: str, root: Path) -> NewRows:
    new = {name: _read(_placed(of, name, query, data, root), label, root) for name, of in _files(query).items()}
    tables = {name: of.raw for name, of in new.items()}
    try:
        raw = read_query(query, tables)
    except MedloopError as fault:
        _advise(fault, label, data)
        raise
    return NewRows(raw=raw, others=sum(of.others for of in new.values()))


def _files(query: QuerySource) -> dict[str, FileSource]:
    """The tables of a query in a bundle, which are files all."""
    return {name: table for name, table in query.tables.items() if isinstance(table, FileSource)}


def _placed(table: FileSource, name: str, query: QuerySource, data: str, root: Path) -> FileSource:
    """The table where it lies in the folder `data`: the one entry that is named after it, whatever its ending."""
    folder = root / data
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [entry for entry in entries if entry.name.split(".")[0] == name]
    if len(found) != 1:
        there = f"{len(found)} are called {name}: {listed([e.name for e in found])}" if found else f"none is {name}"
        raise MedloopError(
            f"the study joins tables by SQL, so that new rows come as a folder of these; {there}",
            where=data,
            mend=f"put into it, named after its table, each of {listed(list(query.tables), 20)}: a .csv, .parquet or "
            ".xlsx, and of a table of `files` a folder or an archive",
        )
    return table.model_copy(update={"path": str(found[0]), "ragged": "quarantine"})


def _advise(fault: MedloopError, label: str, data: str) -> None:
    """What a person does about a query that worked on the training rows and does not on new ones."""
    absent = re.search(r"no such column: (.+)", fault.problem)
    if absent:
        fault.problem = f"the study's query needs the column {absent[1]}, which the tables do not have"
        fault.mend = (
            f"add it; where it serves the label ({label}) alone, which new rows need not have, leave its cells blank; "
            "if it is no column but a text, write it in 'single quotes' and train again"
        )
    elif "no rows" in fault.problem:
        fault.problem = "the study's query leaves out every new row"
        fault.mend = (
            "where its WHERE asks for the outcome, which is not known yet, say so in the label instead, "
            f"CASE WHEN … THEN … END AS {label}, and train again: rows without a label are left out all the same"
        )
    fault.where = f"{data}, {fault.where}"

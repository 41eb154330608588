"""The files that cells name, decoded once: cells of images and sequences become positions, cells of texts the text."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from contracts.errors import MedloopError, listed
from contracts.payloads import Allocate, Payloads
from contracts.study import Column
from pipelines.decoded import Decoded
from pipelines.image.decode import conform_images, decode_images
from pipelines.signal.decode import conform_signals, decode_signals
from pipelines.sources.raw import Opened, Raw
from pipelines.text.decode import decode_texts

Tell = Callable[[str], object]
AllocateFor = Callable[[str], Allocate]

LONGEST = 255  # bytes of a file's name
PROSE = 5  # spaces, in what does not end like a file's name
ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}$")


@dataclass(frozen=True, kw_only=True)
class DecodedColumns:
    """What decoding a table's columns gives.

    table: as it came, its cells positions or texts; a cell whose file cannot be read is blank.
    payloads: by column of images and sequences.
    faults: by the row's position in the table, the file and why it cannot be read.
    facts: by column, what provenance records.
    """

    table: pd.DataFrame
    payloads: dict[str, Payloads] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)
    facts: dict[str, dict[str, object]] = field(default_factory=dict)


def decode(
    raw: Raw, columns: dict[str, Column], *, max_unreadable: float, allocate_for: AllocateFor, tell: Tell
) -> DecodedColumns:
    """Decodes `columns`, those of the study that hold payloads; a file that several rows name once.

    Raises MedloopError when cells name files and the source has none, when more than the share `max_unreadable` of a
    column's files cannot be read, and for what undeclared mixtures the decoders refuse.
    """
    done = DecodedColumns(table=raw.table.copy())
    for name, column in columns.items():
        allocate = allocate_for(name) if column.type == "image" else np.zeros
        if name in raw.payloads:
            with _telling(name):
                done.payloads[name] = _conforming(raw.payloads[name], column, name, allocate)
        elif column.type != "text" or column.files:
            _decode_column(raw, name, column, done, max_unreadable, allocate, tell)
    return done


def file_names(cells: "pd.Series[str]", column: Column) -> "pd.Series[str]":
    """The cells as names of files, "" where there is none."""
    names = cells.fillna("").str.strip()
    return names.mask(names.isin(column.missing), "")


def opener(raw: Raw, name: str) -> Opened:
    """What opens the files that a column names. Raises MedloopError when the source has no files."""
    if raw.opened is None:
        raise MedloopError(
            f"the cells of {name} name files, and this source has none",
            where=f"column {name}",
            mend="say where they lie, `folder` under source, or declare another type",
        )
    return raw.opened


@contextmanager
def _telling(name: str) -> Iterator[None]:
    """Errors that do not say where they are say that they are in this column."""
    try:
        yield
    except MedloopError as error:
        error.where = error.where or f"column {name}"
        raise


def _conforming(payloads: Payloads, column: Column, name: str, allocate: Allocate) -> Payloads:
    if column.type == "image":
        return conform_images(payloads, column, allocate=allocate)
    return conform_signals(payloads, column, name=name)


def _decode_column(
    raw: Raw, name: str, column: Column, done: DecodedColumns, max_unreadable: float, allocate: Allocate, tell: Tell
) -> None:
    """Decodes one column's files into `done`."""
    cells = file_names(raw.table[name], column)
    codes, files = pd.factorize(cells.mask(cells == ""))
    opened = opener(raw, name)
    _refuse_prose(name, list(files))

    def told(count: int) -> None:
        tell(f"{name}: {count:,} of {len(files):,} files")

    with _telling(name):
        decoded = _decoded(list(files), opened, column, allocate, told)
    _refuse_many(name, list(files), decoded.faults, max_unreadable)
    readable = ~np.isin(codes, [-1, *decoded.faults])
    if isinstance(decoded.payloads, Payloads):
        done.payloads[name] = decoded.payloads
        done.table[name] = pd.Series(codes.astype(str), index=cells.index, dtype="str").where(readable, "")
    else:
        texts = pd.Series(decoded.payloads, dtype="str").reindex(codes).set_axis(cells.index)
        done.table[name] = texts.where(readable, "").astype("str")
    for row, code in enumerate(codes.tolist()):
        if code in decoded.faults:
            fault = f"{files[code]}: {decoded.faults[code]}"
            done.faults[row] = f"{done.faults[row]}; {fault}" if row in done.faults else fault
    done.facts[name] = {"files": len(files), "unreadable": len(decoded.faults), **decoded.facts}


def _decoded(
    files: Sequence[str], opened: Opened, column: Column, allocate: Allocate, tell: Callable[[int], None]
) -> "Decoded[Payloads] | Decoded[list[str]]":
    match column.type:
        case "image":
            return decode_images(files, opened, column, allocate=allocate, tell=tell)
        case "sequence":
            return decode_signals(files, opened, column, tell=tell)
        case _:
            return decode_texts(files, opened, tell=tell)


def _refuse_prose(name: str, files: Sequence[str]) -> None:
    """Raises MedloopError where cells are texts themselves, which an error about a file would show."""
    texts = sum(map(_is_prose, files))
    if texts:
        raise MedloopError(
            f"{texts:,} of {len(files):,} different cells hold text, where names of files were expected",
            where=f"column {name}",
            mend=f"declare {name} as {{type: text}}, without `files`, or write names of files into its cells",
        )


def _is_prose(cell: str) -> bool:
    longest = max(len(part.encode()) for part in cell.split("/"))
    return longest > LONGEST or "\n" in cell or (cell.count(" ") >= PROSE and not ENDING.search(cell))


def _refuse_many(name: str, files: Sequence[str], faults: dict[int, str], most: float) -> None:
    if len(faults) <= most * len(files):
        return
    alike = dict[str, list[str]]()
    for at, fault in sorted(faults.items()):
        alike.setdefault(fault, []).append(files[at])
    told = [f"{listed(of, 3)} ({fault})" for fault, of in alike.items()]
    raise MedloopError(
        f"{len(faults):,} of {len(files):,} files cannot be read, more than ingest.max_unreadable ({most:.0%})",
        where=f"column {name}: {listed(told)}",
        mend=f"mend or remove these files, correct what the study says of {name}, or raise ingest.max_unreadable: "
        "their rows are then set aside",
    )

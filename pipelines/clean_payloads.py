"""Texts tidied, sequences cleaned, and samples that share a picture or text held together; each change is counted."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from contracts.errors import MedloopError
from contracts.names import nearest
from contracts.payloads import Payloads
from contracts.study import Column
from contracts.tables import Schema
from pipelines.near_duplicates import joined_groups, near_pairs, positions
from pipelines.rows import Change
from pipelines.signal.clean import SignalParams, clean_signals
from pipelines.text.clean import TextParams, clean_texts


@dataclass(frozen=True, kw_only=True)
class CleanedPayloads:
    """The table with clean texts and positions; the payloads that were changed, and what was done.

    faults: `at` (the row's position), `column` and `problem` of sequences that cannot be used.
    """

    table: pd.DataFrame
    payloads: dict[str, Payloads] = field(default_factory=dict)
    faults: list[pd.DataFrame] = field(default_factory=list)
    ledger: list[Change] = field(default_factory=list)


def clean_payloads(
    table: pd.DataFrame,
    features: Mapping[str, Column],
    payloads: Mapping[str, Payloads],
    *,
    texts: TextParams,
    sequences: Mapping[str, SignalParams],
) -> CleanedPayloads:
    """Cleans the payload columns among `features`, whose cells are text; sequences without any value are told.

    Raises MedloopError when `sequences` names no column of that type.
    """
    _refuse_unknown(sequences, features)
    done = CleanedPayloads(table=table.copy(deep=False))
    for name, column in features.items():
        if column.type == "text":
            done.table[name], counted = clean_texts(table[name], texts)
            done.ledger.extend(Change(rule=c.rule, column=name, cells=c.cells) for c in counted)
        elif column.type in ("image", "sequence"):
            done.table[name] = pd.to_numeric(table[name]).astype("Int64")
        if column.type == "sequence":
            _clean_sequences(name, column, payloads[name], sequences.get(name, SignalParams()), done)
    return done


def grouped(
    samples: pd.DataFrame, schema: Schema, payloads: Mapping[str, Payloads], ledger: list[Change]
) -> "pd.Series[str]":
    """(N,) the patients (`@group`), rows whose pictures or texts are nearly the same being one patient's."""
    group = samples["@group"]
    for name, pairs in near_pairs(samples, schema, payloads).items():
        joined = joined_groups(group, pairs)
        moved = int((joined != group).sum())
        if moved:
            rows = f"{len(np.unique(pairs)):,} rows in {len(pairs):,} pairs"
            ledger.append(Change(rule="near-duplicates count as one patient", column=name, rows=moved, detail=rows))
        group = joined
    return group


def _clean_sequences(
    name: str, column: Column, payloads: Payloads, params: SignalParams, done: CleanedPayloads
) -> None:
    cleaned, counted, unusable = clean_signals(payloads, column, params, name=name)
    if cleaned is not payloads:
        done.payloads[name] = cleaned
    done.ledger.extend(Change(rule=c.rule, column=name, rows=c.sequences, cells=c.cells) for c in counted)
    at = positions(done.table[name])
    for position, problem in unusable.items():
        rows = np.flatnonzero(at == position)
        done.faults.append(pd.DataFrame({"at": rows, "column": name, "problem": problem}))


def _refuse_unknown(sequences: Mapping[str, SignalParams], features: Mapping[str, Column]) -> None:
    known = [name for name, column in features.items() if column.type == "sequence"]
    for name in sequences:
        if name not in known:
            raise MedloopError(
                f"clean.sequences names {name}, which is no sequence{nearest(name, known)}",
                where=f"clean.sequences, {name}",
                mend="correct the name, or take it out",
            )

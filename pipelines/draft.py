"""The first declaration of a study, read off its data: a proposal in which every guess is marked for a person.

No run uses what is here; only what a person leaves in the study's file counts.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import pandas as pd

from contracts.errors import MedloopError, listed
from contracts.names import nearest
from contracts.study import Column, Protection, Study, Target
from contracts.tasks import Task
from pipelines.clean import CleanParams, clean
from pipelines.draft_label import drafted_label
from pipelines.draft_roles import (
    coded_checks,
    group_check,
    id_check,
    likely_group,
    matched_sets,
    outcome_check,
    row_number,
    sample_id,
    spelling_checks,
)
from pipelines.guard import spelled, suspicions
from pipelines.guess import Guess, guess_column
from pipelines.leaks import LeakParams
from pipelines.suspects import suspects_of

STEPS = ("ingest", "validate", "clean", "split", "impute", "normalize", "balance")
MODELS: dict[Task, tuple[str, ...]] = {
    "classes": ("mlp", "logistic", "boosting"),
    "regression": ("mlp", "ridge", "boosting"),
    "survival": ("mlp", "cox", "boosting"),
    "multilabel": ("mlp", "logistic", "boosting"),
}
SECTIONS = (*STEPS, "audit", "train", "explain", "evaluate", "compare")
NETWORKS = {"image": ("cnn",), "sequence": ("cnn1d", "rnn"), "text": ("transformer",)}  # `fusion` reads all together
RESERVED = frozenset(["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"])
SUSPECTS = (
    "DROPPED for now, since each alone tells much of the label, or with another column all of it: decide whether it is "
    "a leak, or a strong predictor that is known when the model will be asked, and then move it from drop to columns"
)
MANY_STRONG = 3
TITLE_LINES = 20  # in which the names of columns are looked for, where a title stands above them
STRONG = (
    "KEPT, though each alone tells much of the label: so many do that they seem to be strong predictors. Drop those "
    "that are known only after the label; a run calls the others suspect, and registers nothing until "
    "`audit: accept:` says why each may stay"
)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A proposed declaration.

    `drop` maps columns to the suspicion that put them there, `protect` those that may identify people and yet are
    needed, such as dates and ages, to a treatment, `notes` columns to what was seen in them and what to
    check or decide, `checks` says plainly what a person must look at before the first run.
    """

    id: str | None
    group: str | None
    time: str | None
    target: Target
    columns: dict[str, Column]
    drop: dict[str, str]
    protect: dict[str, Protection]
    notes: dict[str, str]
    checks: list[str]


def draft(
    table: pd.DataFrame,
    *,
    target: Sequence[str],
    event: str | None = None,
    group: str | None = None,
    time: str | None = None,
    known: Mapping[str, Guess] = MappingProxyType({}),
) -> Draft:
    """Proposes a declaration for a raw table (see `contracts.tables`).

    `known` are the columns that are not to be guessed by their cells, such as those that name files.
    Columns that may identify a person, hold free text or give the label away (see `leaks`) go under `drop`, where a
    person decides.

    What is asked follows from the label: see `pipelines.draft_label`.

    Raises MedloopError when a named column is absent, or the columns make no label.
    """
    names = [name for name in table.columns if not name.startswith("@")]
    _refuse_absent(table, names, (*target, event, group, time))
    label = drafted_label(table, target, event)
    asked = label.target.read_from
    _refuse_twice(asked, group, time)
    known = {name: guess for name, guess in known.items() if name not in (*asked, group, time)}
    free = [name for name in names if name not in (*asked, group, time, *known)]
    guessed = likely_group(table, free) if group is None else None
    group = group or guessed
    id_column = sample_id(table, [name for name in free if name != group])
    rest = [name for name in names if name not in (*asked, id_column, group)]
    guesses = {name: known.get(name) or guess_column(name, table[name], is_time=name == time) for name in rest}
    guesses |= {name: guess for name in rest if (guess := row_number(name, table[name])) and name not in (time, *known)}
    guesses |= label.declared
    columns = {name: guess.column for name, guess in guesses.items() if guess.column and name not in (time, *known)}
    guesses |= _leaks(table, label.target, group, columns, guesses)
    guesses |= matched_sets(table, list(columns), label.target)
    roles = [label.check, id_check(table, id_column), group_check(table, group, guessed=guessed is not None)]
    kept = {name: guess.column for name, guess in guesses.items() if guess.column and not guess.drop}
    later = outcome_check([name for name in kept if name not in asked], survival=label.target.task == "survival")
    study = Study(name="draft", title="draft", id=id_column, group=group, time=time, target=label.target, columns=kept)
    found = suspicions(table[[name for name in names if name in {*kept, id_column, group} - set(known)]], study)
    protection = [f"{PROTECTED}: {listed([suspicion.told() for suspicion in found])}"] if found else []
    return Draft(
        id=id_column,
        group=group,
        time=time,
        target=label.target,
        columns=kept,
        drop={name: guess.drop for name, guess in guesses.items() if guess.drop},
        protect={suspicion.column: suspicion.advice for suspicion in found},
        notes={name: guess.note for name, guess in guesses.items() if guess.note},
        checks=[
            *roles,
            *later,
            *protection,
            *_column_checks(guesses),
            *coded_checks(table, kept),
            *spelling_checks(kept, label.target),
            LEAKS,
        ],
    )


PROTECTED = "treated under protect for now, since they may identify people: decide on each"
LEAKS = (
    "leaks: leave out all that is known only after the label, or because of it (its treatment, its complications, "
    "questions asked only of those who have it); what the data themselves show is under drop"
)


def _refuse_absent(table: pd.DataFrame, names: Sequence[str], roles: Iterable[str | None]) -> None:
    for role in roles:
        if role is not None and role not in names:
            head = table.head(TITLE_LINES)
            below = head.loc[(head[names].apply(lambda cells: cells.str.strip()) == role).any(axis=1), "@row"]
            if len(below):
                raise MedloopError(
                    f"the header, which is the first line, has no column {role}, but line {below.iloc[0]} names it",
                    mend="remove the lines above it, such as a title or names of groups of columns",
                )
            raise MedloopError(f"there is no column {role}{nearest(role, names)}", mend="name one that is in the data")


def _refuse_twice(asked: Collection[str], group: str | None, time: str | None) -> None:
    for option, role in (("--group", group), ("--time", time)):
        if role in asked:
            raise MedloopError(
                f"{option} and the label are different columns; got {role} for both", mend="name another"
            )


def _leaks(
    table: pd.DataFrame, label: Target, group: str | None, columns: dict[str, Column], guesses: Mapping[str, Guess]
) -> dict[str, Guess]:
    """The columns that give the label away by themselves, found on all rows; kept where a third of all do by value."""
    if not set(columns) - set(label.read_from):
        return {}
    study = Study(name="draft", title="draft", group=group, target=label, columns=columns)
    lenient = CleanParams(unreadable="missing", infinite="missing", duplicates="keep")
    cleaned = clean(table, study, lenient)
    suspects = suspects_of(cleaned.samples, cleaned.schema, LeakParams())
    strong = [suspect.column for suspect in suspects if suspect.how == "value"]
    many = len(strong) >= MANY_STRONG and 3 * len(strong) > len(columns)
    kept = {suspect.column for suspect in suspects if many and suspect.how in ("value", "level")}
    why = {suspect.column: suspect.sentence.removeprefix(f"{suspect.column}: ") for suspect in suspects}
    return {
        name: _strong(guesses[name], sentence) if name in kept else _dropped(name, columns[name], sentence)
        for name, sentence in why.items()
    }


def _strong(guess: Guess, sentence: str) -> Guess:
    note = "; ".join(filter(None, [guess.note, f"CHECK: {sentence}"]))
    return replace(guess, note=note, matters=(*guess.matters, STRONG))


def _dropped(name: str, column: Column, sentence: str) -> Guess:
    note = f"DROPPED for now: decide; to keep it, write under columns {_declared(name, column)}"
    return Guess(drop=f"leak? {sentence}", note=note, matters=(SUSPECTS,))


def _column_checks(guesses: Mapping[str, Guess]) -> list[str]:
    """A line for each kind of decision, naming the columns."""
    asked: dict[str, list[str]] = {}
    for name, guess in guesses.items():
        for matter in guess.matters:
            asked.setdefault(matter, []).append(name)
    return [f"{matter}: {listed(names, most=12)}" for matter, names in asked.items()]


def render(draft: Draft, name: str, source: Mapping[str, object]) -> str:
    """The text of studies/NAME.yaml: what to check first, then the declaration, a line a column, then the sections."""
    lines = [f"# A draft of the study {name}. CHECK before its first run:", *(f"# - {check}" for check in draft.checks)]
    lines += ["", f"title: {_plain(name)}  # CHECK: what is predicted, in whom, and when", "", "source:"]
    lines += [f"  {key}: {_sequence(of) if isinstance(of, list) else _plain(of)}" for key, of in source.items()]
    roles = {"id": draft.id, "group": draft.group, "time": draft.time}
    lines += ["", *(f"{role}: {_plain(column)}" for role, column in roles.items())]
    lines += ["target:", *(f"  {line}" for line in _asked(draft.target))]
    lines += ["cohort: {}  # who belongs, such as {age: {min: 18}}", *_block("columns", _columns(draft))]
    lines += _block("drop", [f"{_plain(name)}: {_plain(why)}{_note(draft, name)}" for name, why in draft.drop.items()])
    lines += _block("protect", [f"{_plain(name)}: {spelled(treated)}" for name, treated in draft.protect.items()])
    lines += ["", *(f"{section}: {{}}" for section in SECTIONS)]
    lines += ["models:", *(f"  {model}: {{}}" for model in MODELS[draft.target.task])]
    kinds = dict.fromkeys(column.type for column in draft.columns.values() if column.type in NETWORKS)
    lines += [
        f"  # {model}: {{}}  # reads columns of type {kind} themselves" for kind in kinds for model in NETWORKS[kind]
    ]
    return "\n".join(lines) + "\n"


def _asked(target: Target) -> list[str]:
    """What is to be told of the label."""
    lines = [f"columns: {_sequence(target.columns)}" if target.columns else f"column: {_plain(target.column)}"]
    lines += [f"task: {target.task}"] if target.task != "classes" else []
    lines += [f"event: {_plain(target.event)}"] if target.event else []
    if target.classes:
        lines += [f"classes: {_sequence(target.classes)}", f"positive: {_plain(target.positive)}"]
    return lines + ([f"horizon: {target.horizon:.12g}  # CHECK"] if target.horizon else [])


def _block(key: str, lines: list[str]) -> list[str]:
    return ["", f"{key}:", *(f"  {line}" for line in lines)] if lines else ["", f"{key}: {{}}"]


def _columns(draft: Draft) -> list[str]:
    return [f"{_declared(name, column)}{_note(draft, name)}" for name, column in draft.columns.items()]


def _declared(name: str, column: Column) -> str:
    return f"{_plain(name)}: {{{', '.join(_fields(column))}}}"


def _note(draft: Draft, name: str) -> str:
    return f"  # {draft.notes[name]}" if name in draft.notes else ""


def _fields(column: Column) -> list[str]:
    fields = [f"type: {column.type}"]
    if column.type == "numeric":
        fields.append("unit: null")
    if column.range:
        fields.append(f"range: [{', '.join(f'{bound:.12g}' for bound in column.range if bound is not None)}]")
    if column.censored:
        fields.append(f"censored: {column.censored}")
    fields += [f"levels: {_sequence(column.levels)}"] if column.levels else []
    fields += [f"size: {list(column.size)}"] if column.size else []
    told = {"colour": column.colour, "depth": column.depth, "monochrome1": column.monochrome1}
    fields += [f"{key}: {value}" for key, value in told.items() if value is not None]
    fields += [f"rate: {column.rate:g}"] if column.rate else []
    fields += [f"channels: {_sequence(column.channels)}"] if column.channels else []
    fields += ["files: true"] if column.files else []
    fields += [f"missing: {_sequence(column.missing)}"] if column.missing else []
    return fields + ([f"format: {json.dumps(column.format, ensure_ascii=False)}"] if column.format else [])


def _sequence(values: Iterable[str]) -> str:
    return f"[{', '.join(_plain(value) for value in values)}]"


def _plain(value: object) -> str:
    """A scalar as YAML: bare where that is read back as the same text, else quoted."""
    if value is None:
        return "null"
    text = str(value)
    if (
        re.fullmatch(r"0|-?[1-9]\d{0,14}|[A-Za-z_][\w./-]*(?: [\w./-]+)*", text, re.ASCII)
        and text.lower() not in RESERVED
    ):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())

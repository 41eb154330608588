"""The label of a drafted study: what is asked, how its columns are declared where they must be, what to check."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from pydantic import ValidationError

from contracts.errors import MedloopError, listed, masked
from contracts.study import Column, Target
from pipelines.cells import canonical
from pipelines.guess import CODED, UNITS, Counts, Guess, TextSeries, filled, guess_number, in_order, is_missing_word

MOST_CLASSES = 20
FEWEST_OF_A_CLASS = 20  # some 4 test rows
FEWEST_EVENTS, ENOUGH_EVENTS = 20, 36  # of training rows; of all rows, a third of which train nothing
EVENT = (
    "name the column of days, months or years followed as --target (of dates, count them first), and the one that says "
    "whether it happened as --event"
)
YES = (
    "1",
    "yes",
    "y",
    "true",
    "t",
    "positive",
    "pos",
    "case",
    "dead",
    "death",
    "died",
    "deceased",
    "malignant",
    "present",
    "是",
    "阳性",
)
NO = (
    "0",
    "no",
    "n",
    "false",
    "f",
    "negative",
    "neg",
    "control",
    "controls",
    "alive",
    "benign",
    "healthy",
    "normal",
    "absent",
)
CODE = re.compile(r"^\d+[_:=. -]+(?=[^\W\d])")  # of 1_yes


class Label(NamedTuple):
    """What is asked; the label's columns that are declared; what a person must check of it."""

    target: Target
    declared: dict[str, Guess]
    check: str


def drafted_label(table: pd.DataFrame, names: Sequence[str], event: str | None) -> Label:
    """The label in these columns of a raw table: one of classes, a number where it has more than 20 different ones,
    several yes or no answers, or with `event` the time to that.

    Raises MedloopError for a label of one class or more than 20, and for columns that make no label together.
    """
    if event is not None:
        return _survival(table, names, event)
    return _several(table, names) if len(names) > 1 else _alone(names[0], table[names[0]])


def _alone(name: str, cells: TextSeries) -> Label:
    told, codes = _told(cells)
    number = guess_number(name, cells) if len(told) > MOST_CLASSES else None
    if number:
        check = f"label {name}: numbers in {told.sum():,} rows, a regression; write its unit and plausible range"
        return Label(Target(column=name, task="regression"), {name: number}, check)
    classes = _classes(name, told)
    positive = _positive(told) if len(classes) == 2 else None
    which = f", positive: {positive}" if positive else f"{_grades(classes)}; to keep some only, write a cohort"
    lacking = int(len(cells) - told.sum())
    left_out = f"; {lacking:,} rows without a label are left out" if lacking else ""
    check = f"label {name}: classes {_shares(told)}{which}{_rare(told)}{left_out}"
    return Label(Target(column=name, classes=classes, positive=positive), _coded(name, classes, codes), check)


def _rare(told: Counts) -> str:
    """What to do about classes that some part would have next to nothing of."""
    rare = [text for text in in_order(told.index) if told[text] < FEWEST_OF_A_CLASS]
    if not rare:
        return ""
    few = f"FEWER than {FEWEST_OF_A_CLASS} rows of {listed(rare)}, too few to learn and to judge it by"
    return f"; {few}: gather more" + (", join it to another, or leave it out by a cohort" if len(told) > 2 else "")


def _grades(classes: tuple[str, ...]) -> str:
    """What to write where classes that begin with numbers may be in order."""
    numbered = all(re.match(r"\d", text) for text in classes)
    return "; if they are grades, lowest first, write task: ordinal under target" if numbered else ""


def _several(table: pd.DataFrame, names: Sequence[str]) -> Label:
    read = {name: _told(table[name]) for name in names}
    classes = tuple(in_order({text for told, _ in read.values() for text in told.index}))
    other = [f"{name} has {len(told)}" for name, (told, _) in read.items() if len(told) != 2]
    if other or len(classes) != 2:
        why = listed(other) if other else f"{listed(list(names))} spell them in {len(classes)} ways"
        raise MedloopError(
            f"several labels have the same two classes, each some rows of both; {why}",
            mend="name columns of yes and no alone, spelled alike, or one column as --target",
        )
    positive = _positive(pd.concat([told for told, _ in read.values()]).groupby(level=0).sum())
    shares = listed([f"{name} ({told[positive]:,} of {told.sum():,})" for name, (told, _) in read.items()])
    declared = {name: guess for name, (_, codes) in read.items() for guess in _coded(name, classes, codes).values()}
    target = _target(columns=tuple(names), classes=classes, positive=positive, task="multilabel")
    return Label(
        target, declared, f"labels, positive: {positive}: {shares}; what is not known of one is left out of it alone"
    )


def _target(**said: object) -> Target:
    """Raises MedloopError where what was named makes no label."""
    try:
        return Target.model_validate(said)
    except ValidationError as error:
        problem = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise MedloopError(problem, mend="name other columns, or rename them in the data") from None


def _survival(table: pd.DataFrame, names: Sequence[str], event: str) -> Label:
    name, time = names[0], _time(table, names)
    if event == name:
        raise MedloopError(f"--target is the time, --event whether it happened; got {name} for both", mend=EVENT)
    told, codes = _told(table[event])
    classes, positive = _classes(event, told), _positive(told)
    happened = canonical(table[event].str.strip()) == positive
    cells = canonical(table[name].str.strip())
    known = happened & ~cells.isin(time.column.missing if time.column else ())
    times = pd.to_numeric(cells[known], errors="coerce").dropna()
    middle = times.quantile(min(max(0.5, ENOUGH_EVENTS / max(len(times), 1)), 0.9))
    horizon = float(f"{middle:.2g}") if middle > 0 else 1.0
    few = f"; FEW events: training needs {FEWEST_EVENTS} by the horizon" if 0.9 * len(times) < ENOUGH_EVENTS else ""
    doubt = " (or which?)" if len(classes) > 2 else ""
    check = (
        f"label: {name} until {event}, classes {_shares(told)}, event: {positive}{doubt}, all others mean not by then; "
        f"horizon {horizon:g}, by which {(times <= horizon).sum():,} of {len(times):,} events happened, is a guess: "
        f"write that by which the risk is asked, and the unit{few}"
    )
    target = _target(column=name, event=event, classes=classes, positive=positive, horizon=horizon, task="survival")
    return Label(target, {name: time, **_coded(event, classes, codes)}, check)


def _time(table: pd.DataFrame, names: Sequence[str]) -> Guess:
    """The time to an event as it is declared: a number, however few different ones there are."""
    guess = guess_number(names[0], table[names[0]]) if len(names) == 1 else None
    if guess is None or guess.column is None:
        told, _ = _told(table[names[0]])
        like = f", whose cells are like {masked(told.index[0])!r}" if len(names) == 1 and len(told) else ""
        raise MedloopError(
            f"the time to an event is one column of numbers; got {listed(list(names))}{like}", mend=EVENT
        )
    if guess.column.type == "numeric":
        return guess
    return Guess(column=Column(type="numeric", missing=guess.column.missing), note=guess.note, matters=(UNITS,))


def _told(cells: TextSeries) -> tuple[Counts, tuple[str, ...]]:
    """How often each text occurs that is a label, and those that say that there is none."""
    told = filled(cells)
    codes = tuple(text for text in told.index if is_missing_word(text))
    return told.drop(list(codes)), codes


def _classes(name: str, told: Counts) -> tuple[str, ...]:
    if not 2 <= len(told) <= MOST_CLASSES:
        raise MedloopError(
            f"a label has 2 to {MOST_CLASSES} classes; {name} has {len(told)}",
            mend="choose another column, or make classes of it first",
        )
    return tuple(in_order(told.index))


def _positive(told: Counts) -> str:
    """The class that says yes, else the other one where one of two says no, else the rarest one."""
    plain = {text: CODE.sub("", text).casefold() for text in in_order(told.index)}
    yes = [text for text in plain if plain[text] in YES]
    other = [text for text in plain if plain[text] not in NO] if len(plain) == 2 else []
    return next(iter([*yes, *(other if len(other) == 1 else []), str(told.idxmin())]))


def _shares(told: Counts) -> str:
    return listed([f"{text} ({told[text]:,} rows)" for text in in_order(told.index)])


def _coded(name: str, classes: tuple[str, ...], codes: tuple[str, ...]) -> dict[str, Guess]:
    """The label's declaration, where it has codes of its own."""
    if not codes:
        return {}
    column = Column(type="categorical", levels=classes, missing=codes)
    return {name: Guess(column=column, note=f"CHECK: {listed(codes)} read as no label", matters=(CODED,))}

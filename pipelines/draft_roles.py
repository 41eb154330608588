"""Which columns of a raw table seem to name the sample and the patient, and what a person must check of them."""

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from contracts.errors import listed
from contracts.study import Column, Target
from pipelines.cells import Mask, canonical
from pipelines.guess import FEW, ID_LIKE, IDENTIFIERS, LISTED, Guess, TextSeries, counts_rows, filled
from pipelines.identifiers import words
from pipelines.spelling import fold

_PERSON = "patient|pat|pt|subject|subj|participant|person|respondent|individual|case|study|record|unique|usubj"
PATIENT_LIKE = re.compile(
    rf"^(?:(?:{_PERSON}|p|sub) ?)?(?:ids?|uid|uuid|guid)$|^(?:{_PERSON}) ?(?:no|nr|num|number|code|key)$"
    r"|^(?:patient|subject|participant|respondent|person|individual)s?$|^(?:pidnum|seqn|mrn)$|病历号|患者|病人"
)

ROW_LIKE = re.compile(r"^(?:row(?: ?(?:names?|index|ids?))?|unnamed.*|x|v ?1|obs(?:ervation)?)?$")
MOST_CODES = 12
SETS = "matched sets? name the column as group, so that each set is in one part; as a feature it gives labels away"

FOLLOWED_LIKE = re.compile(
    r"^(?:fu|fup|surv|follow(?:ed|up| up)?) ?(?:time|days|months|years|yrs)?$|time to |days to |surv ?time|censor"
)
OUTCOME_LIKE = re.compile(
    r"death|dead|died|deceas|surviv|surv ?time|cens(?:or|rec)|relaps|recur|rec ?(?:time|date)|progress|event|outcome"
    r"|status|follow|^(?:fu|fup)\b|\b(?:fu|fup)$|time to |last (?:contact|visit|seen)"
)


def sample_id(table: pd.DataFrame, names: Sequence[str]) -> str | None:
    """A column that differs in every row: one that is named like a patient's or an id, else the first one."""
    named = [name for name in names if ID_LIKE.search(words(name)) or PATIENT_LIKE.search(words(name))]
    return next((name for name in [*named, *names[:1]] if _distinguishes(table[name])), None)


def row_number(name: str, cells: TextSeries) -> Guess | None:
    """The column left out where its whole numbers seem to count rows, by their order or its name."""
    texts = canonical(cells.str.strip())
    if len(texts) <= LISTED or not texts.is_unique or not texts.str.fullmatch(r"\d{1,15}").all():
        return None
    rises = bool(texts.astype("int64").diff().iloc[1:].gt(0).all())
    if not rises and not ROW_LIKE.search(words(name)):
        return None
    told = "rises from row to row, so it tells" if rises else "differs in every row; it may tell"
    return Guess(drop=f"a row's number? {told} how the table was sorted", matters=(IDENTIFIERS,))


def coded_checks(table: pd.DataFrame, kept: Mapping[str, Column]) -> list[str]:
    """What a person must check of numbers that may be names of levels, and of levels that are numbered."""
    numbers = [name for name, column in kept.items() if column.type == "numeric" and _few_whole(table[name])]
    grades = [
        name
        for name, column in kept.items()
        if len(column.levels) > 2 and all(re.match(r"\d+[_:=.)]", level) for level in column.levels)
    ]
    told = "few different whole numbers: leave counts and grades numeric, make codes (as of marital status) categorical"
    return [
        *([f"{told}: {listed(numbers, most=12)}"] if numbers else []),
        *([f"levels that are numbered: if in order, make them ordinal: {listed(grades, most=12)}"] if grades else []),
    ]


def spelling_checks(columns: Mapping[str, Column], target: Target) -> list[str]:
    """What a person must check of levels, and of the label's classes, that are the same but for case or blanks."""
    levels = {name: column.levels for name, column in columns.items() if column.levels}
    labels = dict.fromkeys(target.columns or [target.event or target.column or ""], target.classes)
    found = [name for name, of in (labels | levels).items() if fold(pd.Series(of, dtype="str")).duplicated().any()]
    told = "levels that are the same but for case or blanks: keep one of each, and write clean: {spelling: folded}"
    return [f"{told}: {listed(found)}"] if found else []


def _few_whole(cells: TextSeries) -> bool:
    texts = filled(cells).index.str
    return FEW < len(filled(cells)) <= MOST_CODES and bool(texts.fullmatch(r"\d{1,3}").mean() > 0.9)


def likely_group(table: pd.DataFrame, names: Sequence[str]) -> str | None:
    """A column that is named like a patient's and comes back, and that no row lacks."""
    return next((name for name in _named(table, names) if not _blank(table[name]).any()), None)


def _named(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    return [name for name in names if PATIENT_LIKE.search(words(name)) and _comes_back(table[name])]


def _comes_back(cells: TextSeries) -> bool:
    """Whether there are more values than a category has, and fewer than cells that are filled."""
    filled = canonical(cells[~_blank(cells)].str.strip())
    return LISTED < filled.nunique() < len(filled)


def _blank(cells: TextSeries) -> Mask:
    blank: Mask = (cells.str.strip() == "").to_numpy()
    return blank


def _distinguishes(cells: TextSeries) -> bool:
    texts = canonical(cells.str.strip())
    measured = texts.str.fullmatch(r"[-+]?\d*\.\d+(?:[eE][-+]?\d+)?").any()
    return bool(texts.is_unique and (texts != "").all() and not measured)


def matched_sets(table: pd.DataFrame, names: Sequence[str], target: Target) -> dict[str, Guess]:
    """Columns that name the sets of a matched case-control study: each value has as many rows with the event, and
    others. Whoever knows the other rows of a set knows the last one's label.
    """
    if target.task != "classes" or target.positive is None or target.column is None:
        return {}
    case = canonical(table[target.column].str.strip()) == target.positive
    found = {}
    for name in names:
        filled = ~_blank(table[name])
        told = case[filled].groupby(canonical(table[name][filled].str.strip())).agg(["sum", "size"])
        alike = 0 < told["sum"].min() == told["sum"].max() < told["size"].min()
        if alike and _comes_back(table[name]):
            each = f"each of its {len(told):,} values has {told['sum'].iloc[0]:,} of class {target.positive}"
            found[name] = Guess(drop=f"matched set? {each}, so it tells the label of a set's last row", matters=(SETS,))
    return found


def id_check(table: pd.DataFrame, name: str | None) -> str:
    """What a person must check of the sample's column."""
    if name is None:
        return "id: no column tells the rows apart, so a row's number serves; name one if there is one"
    if counts_rows(canonical(table[name].str.strip())):
        return f"id {name}: counts the rows; if they are numbered anew when the data change, write id: null"
    return f"id {name}: differs in every row; it must be a pseudonym, not a number that others know"


def group_check(table: pd.DataFrame, name: str | None, *, guessed: bool) -> str:
    """What a person must check of the patient's column."""
    if name is None:
        alone = "group: every row counts as a patient of its own"
        gapped = _named(table, [column for column in table.columns if not column.startswith("@")])
        if gapped:
            rows = int(_blank(table[gapped[0]]).sum())
            why = f"{rows:,} rows LACK the patient that {gapped[0]} seems to name: fill these in and name it"
            return f"{alone}, since {why}"
        return f"{alone}; name the patient's column if some have several rows"
    taken = ", TAKEN for the patient's by its name: write null if it is not" if guessed else ""
    return f"group {name}: {table[name].nunique():,} patients in {len(table):,} rows{taken}; it must be a pseudonym"


def outcome_check(names: Sequence[str], *, survival: bool) -> list[str]:
    """What a person must check of columns that are named like other ends of the same follow-up, or like its length."""
    found = [name for name in names if (OUTCOME_LIKE if survival else FOLLOWED_LIKE).search(words(name))]
    return [f"other outcomes or times of follow-up? known only later, so drop them: {listed(found)}"] if found else []

"""A view as SQL: which runs it has and in which order. Each condition is a look into one index."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Float, and_, case, cast, false, or_, select
from sqlalchemy import func as sql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from flows.board import database as db
from flows.board.view import SCORE, Term, View, moment, number, terms
from flows.groups import GROUP

MODEL, KIND, STAR, HIDDEN, NOTE = (f"medloop.{name}" for name in ("model", "kind", "star", "hidden", "note"))
PARENTS = ("comparison", "sweep", "folds", "search", "drift")  # runs that are no model's
WORDS_IN = ("medloop.run", MODEL, NOTE, "medloop.experiment", "medloop.git_commit", "mlflow.user")
NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$"
Condition = ColumnElement[bool]


def conditions(view: View, visible: Collection[int] | None) -> list[Condition]:
    """All that must hold for a run to be in the view. `visible`: the experiments that the user may see; None: all.

    Raises MedloopError for a search that cannot be understood.
    """
    found = [db.runs.c.lifecycle_stage == db.ACTIVE, db.experiments.c.lifecycle_stage == db.ACTIVE, *_kind(view.kind)]
    if visible is not None:
        found.append(db.runs.c.experiment_id.in_(list(visible)))
    if view.study:
        found.append(db.experiments.c.name == view.study)
    if view.starred:
        found.append(_tagged(db.tags.c.key == STAR))
    if not view.hidden:
        found.append(~_tagged(db.tags.c.key == HIDDEN))
    return [*found, *(_holds(term) for term in terms(view.q))]


def _kind(kind: str) -> list[Condition]:
    others = {"models": (*PARENTS, "trial"), "trials": ("trial",)}.get(kind)
    if not others:
        return []
    told = _tagged(and_(db.tags.c.key == KIND, db.tags.c.value.in_(others)))
    return [told if kind == "trials" else ~told]


def _tagged(condition: Condition) -> Condition:
    return db.runs.c.run_uuid.in_(select(db.tags.c.run_uuid).where(condition))


def _holds(term: Term) -> Condition:
    if term.sign == "":
        return _word(term.value)
    if term.sign == ":":
        return _field(term.name, term.value)
    prefix, _, key = term.name.partition(".")
    if prefix in _LOOKS and key:
        return _LOOKS[prefix](key, term.sign, term.value)
    return or_(*(look(term.name, term.sign, term.value) for look in _LOOKS.values()))


def _word(word: str) -> Condition:
    """Somewhere in the run's name, its study, or what is said of it."""
    told = and_(db.tags.c.key.in_(WORDS_IN), db.tags.c.value.icontains(word, autoescape=True))
    names = (c.icontains(word, autoescape=True) for c in (db.runs.c.name, db.experiments.c.name))
    return or_(*names, _tagged(told))


def _field(name: str, value: str) -> Condition:
    if name in ("since", "until"):
        at = moment(value, name)
        return db.runs.c.start_time >= at if name == "since" else db.runs.c.start_time < at
    if name == "study":
        return db.experiments.c.name == value
    if name == "status":
        return db.runs.c.status == value.upper()
    key = MODEL if name == "model" else "medloop.run"
    return _tagged(and_(db.tags.c.key == key, db.tags.c.value == value))


def _in_metrics(key: str, sign: str, text: str) -> Condition:
    value = number(text)
    if value is None:
        return false()
    names = {name for one in (key, key.lower()) for name in (one, f"test_{one}")}  # columns are headed AUROC
    met = and_(db.metrics.c.key.in_(names), ~db.metrics.c.is_nan, db.metrics.c.value.op(_sql(sign))(value))
    return db.runs.c.run_uuid.in_(select(db.metrics.c.run_uuid).where(met))


def _in_texts(of: Any, key: str, sign: str, text: str) -> Condition:
    value = number(text)
    compared = of.c.value.op(_sql(sign))(text) if value is None else as_number(of.c.value).op(_sql(sign))(value)
    return db.runs.c.run_uuid.in_(select(of.c.run_uuid).where(and_(of.c.key == key, compared)))


def _in_params(key: str, sign: str, text: str) -> Condition:
    return _in_texts(db.params, key, sign, text)


def _in_tags(key: str, sign: str, text: str) -> Condition:
    return _in_texts(db.tags, key, sign, text)


_LOOKS = {"metrics": _in_metrics, "params": _in_params, "tags": _in_tags}


def _sql(sign: str) -> str:
    return "<>" if sign == "!=" else sign


class as_number(FunctionElement[float]):  # noqa: N801  (used as a function of SQL)
    """A text's number, as JSON writes numbers; NULL for what is none."""

    type = Float()
    inherit_cache = True


@compiles(as_number)
def _by_pattern(element: as_number, compiler: Any, **kept: Any) -> str:
    (text,) = element.clauses
    return str(compiler.process(case((text.regexp_match(NUMBER), cast(text, Float))), **kept))


@compiles(as_number, "sqlite")
def _by_json(element: as_number, compiler: Any, **kept: Any) -> str:
    """SQLite has no patterns of its own, and one in Python is slow."""
    text = compiler.process(element.clauses, **kept)
    number = f"json_type({text}) IN ('integer', 'real')"
    return f"CASE WHEN json_valid({text}) THEN CASE WHEN {number} THEN CAST({text} AS REAL) END END"


def ordered(view: View, scores: Mapping[int, str]) -> tuple[Any, list[Any]]:
    """Runs and experiments joined with what the view sorts by, and the expressions that it sorts by.

    scores: by experiment the metric that its study is judged by.
    """
    joined = db.runs.join(db.experiments, db.runs.c.experiment_id == db.experiments.c.experiment_id)
    if view.sort in _FIXED:
        return joined, [_FIXED[view.sort]]
    prefix, _, key = view.sort.partition(".")
    of = {"params": db.params, "tags": db.tags}.get(prefix, db.metrics).alias("sorting")
    if view.sort == "model":
        of, key = db.tags.alias("sorting"), MODEL
    name: Any = key if view.sort != SCORE else case(scores, value=db.runs.c.experiment_id)
    if view.sort == SCORE and not scores:
        name = ""
    joined = joined.outerjoin(of, and_(of.c.key == name, of.c.run_uuid == db.runs.c.run_uuid))
    if prefix in ("metrics", SCORE):
        return joined, [case((~of.c.is_nan, of.c.value))]
    return joined, [as_number(of.c.value), of.c.value]


_FIXED: dict[str, Any] = {
    "study": db.experiments.c.name,
    "run": db.runs.c.name,
    "started": db.runs.c.start_time,
    "status": db.runs.c.status,
}


def in_order(expressions: list[Any], *, ascending: bool) -> list[Any]:
    """What is not there comes last, whichever way round."""
    return [(e.asc() if ascending else e.desc()).nulls_last() for e in expressions]


def group_of() -> tuple[Any, Any]:
    """The tag that runs share which differ by seeds and folds alone, to be joined, and the group's name."""
    tag = db.tags.alias("grouping")
    return (tag, and_(tag.c.key == GROUP, tag.c.run_uuid == db.runs.c.run_uuid)), sql.coalesce(
        tag.c.value, db.runs.c.run_uuid
    )

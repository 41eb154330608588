"""A view of the runs, as its URL says it, and the search that it holds. No patient data is ever in it."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, Self
from urllib.parse import urlencode

from contracts.errors import MedloopError
from contracts.names import nearest

Kind = Literal["models", "trials", "all"]
KINDS: dict[str, str] = {"models": "models", "trials": "trials of sweeps, folds and searches", "all": "everything"}
FIXED = ("study", "model", "run", "started", "status")  # columns that every run has
SCORE = "score"  # the study's own metric
PREFIXES = ("metrics", "params", "tags")
ROWS = 50
LONGEST = 500  # letters of a search
MOST_COLUMNS, MOST_PICKED = 100, 500
RUN_ID = re.compile(r"[0-9a-f]{32}")
COMPARISON = re.compile(r"(?P<name>[^<>=!:]+)(?P<sign>>=|<=|!=|=|>|<)(?P<value>.+)", re.DOTALL)
SIGN = re.compile(r"\s*(>=|<=|!=|=|>|<)\s*")  # with the spaces that a person writes around it
FIELDS = ("study", "model", "run", "status", "since", "until")


@dataclass(frozen=True, kw_only=True)
class Term:
    """One part of a search: `sign` is an operator on a metric, parameter or tag, `:` on a field, empty for a word."""

    name: str
    sign: str
    value: str


@dataclass(frozen=True, kw_only=True)
class View:
    """Which runs, in which order, with which columns. `hidden`: show those too that were hidden.

    picked: the runs that are selected, on whichever page of the table they stand.
    """

    q: str = ""
    study: str = ""
    kind: str = "models"
    sort: str = "started"
    ascending: bool = False
    columns: tuple[str, ...] = (SCORE,)
    page: int = 1
    grouped: bool = False
    starred: bool = False
    hidden: bool = False
    picked: tuple[str, ...] = ()

    @classmethod
    def of(cls, query: Mapping[str, str], columns: Sequence[str], picked: Sequence[str] = ()) -> Self:
        """As the address says; what it does not say, or says wrongly, as by default."""
        chosen = tuple(dict.fromkeys(name for name in columns if is_column(name)))[:MOST_COLUMNS]
        sort = query.get("sort", cls.sort)
        return cls(
            q=query.get("q", "").strip()[:LONGEST],
            study=query.get("study", ""),
            kind=query.get("kind", "") if query.get("kind") in KINDS else cls.kind,
            sort=sort if sort in FIXED or is_column(sort) else cls.sort,
            ascending=query.get("order") == "up",
            columns=chosen or cls.columns,
            page=_whole(query.get("page", "")),
            grouped=query.get("group") == "1",
            starred=query.get("starred") == "1",
            hidden=query.get("hidden") == "1",
            picked=tuple(dict.fromkeys(one for one in picked if RUN_ID.fullmatch(one)))[:MOST_PICKED],
        )

    @property
    def query(self) -> str:
        """The address's query, without what is as by default."""
        flags = {"group": self.grouped, "starred": self.starred, "hidden": self.hidden}
        said = {
            "q": self.q,
            "study": self.study,
            "kind": self.kind if self.kind != View.kind else "",
            "sort": self.sort if self.sort != View.sort else "",
            "order": "up" if self.ascending else "",
            **{name: "1" if on else "" for name, on in flags.items()},
            "page": str(self.page) if self.page > 1 else "",
        }
        columns = self.columns if self.columns != View.columns else ()
        several = [*(("col", name) for name in columns), *(("pick", one) for one in self.picked)]
        return urlencode([*((k, v) for k, v in said.items() if v), *several])

    def but(self, **changes: Any) -> str:
        """The query of this view with something changed; back on the first page."""
        return replace(self, **{"page": 1, **changes}).query

    def sorted_by(self, column: str) -> str:
        """The query for a click on a column's head: by it, and the other way round where it is so already."""
        return self.but(sort=column, ascending=self.sort == column and not self.ascending)


def is_column(name: str) -> bool:
    """Whether a run can have a column of this name beside the fixed ones."""
    prefix, dot, key = name.partition(".")
    return name == SCORE or (prefix in PREFIXES and bool(dot) and 0 < len(key) <= 250)


def _whole(text: str) -> int:
    return max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < 7 else 1


def terms(q: str) -> list[Term]:
    """The parts of a search, all of which hold for what it finds.

    Raises MedloopError for what cannot be understood.
    """
    words = shlex.shlex(SIGN.sub(r"\1", q), posix=True, punctuation_chars=False)
    words.whitespace_split, words.commenters, words.quotes = True, "", '"'
    words.escape = ""
    try:
        return [_term(word) for word in words]
    except ValueError:
        raise MedloopError(
            'a " opens and does not close', where="search", mend='Write, say, study:diabetes "my words"'
        ) from None


def _term(word: str) -> Term:
    found = COMPARISON.fullmatch(word)
    if found:
        return _comparison(Term(name=found["name"], sign=found["sign"], value=found["value"]))
    if SIGN.match(word) or SIGN.search(word[-1:]):
        raise MedloopError(f"{word!r} compares nothing", where="search", mend="Write, say, test_auroc>0.85")
    field, colon, value = word.partition(":")
    if not colon or not field.isalpha():
        return Term(name="", sign="", value=word)
    if field not in FIELDS:
        known = ", ".join(f"{name}:" for name in FIELDS)
        raise MedloopError(f"{field}: is not known{nearest(field, FIELDS)}", where="search", mend=f"one of: {known}")
    if field in ("since", "until"):
        moment(value, field)
    return Term(name=field, sign=":", value=value)


def _comparison(term: Term) -> Term:
    if term.sign in ("=", "!=") or number(term.value) is not None:
        return term
    told = f"{term.name} is compared with {term.value!r}, which is no number"
    raise MedloopError(told, where="search", mend="Write, say, test_auroc>0.85")


def number(text: str) -> float | None:
    """The number that a text is, if it is one."""
    try:
        return float(text)
    except ValueError:
        return None


def moment(text: str, field: str) -> int:
    """Milliseconds since 1970 at a day's start, of `until` at its end; UTC. Raises MedloopError for no date."""
    try:
        day = date.fromisoformat(text)
        after = timedelta(days=1 if field == "until" else 0)
        return int((datetime.combine(day, time(), UTC) + after).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise MedloopError(
            f"{text!r} is no date", where=f"search, {field}:", mend="Write, say, since:2026-11-22"
        ) from None

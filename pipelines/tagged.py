"""Spans in the texts of a column, as tags of their words; what is wrong with one, where it stands."""

import json
from collections.abc import Sequence

import pandas as pd

from contracts.errors import MedloopError, listed, masked
from contracts.study import Study
from contracts.tags import written
from pipelines.rows import Change
from pipelines.spots import SHOWN
from pipelines.text.clean import TextParams, clean_texts
from pipelines.text.spans import Span, Worded, in_characters, in_words, read_spans
from pipelines.text.words import pieces


def tagged(rows: pd.DataFrame, study: Study, params: TextParams) -> tuple["pd.Series[str]", list[Change]]:
    """The tags of each text (`contracts.tags`), and what is told of the spans in the ledger.

    The words are those of the whole text: entities beyond what `params` leaves of it stay, and count as not found.

    Raises MedloopError for a cell that is no list of spans, an unknown label, a span outside the text, and spans that
    overlap; it names id, row and place.
    """
    name, texts = study.target.column, rows[study.tagged].astype("str")
    read = [read_spans(cell, text, study.target.classes) for cell, text in zip(rows[name], texts, strict=True)]
    _refuse(rows, name, read)
    worded = [
        in_words(spans, text, params) for spans, text in zip(read, texts, strict=True) if not isinstance(spans, str)
    ]
    places = {label: place for place, label in enumerate(study.target.classes)}
    tags = [written([(s.start, s.end, places[s.label]) for s in of.spans], of.words) for of in worded]
    return pd.Series(tags, index=rows.index, dtype="str"), _ledger(name, texts, worded, params)


def _refuse(rows: pd.DataFrame, name: str, read: list[list[Span] | str]) -> None:
    at = [place for place, spans in enumerate(read) if isinstance(spans, str)]
    if not at:
        return
    first = rows.iloc[at[0]]
    others = f"; so do {len(at) - 1} more, rows {listed(list(rows['@row'].iloc[at[1:]]), SHOWN)}" if at[1:] else ""
    raise MedloopError(
        f"a list of spans, or [], was expected; the cell {read[at[0]]}",
        where=f"column {name}, row {first['@row']}, id {first['@id']}, like {masked(first[name])!r}{others}",
        mend="correct the cell: [[start, end, label], …] by the text's characters from 0, end not included, apart from "
        "one another, each with a label of target.classes; a blank cell leaves the row out",
    )


def located(
    cells: Sequence[str], at: "pd.Series[str]", raw: pd.DataFrame, study: Study, params: TextParams
) -> list[str]:
    """Entities by words, as a model tells them, by characters of the text as it is written.

    cells: (N,) lists [[first word, the one after the last, label, probability], …] as JSON, of the rows named by `at`
    raw: all rows, by `@row`, with the texts
    """
    texts = raw.set_index(raw["@row"].astype("str"))[study.tagged].astype("str").to_dict()
    found = []
    for cell, row in zip(cells, at, strict=True):
        spans = [
            [*in_characters(begin, end, texts[row], params), label, probability]
            for begin, end, label, probability in json.loads(cell)
        ]
        found.append(json.dumps(spans, ensure_ascii=False))
    return found


def a_line_each(scores: pd.DataFrame) -> pd.DataFrame:
    """A line an entity: row, id, start, end, label, probability, reason; one without these for a text without any."""
    spans = [json.loads(cell) if isinstance(cell, str) else [] for cell in scores["predicted"]]
    at = [row for row, of in enumerate(spans) for _ in of or [None]]
    each = [span for of in spans for span in of or [(None, None, None, None)]]
    told = pd.DataFrame(each, columns=["start", "end", "label", "probability"], index=range(len(each)))
    told = told.astype({"start": "Int64", "end": "Int64", "label": "str", "probability": "float64"})
    own = scores.iloc[at].reset_index(drop=True)
    return pd.concat([own[["row", "id"]], told, own[["reason"]]], axis=1)


def _ledger(name: str, texts: "pd.Series[str]", worded: list[Worded], params: TextParams) -> list[Change]:
    left = clean_texts(texts, params)[0]
    words = [len(pieces(text)) if isinstance(text, str) else 0 for text in left]
    beyond = [sum(span.end > most for span in of.spans) for of, most in zip(worded, words, strict=True)]
    lines = {
        "entities": [len(of.spans) for of in worded],
        "spans widened to whole words": [of.widened for of in worded],
        "spans left out: no word of their own": [of.shared for of in worded],
        "entities beyond what is left of the text: count as not found": beyond,
    }
    return [
        Change(rule=rule, column=name, rows=sum(map(bool, counts)), cells=sum(counts)) for rule, counts in lines.items()
    ]

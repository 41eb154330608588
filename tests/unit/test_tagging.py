"""Entities in texts as a label: spans read and moved with their text, told word by word, judged whole."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.errors import MedloopError
from contracts.examples import Form, Inputs
from contracts.study import Column, Protection, Study, Target
from contracts.tables import Schema
from contracts.tags import NO_WORD, counted, entities, padded, written
from models import calibration
from models.held_out import HeldOut
from models.params import TrainParams
from models.tasks import tagging as of_models
from pipelines.compare import CompareParams, compare
from pipelines.figures import leaderboard_page, report
from pipelines.labels import graded, labelled
from pipelines.results import Entry, EvaluateParams
from pipelines.tagged import a_line_each, located
from pipelines.tasks.tagging import RANKING, evaluate
from pipelines.text.clean import TextParams, clean_texts, respelled
from pipelines.text.spans import Span, in_characters, in_words, read_spans
from pipelines.text.words import pieces

LABELS = ["drug", "dose"]
PARAMS = EvaluateParams(resamples=100)
INPUTS = Inputs(columns=[], classes=[], positive=0, task="tagging", labels=LABELS)
TEXT = "Takes  ASPIRIN\u00ad, 100 mg\ndaily."
ODD = st.text(alphabet=list("ab C.é\u0301\u00ad\u200b \n\t7-'中İΣ"), max_size=40)


def study(**changes: Any) -> Study:
    told = {"columns": {"note": Column(type="text")}, "protect": {}, **changes}
    target = Target(column="spans", task="tagging", classes=tuple(LABELS))
    return Study(name="s", title="s", id="id", target=target, **told)


def rows(*cells: tuple[str, str]) -> pd.DataFrame:
    texts, spans = zip(*cells, strict=True)
    numbers = [str(place + 1) for place in range(len(cells))]
    told = {"@row": numbers, "@id": [f"p{n}" for n in numbers], "@group": numbers, "note": texts, "spans": spans}
    return pd.DataFrame(told, dtype="str")


def begun(tags: list[int]) -> list[tuple[int, int, int]]:
    """The entities of a text read tag by tag, as `conlleval` does."""
    found: list[list[int]] = []
    before = 0
    for place, tag in enumerate(tags):
        label = (tag - 1) // 2
        if tag and (tag % 2 or not before or (before - 1) // 2 != label):
            found.append([place, place + 1, label])
        elif tag:
            found[-1][1] = place + 1
        before = tag
    return [(begin, end, label) for begin, end, label in found]


@settings(max_examples=50)
@given(st.lists(st.lists(st.integers(0, 6), max_size=12), min_size=1, max_size=4))
def test_entities_are_those_that_conlleval_reads(texts: list[list[int]]) -> None:
    cells = [" ".join(map(str, tags)) for tags in texts]
    expected = [(row, *entity) for row, tags in enumerate(texts) for entity in begun(tags)]
    assert [tuple(found) for found in entities(padded(cells)).tolist()] == expected


def test_entities_that_touch_stay_two() -> None:
    spans = [(0, 2, 0), (2, 3, 0), (3, 4, 1)]
    assert written(spans, 5) == "1 2 1 3 0"
    assert entities(padded([written(spans, 5)]))[:, 1:].tolist() == [list(span) for span in spans]


def test_right_is_an_entity_with_its_label_and_both_its_ends() -> None:
    told = np.array([[0, 0, 2, 0], [0, 3, 4, 1], [1, 0, 1, 0]])
    called = np.array([[0, 0, 2, 0], [0, 3, 5, 1], [1, 0, 1, 1]])
    assert counted(told, called, 2, 2).tolist() == [[[1, 1, 1], [1, 1, 0]], [[1, 0, 0], [0, 1, 0]]]


@settings(max_examples=50)
@given(ODD, st.booleans(), st.booleans(), st.data())
def test_words_are_found_again_in_the_text_as_it_was_written(
    text: str, normal: bool, lower: bool, data: st.DataObject
) -> None:
    params = TextParams(normal=normal, lower=lower)
    words = pieces(respelled(text, params)(text))
    if not words:
        return
    first = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(first + 1, len(words)))
    start, stop = in_characters(first, end, text, params)
    back = in_words([Span(start, stop, "a")], text, params)
    assert (back.spans, back.words) == ((Span(first, end, "a"),), len(words))


@settings(max_examples=50)
@given(ODD, st.booleans(), st.booleans())
def test_a_text_is_spelled_as_cleaning_does(text: str, normal: bool, lower: bool) -> None:
    params = TextParams(normal=normal, lower=lower)
    cleaned = clean_texts(pd.Series([text], dtype="str"), params)[0].fillna("")[0]
    assert respelled(text, params)(text).strip() == cleaned.strip()


def test_a_span_takes_the_words_that_it_touches() -> None:
    spans = [Span(TEXT.index("SPI"), TEXT.index(","), "drug"), Span(TEXT.index("100"), TEXT.index("\n"), "dose")]
    found = in_words([*spans, Span(TEXT.index("\n"), TEXT.index("\n") + 1, "dose")], TEXT, TextParams())
    assert found.spans == (Span(1, 2, "drug"), Span(3, 5, "dose"))
    assert (found.words, found.widened, found.shared) == (7, 1, 1)
    assert TEXT[slice(*in_characters(3, 5, TEXT, TextParams()))] == "100 mg"


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("0 5 drug", "no list"),
        ('{"start": 0}', "no list"),
        ('[[0, 5.0, "drug"]]', "no list"),
        ('[[0, 5, ["drug"]]]', "no list"),
        ('[[0, 5, "drgu"]]', r"from 0 to 5 whose label is none of drug, dose \(did you mean drug\?\)"),
        ("[" * 100_000, "no list"),
        ('[[5, 5, "drug"]]', "from 5 to 5, which is empty, upside down"),
        ('[[-1, 5, "drug"]]', "from -1 to 5, .*or begins before 0"),
        ('[[0, 999, "drug"]]', "from 0 to 999, and the text ends at 30"),
        ('[[4, 9, "dose"], [0, 5, "drug"]]', "from 0 to 5 and from 4 to 9, which overlap"),
    ],
    ids=["text", "mapping", "float", "list", "label", "deep", "empty", "before", "beyond", "overlap"],
)
def test_spans_that_cannot_be_are_told_by_row_and_id_without_the_text(cell: str, told: str) -> None:
    with pytest.raises(MedloopError, match=told) as error:
        labelled(rows(("A note.", "[]"), (TEXT, cell), (TEXT, cell)), study(), missing=[])
    assert "column spans, row 2, id p2" in error.value.where
    assert error.value.where.endswith("so do 1 more, rows 3")
    assert "aspirin" not in str(error.value).lower()


def test_tags_are_made_of_spans_and_what_is_lost_is_in_the_ledger() -> None:
    cell = json.dumps([[7, 14, "drug"], [17, 20, "dose"], [21, 23, "dose"]])
    read = labelled(
        rows((TEXT, cell), (TEXT, "[]"), (TEXT, ""), (TEXT, "NA"), ("", "[]")),
        study(),
        missing=["NA"],
        texts=TextParams(longest=3),
    )
    assert read.rows["@target"].tolist() == ["0 1 0 3 3 0 0", "0 0 0 0 0 0 0", ""]
    lines = {line.rule: (line.rows, line.cells) for line in read.ledger}
    assert lines["without a label"] == (2, 0)
    assert lines["entities"] == (1, 3)
    assert lines["entities beyond what is left of the text: count as not found"] == (1, 1)
    schema = Schema(features={}, classes=(), task="tagging", labels=tuple(LABELS))
    assert graded(read.rows["@target"], schema)[0].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"columns": {"x": Column(type="numeric")}}, "one column of type text; declared are none"),
        ({"columns": {"a": Column(type="text"), "b": Column(type="text")}}, "declared are a, b"),
        (
            {"protect": {"note": Protection(redact=True)}},
            "redact changes the text whose characters are counted in spans",
        ),
        ({"columns": {"note": Column(type="text"), "spans": Column(type="text")}}, "take it out of columns"),
    ],
    ids=["no text", "two texts", "redacted", "declared"],
)
def test_a_study_whose_spans_could_not_be_read_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        study(**changes)


def test_a_label_without_names_of_entities_is_refused() -> None:
    with pytest.raises(ValidationError, match="names what spans are of"):
        Target(column="spans", task="tagging")


def entry(model_labels: list[str] = LABELS) -> Entry:
    """Two of three entities found in the first three texts, one of them right; of the fourth all; a fifth has none."""
    target = np.array(["1 2 0", "0 3 0 0 1", "0 0", "1 2 3", ""] * 8, dtype=object)
    said = [[[0, 2, "drug", 0.9]], [[1, 3, "dose", 0.8]], [], [[0, 2, "drug", 1.0], [2, 3, "dose", 1.0]], []]
    predicted = np.array([[json.dumps(of)] for of in said] * 8, dtype=object)
    group = np.arange(len(target)).astype(str)
    found = evaluate(target=target, predicted=predicted, group=group, labels=model_labels, params=PARAMS)
    return Entry(evaluation=found, target=target, predicted=predicted, group=group)


def test_metrics_are_those_of_whole_entities() -> None:
    found: Any = entry().evaluation
    values = {name: of.value for name, of in found.metrics.items()}
    assert list(values) == list(RANKING)
    assert values["precision"] == pytest.approx(3 / 4)
    assert values["recall"] == pytest.approx(3 / 5)
    assert values["f1"] == pytest.approx(6 / 9, abs=1e-6)
    assert values["macro_f1"] == pytest.approx((4 / 5 + 1 / 2) / 2)
    assert values["accuracy"] == pytest.approx(11 / 13, abs=1e-6)
    assert [(of.label, of.entities, of.called) for of in found.labels] == [("drug", 24, 16), ("dose", 16, 16)]
    assert found.metrics["f1"].low < 6 / 9 < found.metrics["f1"].high


def test_pages_and_the_comparison_tell_of_labels_and_of_no_text() -> None:
    one = entry()
    worse = np.array([["[]"]] * 40, dtype=object)
    other = evaluate(target=one.target, predicted=worse, group=one.group, labels=LABELS, params=PARAMS)
    entries = {"rnn": one, "windows": replace(one, evaluation=other, predicted=worse)}
    assert other.metrics["precision"].reason == "no text is said to have one"
    board = compare(entries, CompareParams(metric="f1"), baselines={"windows"})
    assert board.choice == "rnn"
    assert "earns its place" in board.verdict
    pages = [report(one.evaluation, "T"), leaderboard_page(board, {n: e.evaluation for n, e in entries.items()}, "T")]
    assert "Entity F1 0.667" in pages[0]
    assert ": from 0.500 (dose) to 0.800 (drug)." in pages[0]
    assert "from 0.000" not in report(other, "T")
    assert all("dose" in page and "F1 by label" in page for page in pages)


def test_models_of_other_labels_are_not_compared() -> None:
    with pytest.raises(MedloopError, match="of another label"):
        compare({"a": entry(), "b": entry(["drug", "dose", "route"])}, CompareParams(metric="f1"), baselines=set())


def test_the_loss_is_that_of_the_words_and_passes_over_what_is_none() -> None:
    import torch

    random = np.random.default_rng(0)
    target, logits = padded(["0 1 2", "3", ""]), random.normal(size=(3, 3, 5))
    module = of_models.loss(INPUTS, TrainParams(), torch.from_numpy(target), torch.ones(3))
    ours = module(torch.from_numpy(logits), torch.from_numpy(target))
    p = of_models.predicted(logits, INPUTS)
    nats = [-np.log(p[0, [0, 1, 2], [0, 1, 2]]).sum(), -np.log(p[1, 0, 3]), 0]
    np.testing.assert_allclose(ours, np.array(nats) / (4 / 3), rtol=1e-6)
    few = of_models.Examples(table=np.zeros((3, 0), np.float32), target=target)
    np.testing.assert_allclose(ours, of_models.losses(p, few), rtol=1e-6)


def test_a_text_beyond_the_cap_is_read_up_to_it_and_the_rest_is_outside() -> None:
    import torch

    from models.batches import laid_out
    from models.family import configured, load
    from models.network import Network, outputs_of
    from tests.unit.problems import SMALL, reports

    told = replace(
        INPUTS, columns=[f"c{i}" for i in range(6)], payloads={"text": Form(kind="text", longest=16, vocabulary=20)}
    )
    torch.manual_seed(0)
    network = Network(load("transformer"), told, configured("transformer", {**SMALL["transformer"], "longest": 2}))
    new = reports(20, seed=1)
    given = of_models.predicted(outputs_of(network, laid_out(new, told, ["text"])), told)
    assert given.shape == (20, 2, 5)
    assert np.isfinite(given).all()
    assert of_models.scores(given, new, told)["validation_f1"] == 0  # every entity begins at the third word
    answers = of_models.answers(given, told, None)[0]
    assert json.loads(answers[9]) == []  # a text without words


def test_a_temperature_is_that_of_words_and_changes_no_tag() -> None:
    random = np.random.default_rng(0)
    tags = np.where(np.arange(9) < random.integers(2, 9, 80)[:, None], random.integers(0, 5, (80, 9)), NO_WORD)
    logits = 2 * np.eye(5)[np.maximum(tags, 0)] + 2 * random.normal(size=(80, 9, 5))
    rows = of_models.Examples(table=np.zeros((80, 0), np.float32), target=tags.astype(np.int8))
    held = HeldOut(
        params=TrainParams(calibration="temperature"),
        inputs=INPUTS,
        train=rows,
        validation=rows,
        predicted=of_models.predicted(3 * logits, INPUTS),
        correction=None,
        network=True,
    )
    mend, threshold = of_models.finished(held)
    assert mend is not None and threshold is None
    mended = calibration.apply(mend, held.predicted)
    assert (mended.argmax(axis=2) == held.predicted.argmax(axis=2)).all()
    assert of_models.losses(mended, rows).mean() < of_models.losses(held.predicted, rows).mean()
    np.testing.assert_allclose(mended.sum(axis=2), 1)
    assert mend.state["temperature"] > 2
    assert of_models.finished(replace(held, params=TrainParams())) == (None, None)


def test_several_devices_and_labels_that_nobody_has_are_refused() -> None:
    from tests.unit.problems import reports

    told = replace(INPUTS, labels=["one", "two", "three"])
    with pytest.raises(MedloopError, match="no training text has an entity of three"):
        of_models.check(reports(20, 1), reports(20, 2), told, TrainParams())
    with pytest.raises(MedloopError, match="trained on one device"):
        of_models.check(reports(20, 1), reports(20, 2), replace(told, labels=["one", "two"]), TrainParams(devices=2))


def test_entities_are_told_by_the_characters_of_the_text_a_line_each() -> None:
    raw = rows((TEXT, ""), ("Nothing.", "")).astype({"@row": "int64"})
    cells = [json.dumps([[1, 2, "drug", 0.9], [3, 5, "dose", 0.5]]), "[]"]
    found = located(cells, pd.Series(["1", "2"]), raw, study(), TextParams(lower=True))
    assert [TEXT[a:b] for a, b, *_ in json.loads(found[0])] == ["ASPIRIN", "100 mg"]
    scores = pd.DataFrame({"row": ["1", "2", "3"], "id": ["a", "b", ""], "predicted": [*found, None], "reason": ""})
    lines = a_line_each(scores)
    assert list(lines) == ["row", "id", "start", "end", "label", "probability", "reason"]
    assert lines["row"].tolist() == ["1", "1", "2", "3"]
    assert lines["label"].tolist()[:2] == ["drug", "dose"]
    assert lines.loc[2:, ["start", "end", "label", "probability"]].isna().all().all()


def test_a_cell_of_spans_may_name_labels_by_number() -> None:
    assert read_spans("[[0, 1, 7]]", "a", ["7"]) == [Span(0, 1, "7")]

"""A view of the runs as its address says it, and its search."""

from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import MedloopError
from flows.board import shown
from flows.board.view import FIXED, KINDS, Term, View, terms


def again(view: View) -> View:
    query = parse_qs(view.query)
    return View.of({name: values[0] for name, values in query.items()}, query.get("col", []))


@settings(max_examples=40)
@given(
    st.builds(
        View,
        q=st.text(max_size=50).map(str.strip),
        study=st.text(max_size=20),
        kind=st.sampled_from(list(KINDS)),
        sort=st.sampled_from([*FIXED, "score", "metrics.a b&c", "params.x=1#?"]),
        ascending=st.booleans(),
        columns=st.lists(st.sampled_from(["score", "metrics.ü", "tags.a&b"]), min_size=1, unique=True).map(tuple),
        page=st.integers(1, 999),
        grouped=st.booleans(),
        starred=st.booleans(),
        hidden=st.booleans(),
    )
)
def test_every_view_is_an_address(view: View) -> None:
    assert again(view) == view


def test_an_address_that_says_nonsense_gives_the_usual_view() -> None:
    query = {"page": "-3", "sort": "drop table", "kind": "x", "order": "sideways", "group": "yes"}
    assert View.of(query, ["nonsense", "metrics.", "params"]) == View()


def test_a_click_on_a_head_sorts_by_it_and_then_the_other_way_round() -> None:
    first = parse_qs(View(page=4).sorted_by("metrics.auroc"))
    assert first == {"sort": ["metrics.auroc"]}
    assert parse_qs(View(sort="metrics.auroc").sorted_by("metrics.auroc")) == {**first, "order": ["up"]}


def test_a_search_is_taken_apart() -> None:
    assert terms('mlp study:heart "two words" test_auroc>=0.85 train.p!=adam tags.a=b') == [
        Term(name="", sign="", value="mlp"),
        Term(name="study", sign=":", value="heart"),
        Term(name="", sign="", value="two words"),
        Term(name="test_auroc", sign=">=", value="0.85"),
        Term(name="train.p", sign="!=", value="adam"),
        Term(name="tags.a", sign="=", value="b"),
    ]


def test_spaces_around_a_sign_change_nothing() -> None:
    assert terms("mlp auroc > 0.85 a!= b") == terms("mlp auroc>0.85 a!=b") != terms("mlp")


@pytest.mark.parametrize(
    ("q", "told"),
    [
        ("studdy:heart", "did you mean study?"),
        ("since:yesterday", "'yesterday' is no date"),
        ("until:9999-12-31", "is no date"),
        ("auroc>high", "which is no number"),
        ("auroc>", "compares nothing"),
        (">0.5", "compares nothing"),
        ('"open', 'a " opens'),
    ],
)
def test_what_cannot_be_understood_is_told(q: str, told: str) -> None:
    with pytest.raises(MedloopError, match=told.replace("?", r"\?")):
        terms(q)


@given(st.text(max_size=80))
def test_no_search_breaks_anything_but_by_being_told(q: str) -> None:
    try:
        terms(q)
    except MedloopError as fault:
        assert fault.mend


def test_what_is_selected_and_shown_is_bounded_and_kept_by_the_address() -> None:
    ids = [f"{number:032x}" for number in range(600)]
    view = View.of({}, [f"params.p{number}" for number in range(1500)], [*ids, "<b>", ids[0]])
    assert len(view.columns) == 100 and view.picked == tuple(ids[:500])
    assert f"pick={ids[1]}" in view.but(page=2) and "pick" not in view.but(picked=())


def test_costs_are_told_in_words_and_counts_are_whole() -> None:
    assert shown.label("cost_predict_seconds_per_1000_rows") == "Seconds to predict 1,000 rows"
    assert [shown.figure(value) for value in (35074.0, 20.0, 1.0, 0.25, 12.5)] == [
        "35,074", "20", "1.000", "0.250", "12.500"
    ]  # fmt: skip

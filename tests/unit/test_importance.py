"""Permutation importance by patient: what is found, what moves together, what it says in words."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from contracts.examples import Examples
from contracts.payloads import Payloads
from pipelines.bootstrap import Interval
from pipelines.explain import (
    Attributed,
    ExplainParams,
    Explanation,
    Importance,
    Word,
    attributed,
    class_map,
    importances,
    sampled,
)
from pipelines.explanation_page import beside, explanation_page, told
from pipelines.importance import Exchange, alike, exchanged

PARAMS = ExplainParams(repeats=4, min_patients=5)
SOURCES = ["a", "b", "b", "c"]  # b is one column of two features


def examples(rows: int = 200, seed: int = 0) -> Examples:
    table = np.random.default_rng(seed).normal(size=(rows, 4)).astype(np.float32)
    return Examples(table=table, target=(table[:, 1] + table[:, 2] > 0).astype(np.int64))


def losses(rows: Examples) -> NDArray[np.float64]:
    """Of a model that reads both features of b, and nothing else."""
    assert rows.target is not None
    sign = 2.0 * rows.target - 1
    return np.logaddexp(0, -3 * sign * (rows.table[:, 1] + rows.table[:, 2]))


@given(st.lists(st.integers(0, 5), min_size=2, max_size=40).filter(lambda of: len(set(of)) > 1), st.integers(0, 99))
def test_a_patients_rows_come_from_one_other_patient_in_order(patients: list[int], seed: int) -> None:
    group = np.array(patients)
    taken = exchanged(group, np.random.default_rng(seed))
    givers = []
    for patient in set(patients):
        rows = taken[group == patient]
        (giver,) = set(group[rows].tolist())
        assert giver != patient
        givers.append(giver)
        assert rows.tolist() == np.resize(np.flatnonzero(group == giver), len(rows)).tolist()
    assert sorted(givers) == sorted(set(patients))


def test_the_planted_column_is_found_and_only_it() -> None:
    group = np.repeat(np.arange(100), 2)
    found, asked = importances(
        Exchange(losses=losses, examples=examples(), sources=SOURCES), ["a", "b", "c"], group, PARAMS
    )
    assert asked == 3
    assert [one.columns for one in found if one.shown] == [("b",)]
    assert found[0].rise.value is not None and found[0].rise.value > 0.5
    assert all(one.rise.value == 0 for one in found[1:])
    again = importances(Exchange(losses=losses, examples=examples(), sources=SOURCES), ["a", "b", "c"], group, PARAMS)
    assert again == (found, asked)


def test_only_columns_that_change_the_losses_most_are_repeated() -> None:
    few = PARAMS.model_copy(update={"columns": 1})
    exchange = Exchange(losses=losses, examples=examples(), sources=SOURCES)
    found, asked = importances(exchange, ["a", "b", "c"], np.arange(200), few)
    assert ([one.columns for one in found], asked) == ([("b",)], 3)


def test_payloads_are_exchanged_with_their_figures_and_nothing_else_is() -> None:
    seen: list[Examples] = []
    values = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
    rows = Examples(
        table=np.arange(12, dtype=np.float32).reshape(6, 2),
        payloads={"scan": Payloads(values=values, channels=("grey",)), "other": Payloads(values=values)},
        at=np.array([5, 4, 3, 2, 1, 0]),
        target=np.zeros(6, dtype=np.int64),
    )

    def keep(scored: Examples) -> NDArray[np.float64]:
        seen.append(scored)
        return np.zeros(len(scored))

    Exchange(losses=keep, examples=rows, sources=["age", "scan"]).rises(
        [("scan",)], np.arange(6), repeats=3, most=9, seed=0
    )
    assert len(seen) == 4  # as they are, and a time for each repeat
    for scored in seen[1:]:
        assert scored.at is not None
        figure = scored.table[:, 1].astype(int) // 2  # the row that it was of
        picture = scored.payloads["scan"].values[scored.at].ravel()
        assert (figure != np.arange(6)).all()
        assert (picture == values.ravel()[rows.at][figure]).all()
        assert (scored.table[:, 0] == rows.table[:, 0]).all()
        assert (scored.payloads["other"].values == values).all()


def test_columns_that_tell_alike_are_put_together() -> None:
    random = np.random.default_rng(0)
    base, level = random.normal(size=300), random.integers(0, 3, 300)
    onehot = np.eye(3)[level]
    missing = (random.random(300) < 0.1).astype(float)
    table = np.column_stack([base, -np.exp(base), onehot, onehot[:, [2, 0, 1]], random.normal(size=300), missing])
    sources = ["x", "minus x", *["sex"] * 3, *["gender"] * 3, "y", "y"]
    names = ["x", "minus x", "sex", "gender", "y"]
    assert alike(table.astype(np.float32), sources, names, 0.9) == [("x", "minus x"), ("sex", "gender"), ("y",)]
    assert alike(table.astype(np.float32), sources, names, 1) == [(name,) for name in names]


def test_words_and_maps_of_few_patients_are_not_told() -> None:
    group = np.repeat(np.arange(8), 2)
    row = np.array([*range(16), 0, 1])  # word 2 in every row, word 3 in those of one patient
    token = np.array([2] * 16 + [3] * 2)
    found = attributed(
        table=np.ones((16, 2)),
        change=np.full(16, 2.0),
        gap=np.full(16, 0.5),
        moments={"walk": np.ones((16, 4, 2))},
        tokens={"report": (row, token, np.full(18, 0.25))},
        sources=["a", "a"],
        channels={"walk": ["x", "y"]},
        vocabulary={"report": {2: "mass", 3: "smith"}},
        unit="log-odds",
        group=group,
        params=PARAMS,
    )
    assert [(word.token, word.patients, word.attribution) for word in found.words["report"]] == [("mass", 8, 0.25)]
    assert found.columns == {"walk": 8.0, "a": 2.0, "report": 0.28125}
    assert found.missed == 0.25
    assert np.shape(found.moments["walk"].values) == (2, 4)
    maps = np.random.default_rng(0).random((8, 2, 2))
    assert class_map(maps, np.arange(8), "ill", PARAMS).values
    assert class_map(maps[:8], np.arange(8) // 2, "ill", PARAMS).values == ()


def explanation(model: str = "mlp", rises: tuple[float, ...] = (0.2, 0.1)) -> Explanation:
    ranked = tuple(
        Importance(columns=(f"column <{at}>",), rise=Interval(value=rise, low=rise - 0.05, high=rise + 0.05))
        for at, rise in enumerate(rises)
    )
    return Explanation(model=model, rows=9, patients=9, loss=0.5, asked=len(rises), importances=ranked, params=PARAMS)


def test_the_answer_comes_first_in_words() -> None:
    assert told(explanation()) == (
        "mlp leans most on column <0> and column <1>; nothing else is shown to matter; "
        "with column <0> of other patients its loss rises by 40% (30 to 50%)"
    )
    assert told(explanation(rises=(0.01, 0.0))).startswith("No column is shown to matter to mlp")
    assert "reads column <0> alone" in told(explanation(rises=(0.2,)))
    without = explanation(rises=())
    assert told(without.model_copy(update={"patients": 1})).startswith("One patient alone")
    assert "told of networks, by 5 patients or more" in told(without)
    words = (Word(token="<takes>", patients=12, attribution=1.5), Word(token="no", patients=12, attribution=-0.5))
    found = Attributed(rows=9, patients=9, unit="log-odds", columns={}, missed=0.0, moments={}, words={"text": words})
    assert told(without.model_copy(update={"attributed": found})) == "mlp finds entities most by the words <takes>"


def test_pages_stand_alone_and_escape_what_they_name() -> None:
    page = explanation_page(explanation(), "A <b>study</b>")
    assert page == explanation_page(explanation(), "A <b>study</b>")
    assert "<b>study" not in page and "column <0>" not in page.split("</script>")[0]
    (section,) = beside({"mlp": explanation(), "boosting": explanation("boosting", (0.3,))})
    assert "boosting" in section and "column <" not in section
    assert beside({"mlp": explanation(rises=(0.0,))}) == []


def test_rows_are_drawn_once_and_settings_fit() -> None:
    assert sorted(sampled(10, 50, 0).tolist()) == list(range(10))
    assert sampled(1000, 20, 3).tolist() == sampled(1000, 50, 3)[:20].tolist()
    assert json.loads(explanation().model_dump_json())["params"]["repeats"] == 4

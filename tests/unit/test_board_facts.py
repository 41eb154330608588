"""What a run's page works out: where its rows went, its curves, its lineage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.board.curves import HEIGHT, WIDTH, chart, learning, spread
from flows.board.heat import heat
from flows.board.lineage import web_address
from flows.board.participants import Part, participants
from flows.board.runs import Number
from flows.board.shown import label, number, plain
from flows.groups import group

CERTIFICATE = {
    "parts": {"test": {"count": 20}, "train": {"count": 60}, "aside": {"count": 5}},
    "checks": [{"name": "patients", "evidence": {"patients": 70}}],
}


def change(rule: str, rows: int, detail: str = "") -> dict[str, object]:
    return {"rule": rule, "column": None, "rows": rows, "cells": 0, "detail": detail}


def test_rows_that_left_are_counted_by_reason_and_the_rest_by_part() -> None:
    ledger = [change("outside the cohort", 10, "by age"), change("near-duplicates count as one patient", 7)]
    balance = {"method": "smote", "made": {"1": 30}, "masked": {"0": 0}}
    flow = participants({"rows": 95}, [*ledger, change("missing by code", 0)], CERTIFICATE, balance)
    assert (flow.read, flow.gone, flow.samples, flow.patients) == (95, 10, 85, 70)
    assert flow.left == (("outside the cohort, by age", 10),) and not flow.overlap
    assert flow.parts == (
        Part(name="Training", rows=60, more="balanced by smote: 30 rows made"),
        Part(name="Test", rows=20),
        Part(name="aside", rows=5),
    )


def test_reasons_that_do_not_add_up_are_said_to_overlap() -> None:
    ledger = [change("not a number: quarantine", 6), change("in the future: quarantine", 6)]
    assert participants({"rows": 95}, ledger, CERTIFICATE, {}).overlap
    assert participants({}, ledger, CERTIFICATE, {}).read == 97


VALUES = st.floats(-1e12, 1e12, allow_subnormal=False) | st.sampled_from([1e-86, 1e80])


@given(st.lists(st.tuples(st.integers(0, 10**6), VALUES), min_size=1, max_size=40), st.floats(-1, 1))
def test_every_curve_stays_in_its_picture(points: list[tuple[int, float]], last: float) -> None:
    drawn = chart("loss", {"train": [*sorted(points), (10**6, last)]})
    for line in drawn.lines:
        for pair in line.points.split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT
    assert all(0 <= y <= HEIGHT for y, _ in drawn.y_ticks) and len(drawn.y_ticks) <= 12


def test_train_and_validation_share_a_chart_and_what_never_changes_has_none() -> None:
    falls = [(1.0, 0.9), (2.0, 0.5)]
    charts = learning({"train_loss": falls, "validation_loss": falls, "rate": [(1, 0.1), (2, 0.1)], "epochs": [(0, 1)]})
    assert [(one.title, [line.name for line in one.lines]) for one in charts] == [("loss", ["train", "validation"])]


def test_values_with_intervals_stand_in_their_order() -> None:
    drawn = spread("AUROC", [("version 1", 0.8, 0.7, 0.9), ("version 2", 0.85, 0.8, 0.9)])
    (x1, y1, low1, high1, _), (x2, y2, *_) = drawn.marks
    assert x1 < x2 and high1 < y1 < low1 and y2 < y1  # a picture counts from its top


@pytest.mark.parametrize(
    ("remote", "seen"),
    [
        ("git@github.com:team/repo.git", "https://github.com/team/repo"),
        ("https://user:secret@forge.example/team/repo.git", "https://forge.example/team/repo"),
        ("ssh://git@forge.example:2222/team/repo", "https://forge.example/team/repo"),
        ("/srv/repo", ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_a_remote_is_linked_where_it_is_on_the_web(remote: str, seen: str) -> None:
    assert web_address(remote) == seen


def test_drift_over_time_is_told_by_column_the_furthest_first() -> None:
    def look(when: str, **psi: float | None) -> dict[str, object]:
        verdicts = {name: "drifted" if (value or 0) > 0.25 else "same" for name, value in psi.items()}
        columns = [{"column": name, "psi": value, "verdict": verdicts[name]} for name, value in psi.items()]
        return {"looked": f"{when}T08:00:00+00:00", "columns": columns}

    found = heat([look("2026-02-01", age=0.01, ward=0.9, new=None), look("2026-01-01", age=0.3, ward=0.02)])
    assert found is not None and found.looks == ["2026-01-01 08:00", "2026-02-01 08:00"]
    assert found.lines == [
        ("ward", [("same", "0.02"), ("drifted", "0.90")]),
        ("age", [("drifted", "0.30"), ("same", "0.01")]),
        ("new", [("", ""), ("same", "")]),
    ]
    assert heat([]) is None and heat([{"columns": "x"}, {"columns": []}]) is None
    assert heat([look("2026-01-01", **{f"c{at}": 0.0 for at in range(25)})]).more == 5


def test_runs_that_differ_by_seeds_and_folds_alone_are_one_group() -> None:
    one = {"train.seed": 1, "split.fold": 0, "train.rate": 0.1}
    assert group(one) == group({**one, "train.seed": 2, "split.fold": 4})
    assert group(one) != group({**one, "train.rate": 0.2})
    assert group(one, "sweep-1") != group(one, "sweep-2")


def test_values_are_shown_short_and_plain() -> None:
    assert plain("a\x1b[31m\u202eb\n" + "c" * 200, 12) == "a␣[31m␣b␣cc…"
    assert [number(Number(value=value)) for value in (0.8714, -0.5, 12345.6, 1e-7, 0.0, 1.797e308)] == [
        "0.871", "−0.500", "1.235e+04", "1e−07", "0.000", "∞"
    ]  # fmt: skip
    assert number(Number(value=0.84, deviation=0.04, count=3)) == "0.840 ± 0.040"
    assert (label("test_auroc"), label("fold_auroc"), label("loss/x")) == ("AUROC", "AUROC, fold", "loss/x")

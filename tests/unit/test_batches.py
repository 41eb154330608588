"""Rows as a network is given them."""

import dataclasses

import numpy as np
import pytest
import torch

from contracts.errors import MedloopError
from contracts.examples import Examples, Form, Inputs
from contracts.payloads import Payloads, ragged
from flows.arrays import with_made
from models.batches import laid_out
from models.store import check_features
from pipelines.encode_payloads import PayloadEncoding
from pipelines.forms import forms
from pipelines.text.tokens import Vocabulary
from tests.unit.problems import inputs, problem

VISITS = ragged(
    [np.array([[1.0], [2.0], [4.0]], np.float32), np.empty((0, 1), np.float32), np.array([[8.0]], np.float32)],
    [np.array([0.0, 2.0, 8.0]), np.empty(0), np.array([5.0])],
    ("dose",),
    like=np.empty((0, 1), np.float32),
)
SCANS = Payloads(
    values=np.array([[[[10, 30]]], [[[0, 0]]], [[[20, 20]]]], dtype=np.uint16),
    channels=("grey",),
    centre=(20.0,),
    spread=(5.0,),
)
WORDS = ragged(
    [np.array([5, 2], np.int32), np.array([3], np.int32), np.array([], np.int32)], like=np.empty(0, np.int32)
)
STUDY = Inputs(
    columns=["age"],
    classes=["no", "yes"],
    positive=1,
    payloads={
        "scan": Form(kind="image", channels=["grey"], size=[1, 2], centre=[20.0], spread=[5.0]),
        "visits": Form(kind="sequence", channels=["dose"], longest=4, pace=2.0),
        "note": Form(kind="text", longest=2, vocabulary=6),
    },
)
ROWS = Examples(
    table=np.array([[1.0], [2.0], [3.0]], np.float32), payloads={"scan": SCANS, "visits": VISITS, "note": WORDS}
)


def test_a_batch_holds_each_rows_own_payloads() -> None:
    batch = laid_out(ROWS, STUDY, ["table", "image", "sequence", "text"]).batch(torch.tensor([1, 0]))
    assert batch["table"].tolist() == [[2.0], [1.0]]
    assert batch["image/scan"].tolist() == [[[[0.0, 0.0]]], [[[-2.0, 2.0]]]]
    assert batch["present/scan"].tolist() == [False, True]
    expected = [[[0.0, 0.0]] * 3, [[1.0, 0.0], [2.0, np.log(2)], [4.0, np.log(4)]]]
    np.testing.assert_allclose(batch["sequence/visits"], expected, rtol=1e-6)
    assert batch["length/visits"].tolist() == [0, 3]
    assert batch["text/note"].tolist() == [[3, 0], [5, 2]]
    assert batch["present/note"].tolist() == [True, True]


def test_a_family_is_given_the_kinds_that_it_reads_alone() -> None:
    batch = laid_out(ROWS, STUDY, ["image"]).batch(torch.tensor([0]))
    assert set(batch) == {"image/scan", "present/scan"}


def test_rows_may_lie_elsewhere_in_the_payloads() -> None:
    chosen = dataclasses.replace(ROWS, table=ROWS.table[[2, 0]], at=np.array([2, 0]))
    batch = laid_out(chosen, STUDY, ["table", "sequence"]).batch(torch.tensor([0, 1]))
    assert batch["table"].tolist() == [[3.0], [1.0]]
    assert batch["length/visits"].tolist() == [1, 3]


def test_payloads_of_no_step_at_all_make_a_batch() -> None:
    empty = ragged([VISITS.values[:0]] * 2, [np.empty(0)] * 2, ("dose",), like=VISITS.values)
    rows = Examples(table=ROWS.table[:2], payloads={"visits": empty})
    study = dataclasses.replace(STUDY, payloads={"visits": STUDY.payloads["visits"]})
    batch = laid_out(rows, study, ["sequence"]).batch(torch.tensor([0, 1]))
    assert batch["sequence/visits"].tolist() == [[[0.0, 0.0]], [[0.0, 0.0]]]


def test_all_rows_are_scored_once_in_pieces_that_fit() -> None:
    reads = ("table", "image")
    rows = laid_out(problem(reads, 2, 5000, seed=0), inputs(reads, 2), reads)
    pieces = rows.slices()
    assert len(pieces) > 1
    assert torch.equal(torch.cat(pieces), torch.arange(5000))


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("scan", dataclasses.replace(SCANS, channels=("red",))),
        ("scan", dataclasses.replace(SCANS, values=SCANS.values[:, :, :, :1])),
        ("scan", dataclasses.replace(SCANS, values=SCANS.values[:2])),
        ("visits", dataclasses.replace(VISITS, channels=("weight",))),
        ("note", None),
    ],
)
def test_payloads_of_another_form_are_an_error(name: str, other: Payloads | None) -> None:
    payloads = {**ROWS.payloads, name: other} if other else {n: of for n, of in ROWS.payloads.items() if n != name}
    with pytest.raises(MedloopError, match=r"expected .* payloads of 3 rows") as error:
        check_features(dataclasses.replace(ROWS, payloads=payloads), STUDY)
    assert name in error.value.where


def test_the_form_is_told_from_training_rows() -> None:
    encoding = PayloadEncoding(
        scales={},
        vocabularies={"note": Vocabulary(kind="words", tokens=("a", "b", "c", "d"))},
        terms={},
        figures={},
        missing=(),
        gaps="interpolate",
        cells=8,
        clip=10,
    )
    told = forms(encoding, {"scan": SCANS, "visits": VISITS, "note": WORDS})
    assert told["scan"] == STUDY.payloads["scan"]
    assert told["visits"] == Form(kind="sequence", channels=["dose"], longest=4, pace=4.0)
    assert told["note"] == Form(kind="text", longest=2, vocabulary=6)


def test_the_payloads_of_made_rows_stand_after_the_real_ones() -> None:
    both = with_made({"visits": VISITS, "scan": SCANS}, {"visits": VISITS.take(np.array([2, 0]))})
    assert [both["visits"][i].ravel().tolist() for i in range(5)] == [
        [1.0, 2.0, 4.0],
        [],
        [8.0],
        [8.0],
        [1.0, 2.0, 4.0],
    ]
    moments = both["visits"].moments(4)
    assert moments is not None and moments.tolist() == [0.0, 2.0, 8.0]
    assert both["scan"] is SCANS

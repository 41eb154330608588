"""Small problems of every kind of column, that any model which reads the kind can learn."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from contracts.answers import UNKNOWN, packed
from contracts.examples import Examples, Form, Inputs, Kind
from contracts.follow_up import signed
from contracts.payloads import Payloads, ragged
from contracts.tags import padded, written
from contracts.tasks import Task

# Settings that keep the tests of a family fast; one that is not named here is tested as it is by default.
SMALL: dict[str, dict[str, object]] = {
    "autoencoder": {"pretraining": 2, "width": 16, "code": 8, "filters": [8, 16], "dropout": 0.1},
    "cnn": {"filters": [8, 16], "width": 32, "dropout": 0.1},
    "combined": {"models": {"mlp": {"width": 16}, "rnn": {"width": 16, "dropout": 0.1}}},
    "ensemble": {"models": {"boosting": {"max_iter": 20}, "mlp": {"width": 32, "seeds": 2}}},
    "cnn1d": {"filters": [8, 16], "width": 16, "kernel": 3},
    "fusion": {"width": 16, "filters": [8], "dropout": 0.1},
    "transformer": {"width": 16, "heads": 2, "layers": 1, "feed_forward": 16, "patches": 3, "dropout": 0.1},
    "cnn-rnn": {"filters": [8], "width": 16, "kernel": 3, "dropout": 0.1},
    "rnn": {"width": 32, "dropout": 0.1},
}
FORMS = {
    "image": Form(kind="image", channels=["grey"], size=[12, 12], centre=[60.0], spread=[60.0]),
    "sequence": Form(kind="sequence", channels=["a", "b"], longest=16, pace=1.0),
    "text": Form(kind="text", longest=16, vocabulary=20),
}


def problem(reads: Sequence[Kind], classes: int, rows: int, seed: int) -> Examples:
    """Rows whose class shows in each kind of column that is read; a table that is not read is noise."""
    random = np.random.default_rng(seed)
    target = np.arange(rows) % classes
    corners = np.eye(classes, 6) * 3 * ("table" in reads)
    table = (corners[target] + random.normal(size=(rows, 6))).astype(np.float32)
    made = {"image": _images, "sequence": _sequences, "text": _texts}
    payloads = {kind: made[kind](target, random) for kind in made if kind in reads}
    return Examples(table=table, payloads=payloads, target=target)


def numbers(reads: Sequence[Kind], rows: int, seed: int) -> Examples:
    """The problem of two classes with a number as its label: 30 apart, and noise."""
    found = problem(reads, 2, rows, seed)
    assert found.target is not None
    noise = np.random.default_rng(seed + 100).normal(size=rows)
    return replace(found, target=100.0 + 30.0 * found.target + 3.0 * noise)


def courses(reads: Sequence[Kind], rows: int, seed: int) -> Examples:
    """The problem of two classes with a time to an event as its label, ten times as fast in one; some are censored."""
    found = problem(reads, 2, rows, seed)
    assert found.target is not None
    random = np.random.default_rng(seed + 100)
    until, left = random.exponential(np.where(found.target == 1, 2.0, 20.0)), random.uniform(4, 40, rows)
    return replace(found, target=signed(np.minimum(until, left), until <= left))


def answers(reads: Sequence[Kind], rows: int, seed: int) -> Examples:
    """The problem of two classes with three labels: of the second; of the first, known of half the rows; by chance."""
    found = problem(reads, 2, rows, seed)
    assert found.target is not None
    random, so = np.random.default_rng(seed + 100), found.target
    half = np.where(random.random(rows) < 0.5, UNKNOWN, 1 - so)
    return replace(found, target=packed(np.column_stack([so, half, random.integers(0, 2, rows)])))


def forecasts(reads: Sequence[Kind], rows: int, seed: int) -> Examples:
    """The problem of two classes with two numbers as its label: one as in `numbers`, less 100, and half of it."""
    found = numbers(reads, rows, seed)
    assert found.target is not None
    change = found.target - 100.0
    return replace(found, target=np.column_stack([change, change / 2]))


def reports(rows: int, seed: int) -> Examples:
    """Texts in which 2 stands before an entity of one word, 3 before one of another label and of two words, all of
    words that stand elsewhere too; every tenth text has no word."""
    random = np.random.default_rng(seed)
    pieces, cells = [], []
    for row in range(rows):
        words = random.integers(8, 20, 0 if row % 10 == 9 else int(random.integers(6, 14)))
        spans = [] if row % 10 == 9 else [(2, 3, 0)] if row % 2 else [(2, 4, 1)]
        for begin, _, label in spans:
            words[begin - 1] = 2 + label
        pieces.append(words.astype(np.int32))
        cells.append(written(spans, len(words)))
    return Examples(
        table=random.normal(size=(rows, 6)).astype(np.float32),
        payloads={"text": ragged(pieces, like=pieces[0])},
        target=padded(cells),
    )


def inputs(reads: Sequence[Kind], classes: int, task: Task = "classes") -> Inputs:
    """What a model is told of such a problem."""
    return Inputs(
        columns=[f"c{i}" for i in range(6)],
        classes=[]
        if task in ("regression", "survival", "multilabel", "forecasting", "tagging")
        else [str(i) for i in range(classes)],
        positive=classes - 1,
        task=task,
        labels={"multilabel": ["second", "first", "chance"], "tagging": ["one", "two"]}.get(task, []),
        horizon={"survival": 5.0, "forecasting": 2.0}.get(task, 0.0),
        payloads={kind: form for kind, form in FORMS.items() if kind in reads},
    )


def _images(target: NDArray[np.int64], random: np.random.Generator) -> Payloads:
    """A bright square, in a corner of the class's own."""
    pixels = random.integers(20, 100, (len(target), 1, 12, 12))
    for row, label in enumerate(target):
        top, left = divmod(int(label), 2)
        pixels[row, 0, 6 * top + 1 : 6 * top + 5, 6 * left + 1 : 6 * left + 5] += 120
    return Payloads(values=pixels.astype(np.uint8), channels=("grey",), centre=(60.0,), spread=(60.0,))


def _sequences(target: NDArray[np.int64], random: np.random.Generator) -> Payloads:
    """A level of the class's own, at moments unequally far apart."""
    pieces, times = [], []
    for label in target:
        steps = int(random.integers(4, 17))
        level = np.array([2.0 * label - 1.5, 1.5 - label])
        pieces.append((level + random.normal(size=(steps, 2))).astype(np.float32))
        times.append(np.cumsum(random.exponential(size=steps)))
    return ragged(pieces, times, ("a", "b"), like=pieces[0])


def _texts(target: NDArray[np.int64], random: np.random.Generator) -> Payloads:
    """Words of all classes, and some of the class's own."""
    pieces = []
    for label in target:
        words = random.integers(8, 20, int(random.integers(4, 12)))
        words[random.random(len(words)) < 0.5] = 2 + 2 * label + random.integers(0, 2)
        pieces.append(words.astype(np.int32))
    return ragged(pieces, like=pieces[0])

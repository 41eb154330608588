"""The board's table over 10,000 runs of 20 metrics and 30 parameters, beside MLflow's own search; told, not judged."""

import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from flows.board import database as db
from flows.board import runs, studies
from flows.board.view import View
from tests.boards import add_runs, add_study, run

RUNS, METRICS, PARAMS, STUDIES, ROUNDS = 10_000, 20, 30, 10, 5
EVERY = tuple(f"metrics.m{k}" for k in range(METRICS)) + tuple(f"params.train.p{k}" for k in range(PARAMS - 2))
VIEWS = {
    "as it opens": View(),
    "page 200": View(page=200),
    "sorted by a metric": View(sort="metrics.m3"),
    "sorted by a parameter": View(sort="params.train.p3"),
    "filtered by a metric": View(q="m0>0.9"),
    "filtered by metric and parameter": View(q="train.seed=3 m1<0.5"),
    "a word": View(q="cnn"),
    "seeds in one row, sorted by a metric": View(grouped=True, sort="metrics.m0"),
    "every metric and parameter a column": View(columns=EVERY),
}
ASKED = {
    "sorted by a metric": {"order_by": ["metrics.m3 DESC"]},
    "sorted by a parameter": {"order_by": ["params.`train.p3` DESC"]},
    "filtered by a metric": {"filter_string": "metrics.m0 > 0.9"},
}


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """MLflow's own database, with its own indices."""
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path_factory.mktemp('large') / 'mlflow.db'}"
    MlflowClient(uri).search_experiments()
    dice = random.Random(0)
    with create_engine(uri).begin() as c:
        c.execute(text("DELETE FROM experiments"))
        for number in range(1, STUDIES + 1):
            add_study(c, number, f"study-{number}")
        for first in range(0, RUNS, 500):
            add_runs(c, [one(dice, number) for number in range(first, first + 500)])
    return uri


def one(dice: random.Random, number: int) -> dict[str, object]:
    metrics = {f"m{k}": dice.random() for k in range(METRICS)}
    params = {f"train.p{k}": str(dice.choice([1, 2, 0.5, 1e-05, "adam"])) for k in range(PARAMS - 2)}
    params["train.seed"] = str(number % 5)
    tags = {"medloop.group": f"g{number // 50 * 10 + number % 10}", "medloop.git_commit": f"{number:040x}"}
    model = ("mlp", "cnn", "rnn", "boosting")[number % 4]
    return run(f"{number:032x}", 1 + number % STUDIES, model, "", "model", number, "FINISHED", metrics, params, tags)


def took(act: Callable[[], object], rounds: int = ROUNDS) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def test_how_long_a_view_takes(uri: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    mlflow, ids = MlflowClient(uri), [str(number) for number in range(1, STUDIES + 1)]
    print(f"\n{RUNS:,} runs, {METRICS} metrics and {PARAMS} parameters each; medians of {ROUNDS}, MLflow's once")
    with db.opened(uri).connect() as c:
        scores = studies.scores(studies.summaries(c))
        print(f"{'what each study is worth':40} {took(lambda: studies.summaries(c)):6.3f} s")
        for name, view in VIEWS.items():
            ours = took(lambda view=view: runs.page(c, view, scores))
            print(f"{name:40} {ours:6.3f} s", end="")
            if name in ASKED:
                theirs = took(lambda asked=ASKED[name]: mlflow.search_runs(ids, max_results=50, **asked), 1)
                print(f"   MLflow's own {theirs:6.3f} s, {theirs / ours:.0f} times as long", end="")
            print()
            assert runs.page(c, view, scores).total > 0

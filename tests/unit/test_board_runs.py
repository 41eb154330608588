"""The table of runs, read from MLflow's own tables by SQL."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from flows.board import database as db
from flows.board import runs, studies
from flows.board.view import ROWS, View
from tests.boards import add_run, add_runs, make_database, register, run

SCORES = {1: "test_auroc", 2: "test_mae"}
COLUMNS = ("score", "params.train.rate")


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = make_database(tmp_path_factory.mktemp("board") / "a name with ? and %.db".replace("?", "q"))
    with create_engine(uri).begin() as c:
        for seed, auroc in enumerate([0.80, 0.84, 0.88]):
            add_run(
                c,
                f"seed{seed}",
                at=seed,
                metrics={"test_auroc": auroc, "test_auroc_low": auroc - 0.1, "test_auroc_high": auroc + 0.1},
                params={"train.rate": "0.01", "train.seed": str(seed)},
                tags={"medloop.group": "g"},
            )
        add_run(c, "other", model="cnn", at=86_400_000, metrics={"test_auroc": 0.9}, params={"train.rate": "1e-3"})
        add_run(c, "broken", model="cnn", at=5, status="FAILED", metrics={"test_auroc": float("nan")})
        add_run(c, "liver", 2, model="ridge", at=6, metrics={"test_mae": 12.5}, tags={"medloop.star": "yes"})
        add_run(c, "put-away", 2, at=7, tags={"medloop.hidden": "yes", "medloop.note": "50% & more_of it"})
        add_run(c, "trial", 2, kind="trial", at=8)
        tags = {"medloop.best": "mlp", "medloop.model.mlp": "seed2", "mlflow.note.content": "mlp is best.\n\nlink"}
        add_run(c, "whole", kind="comparison", at=9, metrics={"mlp_test_auroc": 0.88}, tags=tags)
        add_run(c, "gone", at=10)
        c.execute(text("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = 'gone'"))
        register(c, "liver", 3, "liver", "champion")
    return uri


def found(uri: str, visible: set[int] | None = None, **view: object) -> list[str]:
    with db.opened(uri).connect() as c:
        return [row.run_id for row in runs.page(c, View(**view), SCORES, visible).rows]  # type: ignore[arg-type]


def test_models_are_shown_newest_first_and_what_is_hidden_deleted_or_holds_others_is_not(uri: str) -> None:
    assert found(uri) == ["other", "liver", "broken", "seed2", "seed1", "seed0"]
    assert found(uri, kind="trials") == ["trial"]
    assert found(uri, kind="all", hidden=True)[:4] == ["other", "whole", "trial", "put-away"]


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("cnn", ["other", "broken"]),
        ("CNN status:failed", ["broken"]),
        ("study:liver", ["liver"]),
        ("model:ridge", ["liver"]),
        ("run:key-seed1", ["seed1"]),
        ("auroc>0.84", ["other", "seed2"]),
        ("AUROC>0.84", ["other", "seed2"]),
        ("metrics.test_auroc<=0.84", ["seed1", "seed0"]),
        ("train.rate=0.001", ["other"]),
        ("train.rate=0.01 train.seed!=1", ["seed2", "seed0"]),
        ("params.train.rate<0.005", ["other"]),
        ("tags.medloop.star=yes", ["liver"]),
        ("since:2026-09-22", ["other"]),
        ("until:2026-09-21", ["liver", "broken", "seed2", "seed1", "seed0"]),
        ("%", []),
        ("'; DROP TABLE runs; --", []),
    ],
)
def test_a_search_finds(q: str, expected: list[str], uri: str) -> None:
    assert found(uri, q=q) == expected


def test_signs_of_sql_patterns_are_plain_letters(uri: str) -> None:
    assert found(uri, q="50%", hidden=True) == ["put-away"]
    assert found(uri, q="more_of", hidden=True) == ["put-away"]
    assert found(uri, q="moreXof", hidden=True) == []


@pytest.mark.parametrize(
    ("sort", "up", "down"),
    [
        ("metrics.test_auroc", ["seed0", "seed1", "seed2", "other"], ["other", "seed2", "seed1", "seed0"]),
        ("score", ["seed0", "seed1", "seed2", "other", "liver"], ["liver", "other", "seed2", "seed1", "seed0"]),
        ("params.train.rate", ["other"], ["seed0", "seed1", "seed2", "other"]),
        ("model", ["broken", "other"], ["liver", "seed0"]),
        ("study", ["broken"], ["liver"]),
    ],
)
def test_a_column_sorts_both_ways_and_what_has_no_value_comes_last(
    sort: str, up: list[str], down: list[str], uri: str
) -> None:
    assert found(uri, sort=sort, ascending=True)[: len(up)] == up
    assert found(uri, sort=sort)[: len(down)] == down


def test_a_row_has_its_metric_with_the_interval_and_the_chosen_columns(uri: str) -> None:
    with db.opened(uri).connect() as c:
        first = runs.page(c, View(q="run:key-seed0", columns=COLUMNS), SCORES).rows[0]
    assert first.numbers["test_auroc"] == runs.Number(value=0.8, low=pytest.approx(0.7), high=pytest.approx(0.9))
    assert (first.model, first.study, first.values["params.train.rate"]) == ("mlp", "heart", ["0.01"])


def test_seeds_are_one_row_with_mean_deviation_and_count(uri: str) -> None:
    view = View(grouped=True, sort="metrics.test_auroc", columns=(*COLUMNS, "params.train.seed"))
    with db.opened(uri).connect() as c:
        page = runs.page(c, view, SCORES)
    group = next(row for row in page.rows if row.members == 3)
    assert page.total == 4
    assert [row.run_id for row in page.rows][:2] == ["other", "seed2"]
    assert group.numbers["test_auroc"] == runs.Number(value=pytest.approx(0.84), deviation=pytest.approx(0.04), count=3)
    assert group.values["params.train.seed"] == ["2", "1", "0"]


def test_an_unseen_experiment_is_nowhere(uri: str) -> None:
    assert found(uri, {2}) == ["liver"]
    with db.opened(uri).connect() as c:
        assert [one.study for one in studies.summaries(c, {2})] == ["liver"]


def test_each_study_says_its_champion_or_the_best_of_its_last_comparison(uri: str) -> None:
    with db.opened(uri).connect() as c:
        heart, liver = studies.summaries(c)
        roles = studies.roles(c)
    assert (heart.role, heart.run_id, heart.metric, heart.verdict) == ("best", "seed2", "test_auroc", "mlp is best.")
    assert heart.score == runs.Number(value=0.88, low=pytest.approx(0.78), high=pytest.approx(0.98))
    assert (liver.role, liver.run_id, liver.version, liver.model) == ("champion", "liver", "3", "ridge")
    assert roles == {"liver": "champion"}


def test_pages_follow_one_another(tmp_path: Path) -> None:
    uri, many = make_database(tmp_path / "many.db"), ROWS * 2 + 3
    with create_engine(uri).begin() as c:
        add_runs(c, [run(f"{i:03}", 1, "mlp", "", "model", i, "FINISHED", {}, {}, {}) for i in range(many)])
    pages = [found(uri, page=number) for number in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [ROWS, ROWS, 3, 3], "beyond the last is the last"
    assert sorted(one for page in pages[:3] for one in page) == [f"{i:03}" for i in range(many)]


def test_keys_are_told_once_each(uri: str) -> None:
    with db.opened(uri).connect() as c:
        assert list(c.scalars(db.keys(db.params))) == ["model", "train.rate", "train.seed"]


def test_the_connection_cannot_write(uri: str) -> None:
    with db.opened(uri).connect() as c, pytest.raises(OperationalError, match="readonly"):
        c.execute(text("DELETE FROM runs"))
    with pytest.raises(OperationalError, match="unable to open"):
        db.opened("sqlite:////nowhere/at/all.db").connect()


def test_a_run_that_is_being_written_does_not_stop_the_reader(tmp_path: Path) -> None:
    uri = make_database(tmp_path / "busy.db")
    other = sqlite3.connect(tmp_path / "busy.db")
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("BEGIN IMMEDIATE")
    other.execute("UPDATE experiments SET name = 'half done' WHERE name = 'heart'")
    assert found(uri) == []
    other.close()

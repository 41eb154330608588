"""The board's pages as a browser gets them; MLflow's server is played by a few addresses that note what is asked."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient
from sqlalchemy import create_engine

from flows.board.app import mount
from flows.board.server import Board
from tests.boards import add_run, make_database, register

HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}\x1b[31m\u202e" + "x" * 10_000
FILES = {
    "certificate.json": {
        "verdict": "clean",
        "sentence": "no leak found",
        "parts": {"train": {"count": 60}, "validation": {"count": 15}, "test": {"count": 20}},
        "checks": [{"name": HOSTILE, "verdict": "clean", "sentence": HOSTILE, "evidence": {}}],
    },
    "cleaning/ledger.json": [{"rule": "outside the cohort", "column": None, "rows": 5, "cells": 0, "detail": HOSTILE}],
    "source/provenance.json": {"name": HOSTILE, "rows": 100, "sha256": "a" * 64},
    "report.html": "<html><body><script>1</script></body></html>",
}


def mlflow_like(asked: list[tuple[str, dict[str, Any]]], experiments: list[int]) -> Flask:
    """The addresses of MLflow's server that the board asks."""
    app = Flask("mlflow")

    @app.route("/get-artifact")
    def artifact() -> Response:
        found = FILES.get(request.args["path"])
        body = found if isinstance(found, str) else json.dumps(found)
        return Response(body, status=200 if found else 404)

    @app.route("/api/2.0/mlflow/artifacts/list")
    def listing() -> dict[str, Any]:
        return {"files": [{"path": path.partition("/")[0]} for path in FILES]}

    @app.route("/api/2.0/mlflow/experiments/search", methods=["POST"])
    def search() -> dict[str, Any]:
        return {"experiments": [{"experiment_id": str(number)} for number in experiments]}

    @app.route("/api/2.0/mlflow/runs/<what>", methods=["POST"])
    def tag(what: str) -> tuple[dict[str, Any], int]:
        asked.append((what, dict(request.json)))
        return {}, 404 if request.json["run_id"] == "unknown" else 200

    return app


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = make_database(tmp_path_factory.mktemp("board") / "mlflow.db", ["heart", HOSTILE[:200]])
    tags = {"medloop.git_commit": "b" * 40, "medloop.certificate": "clean", "medloop.machine": '{"cores": 2}'}
    with create_engine(uri).begin() as c:
        add_run(c, "plain", metrics={"test_auroc": 0.8, "test_calibration_slope": 1.1}, tags=tags)
        nasty = {"medloop.note": HOSTILE[:7000], "medloop.run": HOSTILE[:7000], "medloop.machine": HOSTILE[:7000]}
        add_run(
            c,
            "nasty",
            2,
            model=HOSTILE[:7000],
            name=HOSTILE[:240],
            metrics={HOSTILE[:240]: 1.0, "test_auroc": 0.7},
            params={HOSTILE[:240]: HOSTILE[:7000]},
            tags={**nasty, HOSTILE[:240]: HOSTILE[:7000]},
        )
        register(c, "heart", 1, "plain", "champion")
        best = {"medloop.best": "mlp", "medloop.model.mlp": "plain", "mlflow.note.content": HOSTILE[:7000]}
        add_run(c, "whole", kind="comparison", metrics={"mlp_test_auroc": 0.8}, tags=best)
    return uri


@pytest.fixture
def asked() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def client(uri: str, asked: list[tuple[str, dict[str, Any]]]) -> Iterator[FlaskClient]:
    app = mount(Board(root=None, uri=uri, mlflow=mlflow_like(asked, [1])))
    with app.test_client() as client:
        yield client


PAGES = [
    "/board/",
    "/board/?kind=all&group=1&col=score&col=metrics.test_auroc&col=params.model&sort=score",
    "/board/run/plain",
    "/board/run/nasty",
    "/board/run/whole",
    "/board/study/heart",
    "/board/?q=%3Cscript%3Ealert(1)%3C/script%3E",
    "/board/?q=%3Cscript%3E:1&study=%3Cscript%3Ealert(1)%3C/script%3E",
]


@pytest.mark.parametrize("path", PAGES)
def test_hostile_names_are_inert_on_every_page(path: str, client: FlaskClient) -> None:
    answer = client.get(path)
    text = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert "<script>alert" not in text
    seen = re.sub("<[^>]*>", "", text)
    assert "\x1b" not in seen and "\u202e" not in seen
    assert "x" * 1100 not in seen
    assert 'style="' not in text and not re.search(r"<[^>]* on\w+=", text)
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy and "unsafe" not in policy


def test_a_run_shows_where_its_rows_went_and_how_to_have_it_again(client: FlaskClient) -> None:
    text = " ".join(client.get("/board/run/plain").get_data(as_text=True).split())
    for told in ("<b>100</b> rows read", "<b>5</b> left out", "<b>95</b> samples", "<b>60</b> Training"):
        assert told in text
    assert "medloop reproduce key-plain/mlp" in text
    assert "champion, version 1" in text
    assert "Calibration slope" in text


def test_an_empty_table_says_why(client: FlaskClient, tmp_path: Path) -> None:
    assert "No run is like this" in client.get("/board/?q=nothing").get_data(as_text=True)
    assert "There is no study of this name" in client.get("/board/?study=hart").get_data(as_text=True)
    empty = mount(Board(root=None, uri=make_database(tmp_path / "new.db", []), mlflow=mlflow_like([], [])))
    assert "Nothing is recorded yet" in empty.test_client().get("/board/").get_data(as_text=True)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/board/run/nobody", 404),
        ("/board/run/..%2F..%2Fetc", 404),
        ("/board/study/nothing", 404),
        ("/board/run/plain/page/model/weights", 404),
        ("/board/run/plain/page/..%2Freport.html", 404),
        ("/board/?q=a%00b", 404),
        ("/board/compare?run=plain", 400),
        ("/board/compare?run=plain&run=nasty", 400),
    ],
)
def test_what_is_not_there_is_told_on_a_page_of_its_own(path: str, code: int, client: FlaskClient) -> None:
    answer = client.get(path)
    assert answer.status_code == code
    if code == 400:
        assert "two runs or more" in (text := answer.get_data(as_text=True)) or "no workspace" in text


def test_a_runs_own_page_can_run_its_script_but_ask_nothing(client: FlaskClient) -> None:
    answer = client.get("/board/run/plain/page/report.html")
    policy = answer.headers["Content-Security-Policy"]
    assert answer.status_code == 200
    assert policy.startswith("sandbox allow-scripts") and "allow-same-origin" not in policy
    assert "default-src 'none'" in policy and "connect-src" not in policy


OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_form_of_another_site_changes_nothing(
    headers: dict[str, str], client: FlaskClient, asked: list[tuple[str, dict[str, Any]]]
) -> None:
    answer = client.post("/board/run/plain/mark", data={"star": "yes"}, headers=headers)
    assert (answer.status_code, asked) == (403, [])


@pytest.mark.parametrize("headers", [OWN, {"Origin": "http://localhost"}])
def test_star_note_and_hide_are_tags_that_mlflow_writes(
    headers: dict[str, str], client: FlaskClient, asked: list[tuple[str, dict[str, Any]]]
) -> None:
    answer = client.post("/board/run/plain/mark?q=mlp&page=2", data={"star": "yes"}, headers=headers)
    client.post(
        "/board/run/plain/mark",
        data={"note": "two\nlines\x1b" + "n" * 5000, "hide": "", "medloop.run": "x"},
        headers=headers,
    )
    assert answer.location == "/board/?q=mlp&page=2"
    assert asked == [
        ("set-tag", {"run_id": "plain", "key": "medloop.star", "value": "yes"}),
        ("delete-tag", {"run_id": "plain", "key": "medloop.hidden"}),
        ("set-tag", {"run_id": "plain", "key": "medloop.note", "value": f"two lines␣{'n' * 989}…"}),
    ]


def test_a_run_that_mlflow_does_not_know_cannot_be_marked(client: FlaskClient) -> None:
    assert client.post("/board/run/unknown/mark", data={"star": "yes"}, headers=OWN).status_code == 404
    assert client.get("/board/run/plain/mark").status_code == 405


@pytest.mark.parametrize(
    ("server", "code"), [("127.0.0.1", 200), ("::1", 200), ("localhost", 200), ("10.1.2.3", 403), ("evil", 403)]
)
def test_nobody_from_the_network_looks_without_a_password(server: str, code: int, client: FlaskClient) -> None:
    answer = client.get("/board/", environ_overrides={"SERVER_NAME": server})
    assert answer.status_code == code
    assert ("medloop-auth" in answer.get_data(as_text=True)) == (code == 403)


def test_with_passwords_the_board_is_open_and_shows_what_mlflow_lets_the_user_see(uri: str) -> None:
    app = mlflow_like([], [1])

    @app.before_request
    def authenticate() -> Response | None:
        return None if request.authorization and request.authorization.password == "right" else Response(status=401)

    client = mount(Board(root=None, uri=uri, mlflow=app, guarded=True)).test_client()
    from_outside = {"environ_overrides": {"SERVER_NAME": "10.1.2.3"}}
    for wrong in ({}, {"auth": ("ann", "wrong")}):
        refused = client.get("/board/", **from_outside, **wrong)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="mlflow"')
    answer = client.get("/board/", **from_outside, auth=("ann", "right"))
    assert answer.status_code == 200
    assert "/board/run/plain" in (text := answer.get_data(as_text=True)) and "/board/run/nasty" not in text
    assert client.get("/board/run/nasty", auth=("ann", "right")).status_code == 404


def test_a_database_that_is_not_there_is_told(tmp_path: Path) -> None:
    board = Board(root=None, uri=f"sqlite:///{tmp_path / 'none.db'}", mlflow=Flask("mlflow"))
    answer = mount(board).test_client().get("/board/")
    assert answer.status_code == 503 and "nothing is recorded yet" in answer.get_data(as_text=True)

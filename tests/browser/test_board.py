"""The board in a real browser, in MLflow's own server: used by mouse and by keyboard, and checked by axe (WCAG AA)."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.browser.test_pages import CHROMIUM, FLAGS

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
HOSTILE = "<img src=x onerror=alert(1)>"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COMPARED = "<html><body><h1>Compared</h1><script>document.title = 'drawn';</script></body></html>"
FILES = {
    "certificate.json": {
        "verdict": "clean",
        "sentence": "no leak found in 1 check",
        "parts": {"train": {"count": 60}, "validation": {"count": 15}, "test": {"count": 20}},
        "checks": [{"name": "patients", "verdict": "clean", "sentence": "each is in one part", "evidence": {}}],
    },
    "cleaning/ledger.json": [{"rule": "outside the cohort", "column": None, "rows": 5, "cells": 0, "detail": "by age"}],
    "source/provenance.json": {"name": "registry", "rows": 100, "sha256": "a" * 64},
    "missingness/missingness.json": {"cells": 0.1, "shares": {"glucose": 0.4, "age": 0.0}},
}


def record(mlflow: Any, folder: Path) -> dict[str, str]:
    """Two models of a study, one under a hostile name, under their comparison; ids by name."""
    experiment = mlflow.create_experiment("heart", artifact_location=folder.as_uri())
    above = mlflow.create_run(experiment, run_name="heart-key", tags={"medloop.kind": "comparison"}).info.run_id
    for path, content in FILES.items():
        (folder / Path(path).name).write_text(json.dumps(content), encoding="utf-8")
        mlflow.log_artifact(above, str(folder / Path(path).name), str(Path(path).parent).replace(".", "") or None)
    ids = {"above": above}
    for name, auroc in (("mlp", 0.84), ("boosting", 0.87), (HOSTILE, 0.60)):
        tags = {"medloop.kind": "model", "medloop.model": name, "medloop.run": "heart-key", "mlflow.parentRunId": above}
        run = mlflow.create_run(experiment, run_name=name, tags={**tags, "medloop.certificate": "clean"}).info.run_id
        for end, shift in (("", 0.0), ("_low", -0.05), ("_high", 0.05)):
            mlflow.log_metric(run, f"test_auroc{end}", auroc + shift)
        for step in range(4):
            mlflow.log_metric(run, "train_loss", 1 / (step + 1), step=step)
            mlflow.log_metric(run, "validation_loss", 1.2 / (step + 1), step=step)
        mlflow.log_param(run, "train.seed", "0")
        mlflow.set_terminated(run)
        mlflow.set_tag(above, f"medloop.model.{'x' if name == HOSTILE else name}", run)
        ids[name] = run
    mlflow.log_metric(above, "boosting_test_auroc", 0.87)
    mlflow.set_tag(above, "medloop.best", "boosting")
    mlflow.set_tag(above, "mlflow.note.content", "boosting is best: AUROC 0.870.")
    mlflow.set_terminated(above)
    mlflow.create_registered_model("heart")
    mlflow.create_model_version("heart", source="none", run_id=ids["boosting"])
    mlflow.set_registered_model_alias("heart", "champion", "1")
    return ids


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """MLflow's server with the board, in this process; its address and the runs."""
    import uvicorn
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    (folder / "artifacts").mkdir()
    patch = pytest.MonkeyPatch()
    patch.setenv("_MLFLOW_SERVER_FILE_STORE", uri)
    patch.setenv("_MLFLOW_SGI_NAME", "uvicorn")
    patch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    patch.setattr("flows.comparing.comparison_html", lambda *_: COMPARED)
    ids = record(MlflowClient(uri), folder / "artifacts")
    from flows.board.plugin import create_app

    with socket.socket() as free:
        free.bind(("0.0.0.0", 0))
        port = free.getsockname()[1]
    running = uvicorn.Server(uvicorn.Config(create_app(), host="0.0.0.0", port=port, log_level="critical"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}", ids
    running.should_exit = True
    thread.join()
    patch.undo()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any, server: tuple[str, dict[str, str]]) -> Iterator[Callable[..., Any]]:
    """Opens a page of the board; at the end nothing may have failed, and no other host have been asked."""
    told, contexts = list[str](), list[Any]()

    def open_at(path: str = "", **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: told.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("dialog", lambda dialog: told.append(f"dialog: {dialog.message}"))
        page.on("request", lambda asked: None if asked.url.startswith((server[0], "data:")) else told.append(asked.url))
        page.goto(f"{server[0]}/board/{path}")
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert told == []


def models(page: Any) -> list[str]:
    return page.locator(".runs tbody a.open").all_inner_texts()


def test_the_answer_comes_first_and_hostile_names_are_plain_text(opened: Callable[..., Any]) -> None:
    page = opened()
    assert "boosting" in page.inner_text(".answers") and "0.870" in page.inner_text(".answers")
    assert models(page) == [HOSTILE, "boosting", "mlp"]


def test_it_is_searched_sorted_and_narrowed_and_each_view_has_its_address(opened: Callable[..., Any]) -> None:
    page = opened()
    page.click("thead a:has-text('Main metric')")
    assert models(page) == ["boosting", "mlp", HOSTILE]
    page.click("thead a:has-text('Main metric')")
    assert models(page) == [HOSTILE, "mlp", "boosting"]
    page.fill("#q", "auroc>0.8")
    page.press("#q", "Enter")
    page.wait_for_url("**/board/?*q=auroc*")
    assert models(page) == ["mlp", "boosting"]
    assert models(opened(page.url.partition("/board/")[2])) == ["mlp", "boosting"]
    page.click("summary:has-text('Columns')")
    page.fill("#narrow", "seed")
    assert [told.strip() for told in page.locator(".pick:visible").all_inner_texts()] == ["train.seed"]
    page.check(".pick:visible input")
    page.click("text=Show these columns")
    page.wait_for_url("**col=params.train.seed*")
    assert page.locator("thead a:has-text('train.seed')").count() == 1


def test_it_is_used_by_keys_alone(opened: Callable[..., Any], server: tuple[str, dict[str, str]]) -> None:
    page, (_, ids) = opened(), server
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("j")
    page.keyboard.press(" ")
    assert "Compare 2 selected" in page.inner_text("#compare-button")
    page.keyboard.press("c")
    page.wait_for_url("**/board/compare?*")
    assert page.url.endswith(f"run={ids['boosting']}&run={ids['mlp']}")
    page = opened()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/board/run/{ids['boosting']}")


def test_a_star_keeps_what_is_selected_and_where_one_is(opened: Callable[..., Any]) -> None:
    page = opened()
    page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    page.keyboard.press("ArrowDown")
    there = page.evaluate("document.activeElement.href")
    page.keyboard.press("s")
    page.wait_for_selector(".star[aria-pressed=true]")
    assert page.inner_text("#compare-button") == "Compare 1 selected"
    assert page.evaluate("document.activeElement.href") == there
    page.keyboard.press("s")
    page.wait_for_selector(".star[aria-pressed=true]", state="detached")


def test_what_is_selected_is_kept_in_the_address_over_other_pages(
    opened: Callable[..., Any], server: tuple[str, dict[str, str]]
) -> None:
    page, (_, ids) = opened("?q=model:mlp"), server
    page.check(".runs input[name=run]")
    assert f"pick={ids['mlp']}" in page.url
    page.fill("#q", "model:boosting")
    page.press("#q", "Enter")
    page.wait_for_url("**q=model%3Aboosting**")
    page.check(".runs input[name=run]")
    assert page.inner_text("#compare-button") == "Compare 2 selected, 1 on other pages"
    page.click("#compare-button")
    page.wait_for_url("**/board/compare?*")
    assert page.url.endswith(f"run={ids['mlp']}&run={ids['boosting']}")


def test_a_comparison_runs_its_script_and_can_ask_nothing(browser: Any, server: tuple[str, dict[str, str]]) -> None:
    address, ids = server
    page = browser.new_page()
    page.goto(f"{address}/board/compare?run={ids['mlp']}&run={ids['boosting']}")
    assert page.title() == "drawn"
    assert page.evaluate("fetch('/board/').then(() => 'asked', () => 'refused')") == "refused"
    page.click("text=All runs")
    page.wait_for_url("**/board/")
    page.close()


def test_star_hide_and_note_are_kept(opened: Callable[..., Any], server: tuple[str, dict[str, str]]) -> None:
    page, (_, ids) = opened("?q=model:mlp"), server
    page.click(".star")
    page.wait_for_selector(".star[aria-pressed=true]")
    assert "q=model" in page.url
    assert models(opened("?starred=1")) == ["mlp"]
    page.click("a.open")
    page.fill("#note-text", "looked at on Monday")
    page.click("text=Keep the note")
    assert models(opened("?q=Monday")) == ["mlp"]
    page.click("text=Hide from the table")
    assert models(opened("?q=Monday")) == [] and models(opened("?q=Monday&hidden=1")) == ["mlp"]
    page.click("text=Show in the table")
    page.click("text=Take the star away")
    assert models(opened("?q=Monday")) == ["mlp"] and models(opened("?starred=1")) == []
    assert page.evaluate("location.pathname") == f"/board/run/{ids['mlp']}"


def test_a_run_tells_all_and_leads_to_mlflow_and_the_study(
    opened: Callable[..., Any], server: tuple[str, dict[str, str]]
) -> None:
    page, (_, ids) = opened(f"run/{server[1]['mlp']}"), server
    said = " ".join(page.inner_text("main").split())
    assert "AUROC 0.840 (0.790 to 0.890); the champion, boosting, has 0.870." in said
    assert "100 rows read" in said and "5 left out" in said and "95 samples" in said
    assert "medloop reproduce heart-key/mlp" in said
    assert page.locator("svg polyline").count() == 2
    assert page.get_attribute("text=In MLflow", "href") == f"/#/experiments/1/runs/{ids['mlp']}"
    page.click(".crumbs a:has-text('heart')")
    assert "boosting is the champion (version 1): AUROC 0.870" in page.inner_text("main")
    page.click("text=All 4 runs")
    assert len(models(page)) == 3


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_is_accessible_and_fits(
    scheme: str, width: int, browser: Any, server: tuple[str, dict[str, str]]
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    address, ids = server
    size = {"width": width, "height": 900}
    context = browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    for path in ("", "?group=1&q=nothing", f"run/{ids['mlp']}", f"run/{ids['above']}", "study/heart", "run/nobody"):
        page.goto(f"{address}/board/{path}")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        found = axe.run(page, options={"runOnly": TAGS, "resultTypes": ["violations"]})
        assert found.violations_count == 0, f"{path}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
    context.close()


def status(address: str, form: bytes | None = None, path: str = "", **headers: str) -> tuple[int, str]:
    try:
        with urlopen(Request(f"{address}/board/{path}", form, headers), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_strangers_are_kept_out(server: tuple[str, dict[str, str]]) -> None:
    """MLflow's check of the host guards the board, too; and without passwords it is for this machine alone."""
    address, port = server[0], server[0].rpartition(":")[2]
    assert status(address)[0] == 200
    mark = f"run/{server[1]['mlp']}/mark"
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {}):
        assert status(address, b"star=yes", mark, **headers)[0] == 403, headers
    assert "★" not in status(address)[1]
    assert status(address, Host="evil.example") == (403, "Invalid Host header - possible DNS rebinding attack detected")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: it only tells by which address others see us
        except OSError:
            pytest.skip("this machine has no network")
        own = probe.getsockname()[0]
    if own.startswith("127."):
        pytest.skip("this machine has no address that others can reach")
    code, text = status(f"http://{own}:{port}", Host=f"localhost:{port}")
    assert code == 403 and "medloop-auth" in text
